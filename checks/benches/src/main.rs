//! Makes calls with one of several clients, for measurements from outside: `cargo xtask bench`
//! counts the instructions and the memory of this program's runs, and compares clients by them.
//!
//! The clients are this project's, the same generated client without it, and reqwest by hand. All
//! reach the same server, which is a process of its own and always sends the same response.

mod generated;
mod hand_written;
mod server;
mod work;

use std::error::Error;
use std::future::Future;

use clap::{Parser, ValueEnum};
use rustls::crypto::ring;

use work::Work;

/// Makes calls with one of several clients
#[derive(Parser)]
enum Options {
    /// Runs the server until standard input ends; prints its port
    Serve {
        /// How many keys a listing has
        #[arg(long, default_value_t = 1)]
        keys: usize,
        /// How many requests wait for each other before the server responds to them
        #[arg(long, default_value_t = 1)]
        hold: usize,
    },
    /// Has the body of a listing in memory, and the keys that are decoded from it, and exits
    Values {
        /// How many keys the listing has
        #[arg(long)]
        keys: usize,
    },
    /// Makes calls
    Call {
        client: Name,
        operation: Operation,
        #[arg(long)]
        port: u16,
        #[command(subcommand)]
        work: Work,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// rockset-apikeys
    Sdk,
    /// The generator's client of the same contract, without the facade
    Generated,
    /// reqwest, by hand
    HandWritten,
}

#[derive(Clone, Copy, ValueEnum)]
enum Operation {
    Get,
    List,
}

fn main() -> Result<(), BoxError> {
    ring::default_provider().install_default().map_err(|_| "a provider is installed")?;
    match Options::parse() {
        Options::Serve { keys, hold } => server::serve(keys, hold),
        Options::Values { keys } => work::values(keys),
        Options::Call { client, operation, port, work } => match client {
            Name::Sdk => work.run(sdk(port)?, operation),
            Name::Generated => work.run(generated::client(port)?, operation),
            Name::HandWritten => work.run(hand_written::client(port)?, operation),
        },
    }
}

/// A client that is measured. Each method returns how many keys it got.
trait Client: Send + Sync + 'static {
    fn get(&self) -> impl Future<Output = Result<usize, BoxError>> + Send;
    fn list(&self) -> impl Future<Output = Result<usize, BoxError>> + Send;
}

type BoxError = Box<dyn Error + Send + Sync>;

const USER: &str = "admin@me.com";
const NAME: &str = "my-app";
const KEY: &str = "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3r";

fn sdk(port: u16) -> Result<rockset_apikeys::Client, BoxError> {
    let builder = rockset_apikeys::Client::builder();
    let builder = builder.api_server(format!("http://127.0.0.1:{port}")).api_key(KEY);
    // A listing of 100,000 keys has 20 MB.
    Ok(builder.max_response_bytes(1 << 30).build()?)
}

impl Client for rockset_apikeys::Client {
    async fn get(&self) -> Result<usize, BoxError> {
        let key = self.get_api_key(NAME).user(USER).await?;
        Ok(usize::from(key.name == NAME))
    }

    async fn list(&self) -> Result<usize, BoxError> {
        Ok(self.list_api_keys().user(USER).await?.len())
    }
}
