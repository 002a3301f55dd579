//! The server of the measurements, which sends fixed responses.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::{process, thread};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::Barrier;

use crate::client::{BoxError, NAME, USER};

struct Responses {
    get: Vec<u8>,
    list: Vec<u8>,
    /// Holds requests until their number is reached.
    barrier: Barrier,
}

/// Serves until standard input ends.
pub fn serve(keys: usize, hold: usize) -> Result<(), BoxError> {
    let get = response(&json!({ "data": key(0) }).to_string());
    let list = response(&listing(keys));
    let responses = Arc::new(Responses { get, list, barrier: Barrier::new(hold) });
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        socket.listen(u32::try_from(hold.max(1_024)).map_err(io::Error::other)?)
    })?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        let Err(error) = runtime.block_on(accept(&listener, &responses));
        eprintln!("cannot accept a connection: {error}");
        process::exit(1);
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn accept(listener: &TcpListener, responses: &Arc<Responses>) -> io::Result<Infallible> {
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let responses = Arc::clone(responses);
        tokio::spawn(async move { respond(connection, &responses).await });
    }
}

async fn respond(mut connection: TcpStream, responses: &Responses) -> io::Result<()> {
    let (reader, mut writer) = connection.split();
    let mut lines = BufReader::with_capacity(1_024, reader);
    let (mut line, mut is_get) = (String::new(), false);
    while lines.read_line(&mut line).await? > 0 {
        if line.starts_with("GET ") {
            is_get = line.contains("/apikeys/");
        }
        if line == "\r\n" {
            responses.barrier.wait().await;
            writer.write_all(if is_get { &responses.get } else { &responses.list }).await?;
        }
        line.clear();
    }
    Ok(())
}

/// Returns the body of a listing.
pub fn listing(keys: usize) -> String {
    let keys: Vec<_> = (0..keys).map(|number| key(number).to_string()).collect();
    format!(r#"{{"data":[{}]}}"#, keys.join(","))
}

fn key(number: usize) -> Value {
    let name = if number == 0 { NAME.to_owned() } else { format!("{NAME}-{number}") };
    json!({
        "created_at": "2026-11-23T15:11:05.787Z",
        "created_by": USER,
        "created_by_apikey_name": "initial",
        "key": "2B9m4O",
        "last_access_time": "2026-11-23T15:11:07.442Z",
        "name": name,
        "role": "read-only",
        "state": "ACTIVE",
    })
}

fn response(body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-trace-id: \
         4bf92f3577b34da6a3ce929d0e0e4736\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + body).into_bytes()
}
