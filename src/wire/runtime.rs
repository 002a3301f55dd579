//! The types that generated code uses. It imports this module as `progenitor_client`.
//!
//! The generator's own library leaves response bodies unread, so its errors quote bodies or lack
//! the status. Here, a [`Response`] is complete, and an [`Error`] is redacted.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, InvalidHeaderValue};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::wire::connect::Reason;
use crate::wire::error_model;
use crate::wire::redaction;

/// An operation of the contract.
///
/// [`generated::operations`](crate::generated::operations) lists all operations.
///
/// ```
/// use rockset_apikeys::OperationKind;
/// use rockset_apikeys::generated::operations;
///
/// let operation = &operations::GET_API_KEY;
/// assert_eq!(operation.id(), "get_api_key");
/// assert_eq!(operation.method(), "GET");
/// assert_eq!(operation.path(), "/v1/orgs/self/users/{user}/apikeys/{name}");
/// assert_eq!(operation.kind(), OperationKind::Read);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) kind: OperationKind,
}

impl Operation {
    /// Returns the contract's `operationId`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path template, with parameters in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns the kind, which is what the operation does to state.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }
}

/// The kind of an operation, which decides when a retry is safe.
///
/// It is derived from the method or from the contract's `x-operation-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationKind {
    /// Reads state.
    Read,
    /// Creates an object.
    ///
    /// This is the only kind that is not idempotent: a retry may create a second object.
    Create,
    /// Updates an existing object.
    Update,
    /// Deletes an existing object.
    Delete,
}

/// A successful response with its decoded body, to which it dereferences.
#[derive(Clone)]
pub struct ResponseValue<T>(Box<Parts<T>>);

/// In a box, because a response is moved several times.
#[derive(Clone)]
struct Parts<T> {
    value: T,
    status: StatusCode,
    headers: HeaderMap,
}

impl<T> ResponseValue<T> {
    pub(crate) fn new(value: T, status: StatusCode, headers: HeaderMap) -> Self {
        Self(Box::new(Parts { value, status, headers }))
    }

    /// Decodes the body, which is the contract's error model if the status is an error.
    pub(crate) async fn from_response<M>(response: Response) -> Result<Self, Error<M>>
    where
        T: DeserializeOwned,
        M: DeserializeOwned + Default,
    {
        let Response { status, headers, body, authorization } = response;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Self::new(value, status, headers)),
            Err(error) => {
                let (details, source) =
                    error_model::undecoded(&body, &error, redaction::key(&authorization));
                Err(Error::Decode(ResponseValue::new(details, status, headers), source))
            }
        }
    }

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Returns the body.
    pub fn into_inner(self) -> T {
        self.0.value
    }
}

impl<T> Deref for ResponseValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for ResponseValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A server may echo secrets in headers.
        let mut debug = f.debug_struct("ResponseValue");
        debug.field("status", &self.0.status).field("value", &self.0.value).finish_non_exhaustive()
    }
}

/// A response with its complete body.
pub struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The request's authentication header, for redaction.
    pub(crate) authorization: HeaderValue,
}

impl Response {
    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// The failure of one request.
///
/// [`Client::run`](crate::Client::run) turns it into the crate's [`Error`](crate::Error).
#[non_exhaustive]
pub enum Error<M> {
    /// A value of the request is missing or invalid; nothing was sent.
    InvalidRequest(String),
    /// The HTTP client cannot be set up or the URL is too long; nothing was sent.
    NotSent(&'static str, reqwest::Error),
    /// The client could not connect to this server.
    Connect(String, Reason, reqwest::Error),
    /// No complete response arrived in time; the status is from its head, if any.
    Timeout(Option<StatusCode>, Box<dyn StdError + Send + Sync>),
    /// The connection failed; the status is from the response's head, if any.
    Connection(Option<StatusCode>, reqwest::Error),
    /// The body of a success is too large or cannot be decoded.
    ///
    /// The error model quotes the body if that is an HTML page; the source never does.
    Decode(ResponseValue<M>, Box<dyn StdError + Send + Sync>),
    /// A success with a status that the contract does not document.
    UnexpectedResponse(Response),
    /// An error response, with the contract's error model.
    ErrorResponse(ResponseValue<M>),
}

impl<M> Error<M> {
    /// Returns the status of the response, even if that is incomplete.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::InvalidRequest(_) | Self::NotSent(..) | Self::Connect(..) => None,
            Self::Timeout(status, _) | Self::Connection(status, _) => *status,
            Self::UnexpectedResponse(response) => Some(response.status),
            Self::Decode(response, _) | Self::ErrorResponse(response) => Some(response.status()),
        }
    }

    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::UnexpectedResponse(response) => Some(&response.headers),
            Self::Decode(response, _) | Self::ErrorResponse(response) => Some(response.headers()),
            _ => None,
        }
    }

    /// Returns the server's description of the error, redacted.
    pub fn details(&self) -> Option<&M> {
        match self {
            Self::Decode(response, _) | Self::ErrorResponse(response) => Some(response),
            _ => None,
        }
    }
}

impl<M> From<reqwest::Error> for Error<M> {
    /// Converts the error of building a request.
    fn from(error: reqwest::Error) -> Self {
        Self::NotSent("cannot build the request", error.without_url())
    }
}

impl<M> From<InvalidHeaderValue> for Error<M> {
    fn from(error: InvalidHeaderValue) -> Self {
        Self::InvalidRequest(format!("cannot send a header: {error}"))
    }
}

// Generated code imports and implements all of the following. `unsupported` in codegen rejects
// contracts whose code would need more.

/// The called operation.
#[allow(dead_code)]
pub struct OperationInfo {
    /// The contract's `operationId`.
    pub operation_id: &'static str,
}

/// The parts of a generated client.
pub trait ClientInfo<Inner> {
    /// Returns the version of the contract.
    fn api_version() -> &'static str;

    /// Returns the URL of the API server.
    fn baseurl(&self) -> &str;

    /// Returns the HTTP client that builds requests.
    fn client(&self) -> &reqwest::Client;

    /// Returns the inner value, which sends requests.
    fn inner(&self) -> &Inner;
}

/// The generator's hooks, which the client's inherent methods replace.
#[allow(dead_code)]
pub trait ClientHooks<Inner> {}

/// The generator's stream of a body.
pub enum ByteStream {}

/// The generator's extension for forms.
#[allow(dead_code)]
pub trait RequestBuilderExt {}

/// The generator's encoding of path segments. Calls do not compile: the macro `format!` in
/// `generated.rs` replaces them.
#[allow(dead_code)]
pub(crate) fn encode_path(_: Infallible) {}
