//! The code that progenitor generates from the contract, `openapi/apikeys.yaml`.
//!
//! [`Client::generated`](crate::Client::generated) returns its client, for what
//! [`Client`](crate::Client) does not cover. The code follows the generator's ways: not every item
//! is documented, and a new version of the generator may change it.

// Below is the seam between the generated code and `hook`, which sends its requests.
//
// The only `unwrap` is in the generated `Client::new`, for TLS that cannot be set up. The crate
// never calls it, and a program has no hook to give it but one that it takes out of a client made
// here. A client made that way still sends through the hook's HTTP client and to its server.
#![allow(missing_docs, clippy::all, clippy::unwrap_used)]

use reqwest::{Request, Response};
use serde::de::DeserializeOwned;

use crate::hook::{self, Hook};

include!(concat!(env!("OUT_DIR"), "/apikeys.rs"));

impl ClientHooks<Hook> for Client {
    async fn pre<E>(&self, request: &mut Request, _: &OperationInfo) -> Result<(), Error<E>> {
        self.inner.prepare(request).map_err(|reason| Error::Custom(reason.to_owned()))
    }

    fn exec(
        &self,
        request: Request,
        _: &OperationInfo,
    ) -> impl Future<Output = reqwest::Result<Response>> {
        self.inner.send::<ErrorBody>(request)
    }
}

/// Decodes a documented response. Generated code calls this in place of the generator's own
/// function, whose errors quote the body.
fn decode<T: DeserializeOwned, E>(
    client: &Client,
    mut response: Response,
) -> impl Future<Output = Result<ResponseValue<T>, Error<E>>> {
    // An `async fn` would have two places for the response.
    async move {
        let mut body = bytes::Bytes::new();
        hook::read(&mut response, &mut body).await.map_err(Error::ResponseBodyError)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let value = client.inner.decode(&body);
        let value =
            value.map_err(|(error, page)| Error::InvalidResponsePayload(page.into(), error))?;
        Ok(ResponseValue::new(value, status, headers))
    }
}
