//! Where a key's value is kept for the programs that use it.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use rockset_apikeys::ApiKeyValue;

/// What a [`Destination`] returns: done, or why not.
pub type Outcome<'a> =
    Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// A place that has the value of the key in use, such as a file or a secret store.
///
/// An error must not contain the value.
pub trait Destination: Send + Sync {
    /// Returns what the journal and messages call the destination. It must be the same each time.
    fn name(&self) -> &str;

    /// Checks that the destination can be written, without changing it.
    fn check(&self) -> Outcome<'_> {
        Box::pin(async { Ok(()) })
    }

    /// Replaces the value in one step. Writing the same value again does no harm.
    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> Outcome<'a>;

    /// Undoes [`write`](Self::write), maybe in another process; `value` is that of the old key.
    ///
    /// By default it writes the old value.
    fn restore<'a>(&'a self, value: &'a ApiKeyValue) -> Outcome<'a> {
        self.write(value)
    }
}

impl fmt::Debug for dyn Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.name()).finish()
    }
}

/// A destination that an async function writes.
pub(super) struct Function<F> {
    pub(super) name: String,
    pub(super) write: F,
}

impl<F, R, E> Destination for Function<F>
where
    F: Fn(ApiKeyValue) -> R + Send + Sync,
    R: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> Outcome<'a> {
        let written = (self.write)(value.clone());
        Box::pin(async move { written.await.map_err(Into::into) })
    }
}
