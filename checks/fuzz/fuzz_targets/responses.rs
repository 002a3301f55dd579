//! Sends the input over a socket as the response to a call, from the status line to the end of the
//! body. Each call must return a value or an error, whose message is one line and contains no part
//! of the client's key, plain or escaped.

#![no_main]

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rockset_apikeys::{Client, Error, RetryPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const KEY: &str = "the-clients-key";

/// The length of a key's identifier; longer parts are secret.
const IDENTIFIER_LENGTH: usize = 6;

/// A client and its server, which all inputs share.
struct Fixture {
    runtime: Runtime,
    tasks: LocalSet,
    client: Client,
    response: Rc<RefCell<Vec<u8>>>,
}

impl Fixture {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let client = Client::builder()
            .api_server(format!("http://{}", listener.local_addr().unwrap()))
            .api_key(KEY)
            .retry_policy(RetryPolicy::never())
            .max_response_bytes(1 << 16)
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let (tasks, response) = (LocalSet::new(), Rc::<RefCell<Vec<u8>>>::default());
        let responses = Rc::clone(&response);
        tasks.spawn_local(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                // The requests of these operations are short enough for one read.
                let _ = connection.read(&mut [0; 4096]).await;
                let response = responses.borrow().clone();
                let _ = connection.write_all(&response).await;
                let _ = connection.shutdown().await;
            }
        });
        Self { runtime, tasks, client, response }
    }

    fn respond(&self, response: &[u8]) {
        *self.response.borrow_mut() = response.to_owned();
        self.tasks.block_on(&self.runtime, async {
            check(self.client.get_api_key("n").await);
            check(self.client.list_api_keys().await);
            let generated = self.client.generated().list_api_keys().user("self").send().await;
            let debug = format!("{:?}", generated.err());
            assert!(!debug.contains(KEY), "{debug}");
        });
    }
}

fn check(result: Result<impl Debug, Error>) {
    if let Err(error) = result {
        let display = error.to_string();
        assert!(!display.contains(char::is_control), "{display}");
        let all = format!("{display} {error:?} {:?}", error.details());
        let message = error.details().and_then(|details| details.message.clone());
        for text in [unescaped(message.unwrap_or_default()), unescaped(all.clone()), all] {
            let text = text.to_ascii_lowercase();
            for part in KEY.as_bytes().windows(IDENTIFIER_LENGTH + 1) {
                assert!(!text.contains(str::from_utf8(part).unwrap()), "{text}");
            }
        }
        assert_eq!(error.attempts(), 1);
    }
}

/// Replaces escapes of the key's characters.
fn unescaped(mut text: String) -> String {
    if text.contains(['%', '&', '\\']) {
        text.make_ascii_lowercase();
        for char in KEY.chars() {
            let code = u32::from(char);
            for escape in [
                format!("%{code:02x}"),
                format!("&#{code};"),
                format!("&#x{code:x};"),
                format!("\\u{code:04x}"),
            ] {
                text = text.replace(&escape, &char.to_string());
            }
        }
    }
    text
}

thread_local! {
    static FIXTURE: Fixture = Fixture::new();
}

fuzz_target!(|response: &[u8]| FIXTURE.with(|fixture| fixture.respond(response)));
