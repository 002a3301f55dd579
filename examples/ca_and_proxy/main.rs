//! Calls a server through a proxy, and trusts a company's certificate authority.
//!
//! Run it with `cargo run --example ca_and_proxy`.

mod company;

use rockset_apikeys::{Client, reqwest};
use rockset_apikeys_server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await?;
    let company = company::start("keys.example.com", server.url()).await?;

    let proxy = reqwest::Proxy::all(company.proxy)?;
    let authorities = reqwest::Certificate::from_pem_bundle(company.certificate.as_bytes())?;
    let client = Client::builder()
        .api_server("https://keys.example.com")
        .api_key(server.admin_key().clone())
        .app_name("inventory/1.0")
        .default_header("x-team", "payments")
        .reqwest_builder(move || {
            let builder = reqwest::Client::builder().proxy(proxy.clone());
            builder.tls_certs_merge(authorities.clone())
        })
        .build()?;

    let created = client.create_api_key("my-app").await?;
    println!("created {} at {}", created.name, client.api_server());
    Ok(())
}
