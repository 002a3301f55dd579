//! A server that plays a script, byte by byte. Unlike a mock server, it can reset connections, cut
//! off responses, and send endless responses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The server's reaction to one request. The connection is closed afterwards.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Sends these bytes, then nothing until the client disconnects.
    Hang(Vec<u8>),
    /// Sends these bytes, then spaces one at a time until the client disconnects.
    Drip(Vec<u8>),
    /// Sends these bytes, then spaces as fast as possible until the client disconnects.
    Flood(Vec<u8>),
}

impl Step {
    /// Creates a response. Each of the headers ends with a line break.
    pub fn response(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n");
        Self::Send([head.as_bytes(), body].concat())
    }

    pub fn status(status: u16) -> Self {
        Self::response(status, "", "")
    }
}

pub struct Script {
    pub url: String,
    state: Arc<Mutex<State>>,
    done: Arc<Notify>,
}

struct State {
    steps: Vec<Step>,
    requests: Vec<Vec<u8>>,
}

impl Script {
    /// Plays these steps, one per request, and the last step for all further requests.
    pub async fn play(steps: impl Into<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { steps: steps.into(), requests: Vec::new() }));
        let script = Self { url, state, done: Arc::default() };
        let (state, done) = (Arc::clone(&script.state), Arc::clone(&script.done));
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (state, done) = (Arc::clone(&state), Arc::clone(&done));
                tokio::spawn(async move {
                    let Some(request) = read_request(&mut connection).await else { return };
                    let step = {
                        let mut state = state.lock().unwrap();
                        state.requests.push(request);
                        let step = state.steps.get(state.requests.len() - 1);
                        step.or(state.steps.last()).expect("a step").clone()
                    };
                    perform(&step, &mut connection).await;
                    done.notify_one();
                });
            }
        });
        script
    }

    /// Restarts with another step, and clears the requests.
    pub fn play_again(&self, step: Step) {
        *self.state.lock().unwrap() = State { steps: vec![step], requests: Vec::new() };
    }

    /// Returns the received requests.
    pub fn requests(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.requests.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect()
    }

    /// Waits until the server has finished a request.
    pub async fn one_done(&self) {
        self.done.notified().await;
    }
}

async fn perform(step: &Step, connection: &mut TcpStream) {
    match step {
        Step::Send(bytes) => {
            let _ = connection.write_all(bytes).await;
            let _ = connection.shutdown().await;
        }
        Step::Reset => connection.set_zero_linger().unwrap(),
        Step::Hang(bytes) => {
            let _ = connection.write_all(bytes).await;
            // Returns when the client closes the connection, because it sends nothing more.
            let _ = connection.read(&mut [0]).await;
        }
        Step::Drip(bytes) => {
            let mut sent = connection.write_all(bytes).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
                sent = connection.write_all(b" ").await;
            }
        }
        Step::Flood(bytes) => {
            let mut sent = connection.write_all(bytes).await;
            while sent.is_ok() {
                sent = connection.write_all(&[b' '; 65_536]).await;
            }
        }
    }
}

/// Reads a request with its body, or returns `None` if the client disconnects before its end.
async fn read_request(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(request);
            }
        }
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
}
