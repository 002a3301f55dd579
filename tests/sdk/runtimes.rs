//! One client in several tokio runtimes, and outside a runtime.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use rockset_apikeys::{Client, RetryPolicy};
use rockset_apikeys_server::Server;
use tokio::runtime::{Builder, Runtime};

use crate::script::{Script, Step};
use crate::support::{OPERATIONS, client_for};

/// Starts a server in a separate runtime, which outlives the clients' runtimes.
fn server() -> (Runtime, Server) {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    (runtime, server)
}

/// Builds a client that never retries, so that no failure is hidden.
fn client(server: &Server) -> Client {
    client_for(server.url(), server.admin_key().expose_secret())
}

#[test]
fn client_works_in_short_lived_runtimes() {
    let (_runtime, server) = server();
    let client = client(&server);
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..30 {
                    let name = format!("{thread}-{number}");
                    let fresh = || Builder::new_current_thread().enable_all().build().unwrap();
                    fresh().block_on(client.create_api_key(&name).send()).unwrap();
                    fresh().block_on(client.delete_api_key(&name).send()).unwrap();
                }
            });
        }
    });
}

#[cfg(feature = "blocking")]
#[test]
fn idle_runtime_does_not_stall_a_blocking_call() {
    let (_runtime, server) = server();
    let client = client(&server);
    let own = Builder::new_current_thread().enable_all().build().unwrap();
    own.block_on(client.list_api_keys().send()).unwrap();
    let start = std::time::Instant::now();
    client.create_api_key("my-app").send_blocking().unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn call_outside_a_runtime_is_rejected_before_sending() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Script::play([Step::status(500)]));
    let client = Client::builder().api_server(&server.url).api_key("k");
    let client = client.retry_policy(RetryPolicy::never()).build().unwrap();
    for &id in &*OPERATIONS {
        let call = pin!(crate::support::call(&client, id));
        let Poll::Ready(outcome) = call.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("{id} waits outside a runtime");
        };
        let error = outcome.unwrap_err();
        assert!(error.is_invalid_input() && error.attempts() == 0, "{id}: {error:?}");
        assert!(error.to_string().contains("not in a tokio runtime"), "{error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn call_without_timers_is_rejected_before_sending() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Script::play([Step::status(500)]));
    let client = client_for(&server.url, "k");
    let without_timers = Builder::new_current_thread().enable_io().build().unwrap();
    for &id in &*OPERATIONS {
        let error = without_timers.block_on(crate::support::call(&client, id)).unwrap_err();
        assert!(error.is_invalid_input() && error.attempts() == 0, "{id}: {error:?}");
        assert!(error.to_string().contains("timers are disabled"), "{error}");
    }
    assert!(server.requests().is_empty());
}
