//! Calls without async: from plain threads, and rejected if they would block a runtime.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use rockset_apikeys::{Client, Credentials, Error, KeyState, RetryPolicy};
use rockset_apikeys_server::{Role, Server};
use tokio::runtime::Runtime;

use crate::script::{Script, Step};
use crate::support::{OPERATIONS, status_of, success};

/// A value and the runtime that it needs, for tests without async.
struct WithRuntime<T> {
    value: T,
    _runtime: Runtime,
}

fn with_runtime<T>(start: impl Future<Output = T>) -> WithRuntime<T> {
    let runtime = Runtime::new().unwrap();
    WithRuntime { value: runtime.block_on(start), _runtime: runtime }
}

fn client_for(url: &str, key: &str) -> Client {
    let policy = RetryPolicy::default().backoff(Duration::ZERO, Duration::ZERO);
    Client::builder().api_server(url).api_key(key).retry_policy(policy).build().unwrap()
}

/// Calls the operation with this ID.
fn call(client: &Client, id: &str) -> Result<(), Error> {
    match id {
        "create_api_key" => client.create_api_key("my-app").send_blocking().map(drop),
        "list_api_keys" => client.list_api_keys().send_blocking().map(drop),
        "get_api_key" => client.get_api_key("my-app").send_blocking().map(drop),
        "update_api_key" => client.update_api_key("my-app").send_blocking().map(drop),
        "delete_api_key" => client.delete_api_key("my-app").send_blocking().map(drop),
        _ => panic!("unknown operation {id}"),
    }
}

#[test]
fn all_operations_work_without_async() {
    let server = with_runtime(async {
        Server::builder().user("dev@me.com", Role::Member).start().await.unwrap()
    });
    let client = client_for(server.value.url(), server.value.admin_key().expose_secret());

    let created = client.create_api_key("my app/ü").role("read-only").send_blocking().unwrap();
    assert_eq!(created.key.expose_secret().len(), 64);
    assert_eq!(client.list_api_keys().send_blocking().unwrap().len(), 2);
    assert_eq!(client.list_api_keys().user("dev@me.com").send_blocking().unwrap().len(), 1);
    let revealed = client.get_api_key("my app/ü").reveal(true).send_blocking().unwrap();
    assert_eq!(revealed.key.expose_secret(), created.key.expose_secret());
    let update = client.update_api_key("my app/ü").state(KeyState::Suspended);
    assert_eq!(update.send_blocking().unwrap().state, Some(KeyState::Suspended));
    assert_eq!(client.delete_api_key("my app/ü").send_blocking().unwrap().name, "my app/ü");

    let error = client.get_api_key("my app/ü").send_blocking().unwrap_err();
    assert!(error.is_not_found() && error.details().unwrap().trace_id.is_some(), "{error:?}");
    let error = client.get_api_key("..").send_blocking().unwrap_err();
    assert_eq!((status_of(&error), error.attempts()), (None, 0));
}

#[test]
fn blocking_calls_apply_retries_timeouts_and_limits() {
    for &id in &*OPERATIONS {
        let down = Step::response(503, "retry-after: 0\r\n", "");
        let response = Step::response(200, "", success(id).to_string());
        let script = with_runtime(Script::play([down.clone(), down.clone(), response]));
        call(&client_for(&script.value.url, "k"), id).unwrap();
        assert_eq!(script.value.requests().len(), 3, "{id}");

        let script = with_runtime(Script::play([down]));
        let error = call(&client_for(&script.value.url, "k"), id).unwrap_err();
        assert_eq!((error.attempts(), error.is_retryable()), (4, true), "{id}: {error:?}");
    }
    let script = with_runtime(Script::play([Step::Hang(Vec::new())]));
    let client = client_for(&script.value.url, "k");
    let timeout = Duration::from_millis(50);
    let error = client.list_api_keys().timeout(timeout).send_blocking().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");

    let script = with_runtime(Script::play([Step::Flood(b"HTTP/1.1 200 OK\r\n\r\n".into())]));
    let error = client_for(&script.value.url, "k").list_api_keys().send_blocking().unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("limit"), "{error:?}");
}

#[test]
fn consecutive_blocking_calls_share_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client_for(&format!("http://{}", listener.local_addr().unwrap()), "k");
    let server = thread::spawn(move || {
        let (connection, _) = listener.accept().unwrap();
        let (mut reader, mut writer) = (BufReader::new(&connection), &connection);
        let body = success("list_api_keys").to_string();
        for _ in 0..3 {
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                assert!(reader.read_line(&mut line).unwrap() > 0, "the connection was closed");
            }
            write!(writer, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .unwrap();
        }
    });
    for _ in 0..3 {
        client.list_api_keys().timeout(Duration::from_secs(10)).send_blocking().unwrap();
    }
    server.join().unwrap();
}

#[test]
fn threads_can_share_a_client_for_blocking_calls() {
    let server = with_runtime(async { Server::start().await.unwrap() });
    let client = client_for(server.value.url(), server.value.admin_key().expose_secret());
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for count in 0..10 {
                    let name = format!("{thread}-{count}");
                    client.create_api_key(&name).send_blocking().unwrap();
                    assert_eq!(client.get_api_key(&name).send_blocking().unwrap().name, name);
                }
            });
        }
    });
    assert_eq!(client.list_api_keys().send_blocking().unwrap().len(), 81);
}

#[test]
fn blocking_call_in_async_code_is_rejected() {
    let script = with_runtime(Script::play([Step::status(404)]));
    let client = client_for(&script.value.url, "k");
    let assert_rejected = |error: Error| {
        assert_eq!((status_of(&error), error.attempts()), (None, 0), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with("get_api_key: "), "{message}");
        assert!(message.contains("await the call"), "{message}");
    };
    let called = client.clone();
    let call = move || called.get_api_key("my-app").send_blocking().unwrap_err();

    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let multi = Runtime::new().unwrap();
    for runtime in [&single, &multi] {
        assert_rejected(runtime.block_on(async { call() }));
        let call = call.clone();
        assert_rejected(
            runtime.block_on(async { tokio::spawn(async move { call() }).await.unwrap() }),
        );
    }
    assert_eq!(script.value.requests().len(), 0);

    // The runtime still works.
    let error = single.block_on(async {
        call();
        client.get_api_key("my-app").await.unwrap_err()
    });
    assert!(error.is_not_found(), "{error:?}");
}

#[test]
fn blocking_call_works_if_the_runtime_permits_blocking() {
    let script = with_runtime(Script::play([Step::status(404)]));
    let client = client_for(&script.value.url, "k");
    let call = move || client.get_api_key("my-app").send_blocking().unwrap_err();
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let multi = Runtime::new().unwrap();
    for runtime in [&single, &multi] {
        let call = call.clone();
        let error = runtime.block_on(async { tokio::task::spawn_blocking(call).await.unwrap() });
        assert!(error.is_not_found(), "{error:?}");
    }
    let error = multi.block_on(async { tokio::task::block_in_place(call) });
    assert!(error.is_not_found(), "{error:?}");
}

#[test]
fn blocking_call_in_other_async_contexts_is_rejected() {
    let server = with_runtime(Script::play([Step::status(500)]));
    let client = client_for(&server.value.url, "k");
    let rejected = |outcome: Result<(), Error>| {
        let error = outcome.unwrap_err();
        assert!(error.is_invalid_input(), "{error}");
        assert!(error.to_string().contains("would block the async runtime"), "{error}");
    };
    let call = || call(&client, "create_api_key");
    rejected(futures_executor::block_on(async { call() }));
    let own = Runtime::new().unwrap();
    rejected(own.block_on(tokio::task::unconstrained(async { call() })));
    let worker = client.clone();
    let call = async move { worker.create_api_key("my-app").send_blocking().map(drop) };
    rejected(own.block_on(own.spawn(tokio::task::unconstrained(call))).unwrap());
    assert!(server.value.requests().is_empty());
}

#[test]
fn blocking_call_in_a_thread_local_destructor_never_panics() {
    use std::cell::RefCell;
    use std::sync::mpsc::{Sender, channel};

    /// Sends a request when its thread ends.
    struct AtTheEnd(Client, Sender<Result<usize, Error>>);

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let outcome = self.0.list_api_keys().send_blocking();
            let _ = self.1.send(outcome.map(|keys| keys.len()));
        }
    }

    thread_local! {
        static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) };
    }

    let server = with_runtime(async { Server::start().await.unwrap() });
    let client = client_for(server.value.url(), server.value.admin_key().expose_secret());
    // Values are dropped in the reverse order of their first use.
    for (is_first_used_before_a_call, is_used_later) in [(true, true), (false, true), (true, false)]
    {
        let (sender, outcomes) = channel();
        let client = client.clone();
        let thread = thread::spawn(move || {
            let own = AtTheEnd(client.clone(), sender);
            let mut own = Some(own);
            if is_first_used_before_a_call {
                AT_THE_END.set(own.take());
            }
            if is_used_later {
                client.list_api_keys().send_blocking().unwrap();
            }
            if let Some(own) = own {
                AT_THE_END.set(Some(own));
            }
        });
        thread.join().unwrap();
        match outcomes.recv().unwrap() {
            Ok(keys) => assert_eq!(keys, 1),
            Err(error) => {
                assert!(error.is_invalid_input() && error.attempts() == 0, "{error}");
                assert!(error.to_string().contains("this thread is ending"), "{error}");
            }
        }
    }
}

#[test]
fn panic_in_credentials_reaches_the_caller() {
    let server = with_runtime(async { Server::start().await.unwrap() });
    let builder = Client::builder().api_server(server.value.url());
    let panics = || async { panic!("in the credentials") };
    let credentials = Credentials::from_fn::<_, _, String, std::io::Error>(panics);
    let client = builder.credentials(credentials).build().unwrap();
    let call = || client.list_api_keys().send_blocking().map(drop);
    let cause = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_err();
    assert_eq!(cause.downcast_ref::<&str>(), Some(&"in the credentials"));

    let client = client_for(server.value.url(), server.value.admin_key().expose_secret());
    client.list_api_keys().send_blocking().unwrap();
}
