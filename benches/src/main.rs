//! Makes calls with one of several clients, for measurements from outside: `cargo xtask bench`
//! counts the instructions and allocations of this program's runs, and compares clients by them.
//!
//! The clients are this project's, the same generated client without it, and reqwest by hand. All
//! reach the same server, which is a process of its own and always sends the same response.

mod generated;
mod hand_written;
mod server;

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use tokio::runtime::{Builder, Runtime};

/// Makes calls with one of several clients
#[derive(Parser)]
enum Options {
    /// Runs the server until standard input ends; prints its port
    Serve {
        /// How many keys a listing has
        #[arg(long, default_value_t = 1)]
        keys: usize,
    },
    /// Makes calls one after the other
    Calls {
        #[command(flatten)]
        target: Target,
        /// How many
        #[arg(long)]
        count: u32,
    },
    /// Makes calls for a time, on two threads; prints the calls per second
    Load {
        #[command(flatten)]
        target: Target,
        /// How many calls are in flight
        #[arg(long, default_value_t = 64)]
        in_flight: usize,
        /// For how long, in milliseconds
        #[arg(long, default_value_t = 1_000)]
        ms: u64,
    },
}

#[derive(clap::Args, Clone, Copy)]
struct Target {
    client: Name,
    operation: Operation,
    #[arg(long)]
    port: u16,
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
    match Options::parse() {
        Options::Serve { keys } => server::serve(keys)?,
        Options::Calls { target, count } => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            match target.client {
                Name::Sdk => sequence(&runtime, sdk(target.port)?, target.operation, count)?,
                Name::Generated => {
                    sequence(&runtime, generated::client(target.port)?, target.operation, count)?
                }
                Name::HandWritten => {
                    sequence(&runtime, hand_written::client(target.port)?, target.operation, count)?
                }
            }
        }
        Options::Load { target, in_flight, ms } => {
            let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let (operation, time) = (target.operation, Duration::from_millis(ms));
            let rate = match target.client {
                Name::Sdk => load(&runtime, sdk(target.port)?, operation, in_flight, time)?,
                Name::Generated => {
                    load(&runtime, generated::client(target.port)?, operation, in_flight, time)?
                }
                Name::HandWritten => {
                    load(&runtime, hand_written::client(target.port)?, operation, in_flight, time)?
                }
            };
            println!("{rate:.0}");
        }
    }
    Ok(())
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

async fn call(client: &impl Client, operation: Operation) -> Result<usize, BoxError> {
    match operation {
        Operation::Get => client.get().await,
        Operation::List => client.list().await,
    }
}

fn sequence(
    runtime: &Runtime,
    client: impl Client,
    operation: Operation,
    count: u32,
) -> Result<(), BoxError> {
    runtime.block_on(async {
        for _ in 0..count {
            if call(&client, operation).await? == 0 {
                return Err("a response has no key".into());
            }
        }
        Ok(())
    })
}

/// Returns the calls per second.
fn load(
    runtime: &Runtime,
    client: impl Client,
    operation: Operation,
    in_flight: usize,
    time: Duration,
) -> Result<f64, BoxError> {
    let client = Arc::new(client);
    runtime.block_on(async {
        // Connections are made before the clock runs.
        let run = async |time: Duration| {
            let start = Instant::now();
            let tasks: Vec<_> = (0..in_flight)
                .map(|_| {
                    let client = Arc::clone(&client);
                    tokio::spawn(async move {
                        let mut calls = 0_u32;
                        while start.elapsed() < time {
                            call(&*client, operation).await?;
                            calls += 1;
                        }
                        Ok::<_, BoxError>(calls)
                    })
                })
                .collect();
            let mut calls = 0;
            for task in tasks {
                calls += task.await??;
            }
            Ok::<_, BoxError>(f64::from(calls) / start.elapsed().as_secs_f64())
        };
        run(time / 5).await?;
        run(time).await
    })
}
