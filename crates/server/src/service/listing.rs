//! Listing keys: the first page is read in the caller's transaction, further ones as they are sent.

use std::sync::Arc;

use rockset_apikeys::types::ApiKey;

use super::{Reader, Service, no_user, resolve};
use crate::error::ApiError;
use crate::permission::Access;
use crate::record::KeyRecord;
use crate::store::Rows;

/// How many keys of a listing are read at a time.
const PAGE: usize = 64;

impl Service {
    pub(crate) fn list(self: &Arc<Self>, reader: Reader, user: &str) -> Result<Listing, ApiError> {
        let owner = resolve(&reader.principal, user);
        reader.principal.authorize(Access::Read, owner, None)?;
        let rows = &reader.snapshot;
        rows.role(owner)?.ok_or_else(|| no_user(owner))?;
        let first = rows.keys(owner, 0, PAGE)?;
        Ok(Listing { service: Arc::clone(self), owner: owner.to_owned(), page: Some(first) })
    }
}

/// The keys of a user, read a page at a time. A key that is there from the beginning to the end is
/// listed; one that is created or deleted meanwhile may or may not be.
pub(crate) struct Listing {
    service: Arc<Service>,
    owner: String,
    page: Option<Vec<KeyRecord>>,
}

impl Listing {
    /// Returns some more keys; `None` after the last ones.
    pub(crate) fn next_page(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let Some(page) = self.page.take() else { return Ok(None) };
        if let (PAGE, Some(last)) = (page.len(), page.last()) {
            let snapshot = self.service.store.snapshot();
            let next = snapshot.keys(&self.owner, last.id, PAGE)?;
            self.page = Some(next).filter(|next| !next.is_empty());
        }
        let now = self.service.clock.now();
        Ok(Some(page.into_iter().map(|key| self.service.show(key, now)).collect()))
    }

    /// Like `next_page`, when no other listing reads a page and other requests have had their
    /// turn, so that they do not wait for listings, however many there are.
    pub(crate) async fn next_page_in_turn(&mut self) -> Result<Option<Vec<ApiKey>>, ApiError> {
        let service = Arc::clone(&self.service);
        // The semaphore is never closed.
        let _turn = service.listings.acquire().await.ok();
        tokio::task::yield_now().await;
        self.next_page()
    }

    /// Whether there are no more pages.
    pub(crate) fn is_complete(&self) -> bool {
        self.page.is_none()
    }
}
