//! The server of the measurements: sends the same response to every request on a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::{NAME, USER};

/// Serves until standard input ends.
pub fn serve(keys: usize) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            thread::spawn(move || respond(&connection, keys));
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn respond(connection: &TcpStream, keys: usize) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (get, list) = (response(key(0)), response((0..keys).map(key).collect()));
    let mut lines = BufReader::new(connection);
    let (mut line, mut is_get) = (String::new(), false);
    while lines.read_line(&mut line)? > 0 {
        if line.starts_with("GET ") {
            is_get = line.contains("/apikeys/");
        }
        if line == "\r\n" {
            let mut writer = connection;
            writer.write_all(if is_get { &get } else { &list })?;
        }
        line.clear();
    }
    Ok(())
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

fn response(data: Value) -> Vec<u8> {
    let body = json!({ "data": data }).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-trace-id: \
         4bf92f3577b34da6a3ce929d0e0e4736\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}
