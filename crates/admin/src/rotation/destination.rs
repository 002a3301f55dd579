//! Where the programs that use a key read its value.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use rockset_apikeys::ApiKeyValue;

/// The boxed future that the methods of a [`Destination`] return.
pub type BoxFuture<'a> =
    Pin<Box<dyn Future<Output = Result<(), Box<dyn StdError + Send + Sync>>> + Send + 'a>>;

/// Stores the value of the key in use, for example in a file or a secret store.
///
/// Errors must not contain the value.
pub trait Destination: Send + Sync {
    /// Returns the name for the journal and for messages, which must not change.
    fn name(&self) -> &str;

    /// Checks that the destination can be written; changes nothing.
    fn check(&self) -> BoxFuture<'_> {
        Box::pin(async { Ok(()) })
    }

    /// Replaces the value atomically and idempotently.
    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> BoxFuture<'a>;

    /// Undoes [`write`](Self::write), possibly in another process.
    ///
    /// `value` is the old key's value, which the default implementation writes.
    fn restore<'a>(&'a self, value: &'a ApiKeyValue) -> BoxFuture<'a> {
        self.write(value)
    }
}

impl fmt::Debug for dyn Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.name()).finish()
    }
}

/// A destination that calls an async function.
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

    fn write<'a>(&'a self, value: &'a ApiKeyValue) -> BoxFuture<'a> {
        let written = (self.write)(value.clone());
        Box::pin(async move { written.await.map_err(Into::into) })
    }
}
