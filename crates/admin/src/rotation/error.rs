//! The error of a rotation, which contains no key's value.

use std::error::Error as StdError;
use std::fmt;
use std::iter;

type Source = Box<dyn StdError + Send + Sync>;

/// The error of a rotation.
///
/// If [`is_unchanged`](Self::is_unchanged) or [`is_rolled_back`](Self::is_rolled_back) is true, the
/// old key is in use as before. After any other error the rotation is unfinished, and
/// [`Rotator::resume`](super::Rotator::resume) continues it.
///
/// `Display` prints one line without the [`source`](StdError::source). `Debug` adds the causes.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    reason: String,
    id: Option<String>,
    source: Option<Source>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Neither the server nor a destination was changed.
    Unchanged,
    /// Nothing was changed, because another process is rotating the key.
    Locked,
    /// The key or the rotation does not exist.
    NotFound,
    /// The rotation failed, and its changes were undone.
    RolledBack,
    /// The old key was used after the distribution.
    InUse,
    /// The rotation stopped and can be resumed.
    Unfinished,
}

impl Error {
    pub(super) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, reason: reason.into(), id: None, source: None }))
    }

    pub(super) fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(super) fn of(mut self, id: &str) -> Self {
        self.0.id.get_or_insert_with(|| id.to_owned());
        self
    }

    pub(super) fn reason(&self) -> &str {
        &self.0.reason
    }

    pub(super) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(super) fn with_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Returns the rotation's ID, or `None` if no rotation was started.
    pub fn id(&self) -> Option<&str> {
        self.0.id.as_deref()
    }

    /// Returns true if neither the server nor a destination was changed.
    pub fn is_unchanged(&self) -> bool {
        matches!(self.0.kind, Kind::Unchanged | Kind::Locked | Kind::NotFound)
    }

    /// Returns true if another process or task is rotating the same key.
    pub fn is_locked(&self) -> bool {
        self.0.kind == Kind::Locked
    }

    /// Returns true if the key or the rotation does not exist.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == Kind::NotFound
    }

    /// Returns true if the rotation failed and was rolled back.
    ///
    /// The old key and the destinations are restored, and the successor is deleted.
    pub fn is_rolled_back(&self) -> bool {
        self.0.kind == Kind::RolledBack
    }

    /// Returns true if the old key was not retired because it was used after the distribution.
    ///
    /// Find the program that uses it, or retire it with [`force`](super::RotatorBuilder::force).
    pub fn is_in_use(&self) -> bool {
        self.0.kind == Kind::InUse
    }

    /// Returns the error of the API call that caused this one, if any.
    pub fn api_error(&self) -> Option<&rockset_apikeys::Error> {
        iter::successors(self.source(), |&cause| cause.source())
            .find_map(|cause| cause.downcast_ref())
    }
}

impl From<rockset_apikeys::Error> for Error {
    /// The rotation can be resumed after a failed API call.
    fn from(error: rockset_apikeys::Error) -> Self {
        Self::new(Kind::Unfinished, "an API call failed").because(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.0.id {
            write!(f, "rotation {id}: ")?;
        }
        f.write_str(&self.0.reason)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let causes = iter::successors(self.source(), |&cause| cause.source());
        for (index, cause) in causes.enumerate() {
            f.write_str(if index == 0 { "\n\nCaused by:\n    " } else { "\n    " })?;
            write!(f, "{cause}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
