//! The interface and the constants of all measured clients, and this project's client.

use std::error::Error;
use std::future::Future;

use rockset_apikeys::Client as Sdk;

pub type BoxError = Box<dyn Error + Send + Sync>;

pub const USER: &str = "admin@me.com";
pub const NAME: &str = "my-app";
pub const KEY: &str = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3r";

/// A client that is measured. Each method returns the number of received keys.
pub trait Client: Send + Sync + 'static {
    fn get(&self) -> impl Future<Output = Result<usize, BoxError>> + Send;
    fn list(&self) -> impl Future<Output = Result<usize, BoxError>> + Send;
}

pub fn sdk(port: u16) -> Result<Sdk, BoxError> {
    let builder = Sdk::builder().api_server(format!("http://127.0.0.1:{port}")).api_key(KEY);
    // A listing of 100,000 keys has 20 MB.
    Ok(builder.max_response_bytes(1 << 30).build()?)
}

impl Client for Sdk {
    async fn get(&self) -> Result<usize, BoxError> {
        let key = self.get_api_key(NAME).user(USER).await?;
        Ok(usize::from(key.name == NAME))
    }

    async fn list(&self) -> Result<usize, BoxError> {
        Ok(self.list_api_keys().user(USER).await?.len())
    }
}
