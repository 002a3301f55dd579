//! Blocking calls to a server in the same process.

use std::time::Duration;

use rockset_apikeys::Client;
use rockset_apikeys_server::Server;
use tokio::runtime::{Builder, Runtime};

use crate::support::client_of;

fn client(server: &Server) -> Client {
    client_of(server.url(), server.admin_key().expose_secret())
}

#[test]
fn blocking_calls_work_beside_a_runtime_that_is_kept() {
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let client = client(&server);
    client.create_api_key("my-app").send_blocking().unwrap();
    assert_eq!(client.list_api_keys().send_blocking().unwrap().len(), 2);
}

/// This is why the documentation asks for a multi-threaded runtime.
#[test]
fn in_a_current_thread_runtime_a_blocking_call_times_out() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::start()).unwrap();
    let call = client(&server).list_api_keys().timeout(Duration::from_millis(300));
    assert!(call.send_blocking().unwrap_err().is_timeout());
}
