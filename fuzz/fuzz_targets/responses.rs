//! Answers a call with the input, from the status line to the end of the body, over a socket as any
//! server would. Whatever it is, the call ends with a value or an error, and the error's text is
//! one line without the key that signed the request.

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

const KEY: &str = "the-signing-key";

struct Stage {
    runtime: Runtime,
    tasks: LocalSet,
    client: Client,
    answer: Rc<RefCell<Vec<u8>>>,
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let client = Client::builder()
            .api_server(format!("http://{}", listener.local_addr().unwrap()))
            .api_key(KEY)
            .retry_policy(RetryPolicy::none())
            .max_response_bytes(1 << 16)
            .timeout(Duration::from_secs(5))
            .build()
            .unwrap();
        let (tasks, answer) = (LocalSet::new(), Rc::<RefCell<Vec<u8>>>::default());
        let answers = Rc::clone(&answer);
        tasks.spawn_local(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                // A request of these operations comes in one piece.
                let _ = connection.read(&mut [0; 4096]).await;
                let answer = answers.borrow().clone();
                let _ = connection.write_all(&answer).await;
                let _ = connection.shutdown().await;
            }
        });
        Self { runtime, tasks, client, answer }
    }

    fn answer(&self, answer: &[u8]) {
        *self.answer.borrow_mut() = answer.to_owned();
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
        assert!(!text.contains(KEY), "{text}");
        assert_eq!(error.attempts(), 1);
    }
}

thread_local! {
    static STAGE: Stage = Stage::new();
}

fuzz_target!(|answer: &[u8]| STAGE.with(|stage| stage.answer(answer)));
