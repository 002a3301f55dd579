//! The work of a client while it is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, process};

use clap::{Subcommand, ValueEnum};
use tokio::runtime::Builder;

use crate::client::{BoxError, Client};

#[derive(Clone, Copy, ValueEnum)]
pub enum Operation {
    Get,
    List,
}

#[derive(Subcommand)]
pub enum Work {
    /// Make sequential calls
    Sequence {
        #[arg(long)]
        count: u32,
    },
    /// Make concurrent calls on two threads, and print the calls per second
    Load {
        /// Number of calls in flight
        #[arg(long, default_value_t = 64)]
        in_flight: usize,
        /// Duration in milliseconds
        #[arg(long, default_value_t = 1_000)]
        ms: u64,
    },
    /// Make all calls at once, and print the peak of resident memory in KiB, on Linux
    AtOnce {
        #[arg(long)]
        count: usize,
    },
}

impl Work {
    pub fn run(self, client: impl Client, operation: Operation) -> Result<(), BoxError> {
        let mut runtime = match self {
            Self::Load { .. } => Builder::new_multi_thread(),
            _ => Builder::new_current_thread(),
        };
        let runtime = runtime.worker_threads(2).enable_all().build()?;
        let client = Arc::new(client);
        runtime.block_on(async {
            match self {
                Self::Sequence { count } => {
                    for _ in 0..count {
                        call(&*client, operation).await?;
                    }
                    // A heap profiler then counts the memory of the client itself.
                    process::exit(0);
                }
                Self::Load { in_flight, ms } => {
                    let time = Duration::from_millis(ms);
                    // Connects before the measurement.
                    load(&client, operation, in_flight, time / 5).await?;
                    println!("{:.0}", load(&client, operation, in_flight, time).await?);
                }
                Self::AtOnce { count } => {
                    open_files(count)?;
                    let calls: Vec<_> = (0..count)
                        .map(|_| {
                            let client = Arc::clone(&client);
                            tokio::spawn(async move { call(&*client, operation).await })
                        })
                        .collect();
                    for call in calls {
                        call.await??;
                    }
                    if let Some(peak) = resident_peak() {
                        println!("{peak}");
                    }
                }
            }
            Ok(())
        })
    }
}

async fn call(client: &impl Client, operation: Operation) -> Result<(), BoxError> {
    let keys = match operation {
        Operation::Get => client.get().await?,
        Operation::List => client.list().await?,
    };
    if keys == 0 { Err("a response contains no key".into()) } else { Ok(()) }
}

/// Returns the calls per second.
async fn load<C: Client>(
    client: &Arc<C>,
    operation: Operation,
    in_flight: usize,
    time: Duration,
) -> Result<f64, BoxError> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..in_flight)
        .map(|_| {
            let client = Arc::clone(client);
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
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

/// Raises this process's limit of open files for a number of connections.
pub fn open_files(connections: usize) -> Result<(), BoxError> {
    // Includes the standard streams, and files of the runtime and of a profiler.
    let needed = u64::try_from(connections)? + 100;
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit < needed {
        let cause = format!("the limit is {limit}; raise the hard limit with `ulimit -Hn`");
        return Err(format!("cannot open {needed} files: {cause}").into());
    }
    Ok(())
}

fn resident_peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.split("VmHWM:").nth(1)?.split_whitespace().next()?.parse().ok()
}
