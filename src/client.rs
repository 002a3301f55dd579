//! The client: a cheap handle to its settings and connections. `builder` creates it; its operations
//! are in `operations`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::call::{self, Defaults, Options, Subject};
use crate::credentials::Credentials;
use crate::error::Error;
// Renamed, because rustdoc prints only the last part of a path.
use crate::generated::{Client as GeneratedClient, Error as GeneratedError};
use crate::generated::{ErrorBody, ResponseValue};
use crate::values::ApiKeyValue;
use crate::wire::Wire;
use crate::wire::runtime::Operation;

/// A client of the API-keys API, with a method for each of its five operations.
///
/// The methods return [`Call`](crate::Call)s, which are awaited or, with the feature `blocking`,
/// sent without async.
///
/// Cloning is cheap, and clones share their connections. They work in any number of tokio runtimes,
/// each with separate connections. Requests go to one API server and authenticate with one key.
/// Redirects are not followed, so no other server receives the key.
///
/// ```no_run
/// # async fn example() -> Result<(), rockset_apikeys::Error> {
/// use rockset_apikeys::Client;
///
/// let client = Client::builder().api_server("127.0.0.1:8080").api_key("...").build()?;
/// let keys = client.list_api_keys().await?;
/// # let _ = keys;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    generated: GeneratedClient,
    defaults: Defaults,
}

impl Client {
    pub(crate) fn new(generated: GeneratedClient, defaults: Defaults) -> Self {
        Self(Arc::new(Inner { generated, defaults }))
    }

    pub(crate) fn defaults(&self) -> &Defaults {
        &self.0.defaults
    }

    /// Returns a client with another key.
    ///
    /// Both clients share their connections, settings and retry budget.
    ///
    /// # Errors
    ///
    /// Fails if the key is invalid.
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// let created = client.create_api_key("my-app").await?;
    /// let keys = client.with_api_key(created.key)?.list_api_keys().await?;
    /// # let _ = keys;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_api_key(&self, key: impl Into<ApiKeyValue>) -> Result<Self, Error> {
        let credentials = Credentials::fixed("`with_api_key`", key.into())?;
        let authorization = Arc::clone(credentials.authorization());
        let wire = Wire { authorization, ..self.generated().inner.clone() };
        let defaults = Defaults { credentials, key_can_change: false, ..self.defaults().clone() };
        Ok(self.with(wire, defaults))
    }

    /// Returns a client that also sends these headers.
    pub(crate) fn with_headers(&self, options: &Options) -> Self {
        let headers = options.headers.clone();
        let wire = Wire { headers, ..self.generated().inner.clone() };
        self.with(wire, self.defaults().clone())
    }

    fn with(&self, wire: Wire, defaults: Defaults) -> Self {
        let GeneratedClient { baseurl, client, .. } = self.generated();
        Self::new(GeneratedClient::new_with_client(baseurl, client.clone(), wire), defaults)
    }

    /// Returns the URL of the API server, without a trailing slash.
    pub fn api_server(&self) -> &str {
        &self.generated().baseurl
    }

    /// Returns the generated client, which supports every operation of the contract.
    ///
    /// Its requests authenticate, go to the same server and share the connections. If the key comes
    /// from [`Credentials`], they use the key that the last call read. The attempt timeout and the
    /// response size limit apply, redirects are not followed, and errors are redacted. Retries, the
    /// call timeout and the span are missing: [`run`](Self::run) adds them. A request that is sent
    /// outside a tokio runtime panics, as reqwest does.
    ///
    /// The error type is [`generated::Error`](crate::generated::Error): `ErrorResponse` contains
    /// the contract's error model, and `UnexpectedResponse` is a success with an undocumented
    /// status. Names and signatures of generated code follow progenitor; a new version may change
    /// them.
    pub fn generated(&self) -> &GeneratedClient {
        &self.0.generated
    }

    /// Runs a generated request as a call.
    ///
    /// The client's timeout, retry policy and retry budget apply. The call creates a span and
    /// returns this crate's errors.
    ///
    /// # An operation without a method
    ///
    /// [`generated`](Self::generated) supports every operation of the contract, even before
    /// `Client` gets a method for it. `run` turns its request into a call:
    ///
    /// ```no_run
    /// # async fn example(client: rockset_apikeys::Client) -> Result<(), rockset_apikeys::Error> {
    /// use rockset_apikeys::generated::operations;
    ///
    /// let request = client.generated().list_api_keys().user("self");
    /// let response = client.run(&operations::LIST_API_KEYS, || request.clone().send()).await?;
    /// println!("{}, {} keys", response.status(), response.data.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `send` sends the request, once per attempt, so it must create the same request each time.
    /// `operation` is the operation's row in a [table](crate::generated::operations) that is
    /// generated from the contract. Its [kind](Operation::kind) decides when a retry is safe.
    ///
    /// # Errors
    ///
    /// Fails like every call. Requests with a missing value or an invalid path segment are rejected
    /// before sending.
    pub async fn run<T, F>(
        &self,
        operation: &'static Operation,
        send: impl Fn() -> F,
    ) -> Result<ResponseValue<T>, Error>
    where
        F: Future<Output = Result<ResponseValue<T>, GeneratedError<ErrorBody>>>,
    {
        let options = Options::default();
        let success = call::run(self.defaults(), operation, Subject::default(), &options, send);
        Ok(success.await?.response)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("api_server", &self.api_server()).finish_non_exhaustive()
    }
}
