//! The server as a program: prints where it is and how to sign requests, and serves until Ctrl-C.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use rockset_apikeys_server::{Role, Server};

/// Serve Rockset's API-keys API on this machine. What it is told is kept in memory and gone when it
/// stops.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen at; port 0 stands for a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// A user besides the administrator admin@me.com, with a role: read-only, member or admin
    #[arg(long = "user", value_name = "EMAIL=ROLE", value_parser = user)]
    users: Vec<(String, Role)>,
}

fn user(text: &str) -> Result<(String, Role), String> {
    let (email, role) = text.rsplit_once('=').ok_or("give a user as EMAIL=ROLE")?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    Ok((email.to_owned(), role))
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rockset-apikeys-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> std::io::Result<()> {
    let listen = arguments.listen;
    let mut builder = Server::builder().listen(listen);
    for (email, role) in arguments.users {
        builder = builder.user(email, role);
    }
    let server = builder.start().await.map_err(|error| {
        std::io::Error::new(error.kind(), format!("cannot serve at {listen}: {error}"))
    })?;
    println!("Rockset API-keys server, state in memory. For clients in another shell:\n");
    println!("  export ROCKSET_APISERVER={}", server.url());
    println!("  export ROCKSET_APIKEY={}", server.admin_key().expose_secret());
    for (email, key) in server.keys().skip(1) {
        println!("\nKey of {email}:\n\n  {}", key.expose_secret());
    }
    println!("\nCtrl-C stops it.");
    tokio::signal::ctrl_c().await
}
