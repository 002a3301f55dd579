//! Sends the input over a socket as the response to a call, from the status line to the end of the
//! body. Every call must end with a value or an error, and the error's text must be one line
//! without a piece of the client's key, as it stands or escaped.

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

/// The length of a key's identifier; longer pieces are secret.
const IDENTIFIER_LENGTH: usize = 6;

/// A client and its server, shared by all inputs.
struct Stage {
    runtime: Runtime,
    tasks: LocalSet,
    client: Client,
    response: Rc<RefCell<Vec<u8>>>,
}

impl Stage {
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
                // A request of these operations arrives in one piece.
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
            let text = format!("{:?}", generated.err());
            assert!(!text.contains(KEY), "{text}");
        });
    }
}

fn check(outcome: Result<impl Debug, Error>) {
    if let Err(error) = outcome {
        let text = error.to_string();
        assert!(!text.contains(char::is_control), "{text}");
        let text = format!("{text} {error:?} {:?}", error.details());
        let message = error.details().and_then(|details| details.message.clone());
        for text in [unescaped(message.unwrap_or_default()), unescaped(text.clone()), text] {
            let text = text.to_ascii_lowercase();
            for piece in KEY.as_bytes().windows(IDENTIFIER_LENGTH + 1) {
                assert!(!text.contains(str::from_utf8(piece).unwrap()), "{text}");
            }
        }
        assert_eq!(error.attempts(), 1);
    }
}

/// Undoes escapes of the key's characters.
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
    static STAGE: Stage = Stage::new();
}

fuzz_target!(|response: &[u8]| STAGE.with(|stage| stage.respond(response)));
