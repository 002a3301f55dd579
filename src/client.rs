//! A client that is ready for use. How it is made is in `builder`, its operations in `operations`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::call::{self, Settings, Subject};
use crate::error::Error;
use crate::generated::{self, ErrorBody, ResponseValue};
use crate::operation::Operation;

/// A client of the API-keys API. Its five operations are builders to be awaited or, with the feature
/// `blocking`, sent without async.
///
/// Cloning is cheap, and clones share their connections. Requests go to one API server and
/// authenticate with one key. Redirects are not followed, so the key goes nowhere else.
///
/// ```no_run
/// # async fn example() -> Result<(), rockset_apikeys::Error> {
/// use rockset_apikeys::{Client, Region};
///
/// let client = Client::builder().region(Region::USE1A1).api_key("...").build()?;
/// let keys = client.list_api_keys().await?;
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    generated: generated::Client,
    settings: Settings,
}

impl Client {
    pub(crate) fn new(generated: generated::Client, settings: Settings) -> Self {
        Self(Arc::new(Inner { generated, settings }))
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Returns the URL of the API server, without a trailing slash.
    pub fn api_server(&self) -> &str {
        &self.generated().baseurl
    }

    /// Returns the generated client, which has every operation of the contract.
    ///
    /// Its requests authenticate, go to the same server and share the connections. Its responses are
    /// limited in size and redirects are not followed, and no text of them shows a key. Each request
    /// has the timeout of an attempt. It does not retry, has no timeout of a call and no span, and
    /// its errors are the generator's own type: [`run`](Self::run) adds all of that.
    pub fn generated(&self) -> &generated::Client {
        &self.0.generated
    }

    /// Runs a generated request as a call: with the client's timeout, safe retries and their budget,
    /// a span and the crate's errors.
    ///
    /// This is how to call an operation of the contract that has no method here. `send` makes the
    /// request and sends it, once for each attempt, so it has to make the same request each time;
    /// `operation` is its row of the contract's [table](generated::operations), which decides what
    /// a retry may do.
    ///
    /// # Errors
    ///
    /// Fails like every call. A value that the request misses, or that no URL can carry, is rejected
    /// before anything is sent.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// use rockset_apikeys::generated::operations;
    ///
    /// let request = client.generated().list_api_keys().user("self");
    /// let response = client.run(&operations::LIST_API_KEYS, || request.clone().send()).await?;
    /// println!("{:?}: {} keys", response.headers().get("date"), response.data.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run<T, F>(
        &self,
        operation: &'static Operation,
        send: impl Fn() -> F,
    ) -> Result<ResponseValue<T>, Error>
    where
        F: Future<Output = Result<ResponseValue<T>, generated::Error<ErrorBody>>>,
    {
        call::run(self.settings(), operation, Subject::default(), None, send).await
    }

    /// Runs a generated request as [`run`](Self::run) does, without async: blocks the thread until
    /// the call ends.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run), and as for [`Call::send_blocking`](crate::Call::send_blocking)
    /// when called from async code.
    #[cfg(feature = "blocking")]
    pub fn run_blocking<T, F>(
        &self,
        operation: &'static Operation,
        send: impl Fn() -> F,
    ) -> Result<ResponseValue<T>, Error>
    where
        F: Future<Output = Result<ResponseValue<T>, generated::Error<ErrorBody>>>,
    {
        crate::blocking::wait(operation, self.run(operation, send))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("api_server", &self.api_server()).finish_non_exhaustive()
    }
}
