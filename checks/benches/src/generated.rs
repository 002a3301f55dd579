//! The client that progenitor generates from the contract, without settings and facade.

#![allow(missing_docs, unused_imports, clippy::all, clippy::unwrap_used)]

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::client::{self, BoxError, KEY, NAME, USER};

include!(concat!(env!("OUT_DIR"), "/generated.rs"));

pub fn client(port: u16) -> Result<Client, BoxError> {
    let authorization = HeaderValue::from_str(&format!("ApiKey {KEY}"))?;
    let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
    let builder = reqwest::Client::builder().default_headers(headers).no_proxy();
    let http = builder.timeout(Duration::from_secs(30)).build()?;
    Ok(Client::new_with_client(&format!("http://127.0.0.1:{port}"), http))
}

impl client::Client for Client {
    async fn get(&self) -> Result<usize, BoxError> {
        let response = self.get_api_key().user(USER).name(NAME).send().await;
        let response = response.map_err(|error| error.to_string())?;
        Ok(usize::from(response.data.name == NAME))
    }

    async fn list(&self) -> Result<usize, BoxError> {
        let response = self.list_api_keys().user(USER).send().await;
        Ok(response.map_err(|error| error.to_string())?.data.len())
    }
}
