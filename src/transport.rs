//! The one place that every request passes: it is signed, sent, and what came back becomes a value
//! or an [`Error`]. What the operations are is not known here.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use progenitor_client::{ClientHooks, ClientInfo, OperationInfo, ResponseValue};
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Request, Response, StatusCode, Url};

use crate::error::Attempt;
use crate::generated::types::ErrorModel;
use crate::{Error, ErrorType, generated};

/// How much of a body that is no error model stands in for its message, in characters.
const LONGEST_EXCERPT: usize = 200;

/// What the generated client carries for its requests to be signed and watched.
#[derive(Clone)]
pub struct Transport {
    authorization: HeaderValue,
    max_body: usize,
    /// What came of the one call that this client was copied for.
    receipt: Option<Arc<OnceLock<Receipt>>>,
}

/// What the generated code does not hand on of an answer.
struct Receipt {
    status: StatusCode,
    too_large: bool,
}

impl Transport {
    pub(crate) fn new(authorization: HeaderValue, max_body: usize) -> Self {
        Self { authorization, max_body, receipt: None }
    }

    /// The text without the key that signs the requests. The first 6 characters of a key are its
    /// identifier and no secret, so that a shorter one is none either.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let header = self.authorization.to_str().unwrap_or_default();
        match header.rsplit(' ').next().filter(|key| key.len() > 6 && text.contains(key)) {
            Some(key) => text.replace(key, "(the API key)").into(),
            None => text.into(),
        }
    }

    /// The body, unless it is larger than allowed. What is over the limit is not read.
    async fn body(&self, response: &mut Response) -> reqwest::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > self.max_body {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Some(body))
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
        let mut response = self.client().execute(request).await?;
        let status = response.status();
        let body = transport.body(&mut response).await;
        if let Some(receipt) = &transport.receipt {
            let too_large = matches!(body, Ok(None));
            // A copy of the client lives for one call, so that nothing is there yet.
            let _ = receipt.set(Receipt { status, too_large });
        }
        // The generated code reads a body whatever its size; it gets the one that was read.
        let (head, _) = http::Response::<reqwest::Body>::from(response).into_parts();
        Ok(http::Response::from_parts(head, body?.unwrap_or_default()).into())
    }
}

/// One call: a copy of the generated client with a receipt of its own.
pub(crate) struct Call {
    attempt: Attempt,
    generated: generated::Client,
    receipt: Arc<OnceLock<Receipt>>,
}

impl Call {
    pub(crate) fn new(generated: &generated::Client, attempt: Attempt) -> Self {
        let mut generated = generated.clone();
        let receipt = Arc::new(OnceLock::new());
        generated.inner.receipt = Some(Arc::clone(&receipt));
        Self { attempt, generated, receipt }
    }

    pub(crate) fn generated(&self) -> &generated::Client {
        &self.generated
    }

    /// Runs the generated request, and makes a value or an error of what comes of it.
    pub(crate) async fn run<T>(
        &self,
        request: impl Future<Output = Result<ResponseValue<T>, generated::Error<ErrorModel>>>,
    ) -> Result<T, Error> {
        match request.await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(error) => Err(self.error(error).await),
        }
    }

    async fn error(&self, error: generated::Error<ErrorModel>) -> Error {
        use generated::Error as Generated;
        let attempt = self.attempt.clone();
        let receipt = self.receipt.get();
        let status = receipt.map(|receipt| receipt.status);
        if let Some(Receipt { status, too_large: true }) = receipt {
            return Error::too_large(attempt, *status, self.generated.inner.max_body);
        }
        match error {
            Generated::CommunicationError(error)
            | Generated::ResponseBodyError(error)
            | Generated::InvalidUpgrade(error) => Error::unanswered(attempt, status, error),
            Generated::ErrorResponse(answer) => {
                let status = answer.status();
                Error::answered(attempt, status, self.without_key(answer.into_inner()))
            }
            Generated::InvalidResponsePayload(body, error) => {
                // The generated code reads a body only once it has the status.
                let status = status.unwrap_or_default();
                if status.is_success() {
                    return Error::unreadable(attempt, status, &error);
                }
                Error::answered(attempt, status, self.model_of(&body))
            }
            Generated::UnexpectedResponse(response) => {
                let status = response.status();
                let model = match self.redirect(&response) {
                    Some(host) => ErrorModel {
                        message: Some(format!("a redirect to {host}, which is not followed")),
                        ..ErrorModel::default()
                    },
                    None => self.model_of(&response.bytes().await.unwrap_or_default()),
                };
                Error::answered(attempt, status, model)
            }
            Generated::InvalidRequest(reason) | Generated::Custom(reason) => Error::refused(reason),
        }
    }

    /// The host that the answer redirects to. The rest of the target may be anything, a secret
    /// included.
    fn redirect(&self, response: &Response) -> Option<String> {
        if !response.status().is_redirection() {
            return None;
        }
        let location = response.headers().get(LOCATION)?.to_str().ok()?;
        let target = Url::parse(&self.generated.baseurl).ok()?.join(location).ok()?;
        target.host_str().map(str::to_owned)
    }

    /// The error model that a body is. Where it is none, the beginning of its text is the message.
    fn model_of(&self, body: &[u8]) -> ErrorModel {
        if let Ok(model) = serde_json::from_slice(body) {
            return self.without_key(model);
        }
        let text = String::from_utf8_lossy(body);
        let is_text = !text.contains(['\0', char::REPLACEMENT_CHARACTER]);
        // The key goes first: cut in two, it would not be found any more.
        let words = self.generated.inner.redact(&text);
        let words: Vec<_> = words.split_whitespace().collect();
        let message: String = words.join(" ").chars().take(LONGEST_EXCERPT).collect();
        let message = Some(message).filter(|message| is_text && !message.is_empty());
        ErrorModel { message, ..ErrorModel::default() }
    }

    /// The model without the key that signed the request, which a server may echo.
    fn without_key(&self, mut model: ErrorModel) -> ErrorModel {
        let unknown_type = match &mut model.type_ {
            Some(ErrorType::Unknown(text)) => Some(text),
            _ => None,
        };
        let texts = [
            model.message.as_mut(),
            unknown_type,
            model.trace_id.as_mut(),
            model.error_id.as_mut(),
            model.query_id.as_mut(),
            model.virtual_instance_rrn.as_mut(),
        ];
        for text in texts.into_iter().flatten() {
            *text = self.generated.inner.redact(text).into_owned();
        }
        model
    }
}
