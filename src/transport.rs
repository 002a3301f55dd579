//! The one place that every request passes: it is signed, sent, and what came back becomes a value
//! or an [`Error`]. What the operations are is not known here.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Request, Response, StatusCode};

use crate::error::Attempt;
use crate::generated::types::ErrorModel;
use crate::{Error, generated};

/// What the generated client carries for its requests to be signed and watched.
#[derive(Clone)]
pub struct Transport {
    authorization: HeaderValue,
    /// The status of the answer to the one call that this client was copied for.
    status: Option<Arc<OnceLock<StatusCode>>>,
}

impl Transport {
    pub(crate) fn new(authorization: HeaderValue) -> Self {
        Self { authorization, status: None }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

impl ClientHooks<Transport> for generated::Client {
    async fn exec(&self, mut request: Request, _: &OperationInfo) -> reqwest::Result<Response> {
        let transport = self.inner();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, transport.authorization.clone());
        // The generator adds it to every request; the vendor's clients do not send it.
        headers.remove("api-version");
        let response = self.client().execute(request).await?;
        if let Some(status) = &transport.status {
            // Set once: a copy of the client lives for one call.
            let _ = status.set(response.status());
        }
        Ok(response)
    }
}

/// One call: a copy of the generated client that remembers the answer's status, which the generated
/// code drops when it cannot read the body.
pub(crate) struct Call {
    attempt: Attempt,
    generated: generated::Client,
    status: Arc<OnceLock<StatusCode>>,
}

impl Call {
    pub(crate) fn new(generated: &generated::Client, attempt: Attempt) -> Self {
        let mut generated = generated.clone();
        let status = Arc::new(OnceLock::new());
        generated.inner.status = Some(Arc::clone(&status));
        Self { attempt, generated, status }
    }

    pub(crate) fn generated(&self) -> &generated::Client {
        &self.generated
    }

    /// Runs the generated request, and makes a value or an error of what comes of it.
    pub(crate) async fn run<T>(
        &self,
        request: impl Future<Output = Result<ResponseValue<T>, generated::Error<ErrorModel>>>,
    ) -> Result<T, Error> {
        use generated::Error as Generated;
        let attempt = || self.attempt.clone();
        match request.await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(Generated::CommunicationError(error))
            | Err(Generated::ResponseBodyError(error))
            | Err(Generated::InvalidUpgrade(error)) => Err(Error::unanswered(attempt(), error)),
            Err(Generated::ErrorResponse(answer)) => {
                Err(Error::answered(attempt(), answer.status(), Some(answer.into_inner())))
            }
            Err(Generated::InvalidResponsePayload(_, error)) => {
                // The generated code reads a body only once it has the status.
                let status = self.status.get().copied().unwrap_or_default();
                Err(Error::unreadable(attempt(), status, &error))
            }
            Err(Generated::UnexpectedResponse(response)) => {
                let status = response.status();
                let body = response.bytes().await.unwrap_or_default();
                Err(Error::answered(attempt(), status, serde_json::from_slice(&body).ok()))
            }
            Err(Generated::InvalidRequest(reason)) | Err(Generated::Custom(reason)) => {
                Err(Error::refused(reason))
            }
        }
    }
}
