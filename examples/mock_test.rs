//! Tests a program against scripted responses, with typed mocks.
//!
//! Run its tests with `cargo test --example mock_test --features httpmock`.

use rockset_apikeys::{Client, Error, KeyState};

/// The function under test: returns whether a key is active.
pub async fn is_usable(client: &Client, name: &str) -> Result<bool, Error> {
    match client.get_api_key(name).await {
        Ok(key) => Ok(key.state == Some(KeyState::Active)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn main() {
    println!("Run the tests with `cargo test --example mock_test --features httpmock`.");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::is_usable;
    use rockset_apikeys::mock::{MockServer, MockServerExt};
    use rockset_apikeys::types::{ApiKey, ErrorModel, GetApiKeyResponse};
    use rockset_apikeys::{Client, KeyState, RetryPolicy};

    fn client_for(server: &MockServer) -> Client {
        let builder = Client::builder().api_server(server.base_url()).api_key("any");
        builder.retry_policy(RetryPolicy::never()).build().unwrap()
    }

    #[tokio::test]
    async fn suspended_key_is_not_usable() {
        let key = ApiKey::builder().name("my-app").key("aB3dE5").state(KeyState::Suspended);
        let response: GetApiKeyResponse =
            GetApiKeyResponse::builder().data(key).try_into().unwrap();
        let server = MockServer::start_async().await;
        let mock = server.get_api_key(|when, then| {
            when.user("self").name("my-app");
            then.ok(&response);
        });

        assert!(!is_usable(&client_for(&server), "my-app").await.unwrap());
        mock.assert_calls(1);
    }

    #[tokio::test]
    async fn server_error_is_returned() {
        let message = Some("try later".to_owned());
        let response = ErrorModel { message, ..ErrorModel::default() };
        let server = MockServer::start_async().await;
        server.get_api_key(|_, then| {
            then.service_unavailable(&response);
        });

        let error = is_usable(&client_for(&server), "my-app").await.unwrap_err();
        assert!(error.is_retryable());
        assert!(error.to_string().contains("try later"));
    }
}
