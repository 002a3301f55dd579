//! Kills the program at every request of a rotation, then resumes the rotation.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::rotate::{DAY, Stage};

/// When the program is killed: before the server receives the request, or before the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    After,
}

/// Forwards requests to a server, and kills the program at one of them.
struct Proxy {
    server: SocketAddr,
    address: SocketAddr,
    kill_at: (usize, Moment),
    requests: AtomicUsize,
    /// Locked while a program is started.
    program: Mutex<Option<u32>>,
}

impl Proxy {
    fn start(server: &str, kill_at: (usize, Moment)) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Arc::new(Self {
            server: server.strip_prefix("http://").unwrap().parse().unwrap(),
            address: listener.local_addr().unwrap(),
            kill_at,
            requests: AtomicUsize::new(0),
            program: Mutex::new(None),
        });
        let handler = Arc::clone(&proxy);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let handler = Arc::clone(&handler);
                // The program may have been killed.
                thread::spawn(move || handler.forward(&connection.unwrap()));
            }
        });
        proxy
    }

    /// Forwards the only request of a connection.
    fn forward(&self, program: &TcpStream) -> io::Result<()> {
        let request = read_request(program)?;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        if self.kill_at == (number, Moment::Before) {
            self.kill();
            return Ok(());
        }
        let mut server = TcpStream::connect(self.server)?;
        server.write_all(&request)?;
        let mut response = Vec::new();
        server.read_to_end(&mut response)?;
        if self.kill_at == (number, Moment::After) {
            self.kill();
            return Ok(());
        }
        let mut program = program;
        program.write_all(&response)
    }

    fn kill(&self) {
        let program = self.program.lock().unwrap().expect("a program runs");
        let status = Command::new("kill").args(["-9", &program.to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Runs a program. Returns true if it was killed.
    fn run(&self, program: &mut Command) -> bool {
        program.env("ROCKSET_APISERVER", format!("http://{}", self.address));
        program.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = {
            let mut running = self.program.lock().unwrap();
            let child = program.spawn().unwrap();
            *running = Some(child.id());
            child
        };
        let output = child.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), None | Some(0)), "{output:?}");
        output.status.code().is_none()
    }
}

/// Reads a request and adds `connection: close`.
fn read_request(program: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(program);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    request += "connection: close\r\n";
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        request += &line;
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok([request.into_bytes(), body].concat())
}

/// Rotates a key and kills the program once. Returns false if the rotation has fewer requests.
fn rotate_with_kill(kill_at: (usize, Moment)) -> bool {
    let stage = Stage::new();
    let proxy = Proxy::start(stage.setup.server.url(), kill_at);
    let mut was_killed = false;
    for _ in 0..10 {
        let rotation = stage.last();
        let mut program = stage.setup.program();
        match rotation.as_ref().map(|it| it["step"] == "done") {
            Some(true) => break,
            Some(false) => program.args(["rotate", "resume"]),
            None => program.args(["rotate", "start", "my-app", "--out", "dotenv:.env#KEY"]),
        };
        was_killed |= proxy.run(&mut program);
        stage.assert_deployed_works();
        stage.clock.advance(DAY * 8);
    }
    assert_eq!(stage.last().unwrap()["step"], "done", "{kill_at:?}");
    assert_eq!(stage.setup.names(), ["initial", "my-app.r2"], "{kill_at:?}");
    assert_eq!(stage.setup.read(".env"), format!("A=1\nKEY={}\n", stage.setup.value("my-app.r2")));
    was_killed
}

#[test]
fn rotation_resumes_after_kill_at_any_request() {
    let threads = [Moment::Before, Moment::After].map(|moment| {
        thread::spawn(move || {
            (0..).take_while(|&request| rotate_with_kill((request, moment))).count()
        })
    });
    for thread in threads {
        // Every step sends requests.
        assert!(thread.join().unwrap() >= 15);
    }
}
