//! Tests a program against an in-process server, with real requests and errors.
//!
//! Run its tests with `cargo test --example server_test`.

use rockset_apikeys::{Client, Error};

/// The function under test: creates a key, or returns the existing one.
pub async fn ensure_key(client: &Client, name: &str) -> Result<String, Error> {
    match client.create_api_key(name).role("read-only").await {
        Ok(key) => Ok(key.key.expose_secret().to_owned()),
        Err(error) if error.is_conflict() => {
            let key = client.get_api_key(name).reveal(true).await?;
            Ok(key.key.expose_secret().to_owned())
        }
        Err(error) => Err(error),
    }
}

fn main() {
    println!("Run the tests with `cargo test --example server_test`.");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::ensure_key;
    use rockset_apikeys::{ErrorKind, StatusCode};
    use rockset_apikeys_server::{Fault, Role, Server};

    #[tokio::test]
    async fn ensure_key_returns_the_existing_key() {
        let server = Server::start().await.unwrap();
        let client = server.client();

        let first = ensure_key(&client, "my-app").await.unwrap();
        assert_eq!(ensure_key(&client, "my-app").await.unwrap(), first);
    }

    #[tokio::test]
    async fn ensure_key_survives_rate_limiting() {
        let server = Server::start().await.unwrap();
        let client = server.client();

        server.inject(Fault::status(429), 2);
        ensure_key(&client, "my-app").await.unwrap();
    }

    #[tokio::test]
    async fn ensure_key_reports_an_ambiguous_create() {
        let server = Server::start().await.unwrap();
        let client = server.client();

        // The server creates the key, but its response is replaced by a gateway error.
        server.inject(Fault::status_after_handling(502), 1);
        assert!(ensure_key(&client, "my-app").await.unwrap_err().is_ambiguous());
        ensure_key(&client, "my-app").await.unwrap();
    }

    #[tokio::test]
    async fn ensure_key_fails_for_a_read_only_user() {
        let server = Server::builder().user("dev@me.com", Role::ReadOnly).start().await.unwrap();
        let client = server.client_for("dev@me.com").unwrap();

        let error = ensure_key(&client, "my-app").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Response(StatusCode::FORBIDDEN));
    }
}
