//! A program whose build is measured: gets a key with reqwest only.

use std::error::Error;

use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;

#[derive(Deserialize)]
struct Response {
    data: Key,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    role: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut url: Url = std::env::var("ROCKSET_APISERVER")?.parse()?;
    let mut segments = url.path_segments_mut().map_err(|()| "ROCKSET_APISERVER has no path")?;
    segments.extend(["v1", "orgs", "self", "users", "self", "apikeys", "my-app"]);
    drop(segments);
    let key = format!("ApiKey {}", std::env::var("ROCKSET_APIKEY")?);
    let request = reqwest::Client::new().get(url).header(ACCEPT, "application/json");
    let response = request.header(AUTHORIZATION, key).send().await?.error_for_status()?;
    let Key { name, role } = response.json::<Response>().await?.data;
    println!("{name}: {}", role.unwrap_or_default());
    Ok(())
}
