//! A hand-written client with reqwest: it encodes two path segments, sets two headers and one
//! timeout, checks the status, and decodes the body into the same types.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use rockset_apikeys::types::{GetApiKeyResponse, ListApiKeysResponse};
use serde::de::DeserializeOwned;

use crate::client::{BoxError, Client, KEY, NAME, USER};

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub struct HandWritten {
    http: reqwest::Client,
    server: String,
    authorization: String,
}

pub fn client(port: u16) -> Result<HandWritten, BoxError> {
    let timeout = Duration::from_secs(30);
    // The other clients use no proxy either.
    let http = reqwest::Client::builder().timeout(timeout).no_proxy().build()?;
    let server = format!("http://127.0.0.1:{port}");
    Ok(HandWritten { http, server, authorization: format!("ApiKey {KEY}") })
}

impl HandWritten {
    async fn request<T: DeserializeOwned>(&self, url: String) -> Result<T, BoxError> {
        let request = self.http.get(url).header(ACCEPT, "application/json");
        let request = request.header(AUTHORIZATION, &self.authorization);
        let response = request.send().await?.error_for_status()?;
        Ok(response.json().await?)
    }
}

impl Client for HandWritten {
    async fn get(&self) -> Result<usize, BoxError> {
        let user = utf8_percent_encode(USER, SEGMENT);
        let name = utf8_percent_encode(NAME, SEGMENT);
        let url = format!("{}/v1/orgs/self/users/{user}/apikeys/{name}", self.server);
        let response: GetApiKeyResponse = self.request(url).await?;
        Ok(usize::from(response.data.name == NAME))
    }

    async fn list(&self) -> Result<usize, BoxError> {
        let user = utf8_percent_encode(USER, SEGMENT);
        let url = format!("{}/v1/orgs/self/users/{user}/apikeys", self.server);
        let response: ListApiKeysResponse = self.request(url).await?;
        Ok(response.data.len())
    }
}
