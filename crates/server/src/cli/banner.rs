//! The message of `serve` at startup: how to reach the server, and how to get a key.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{MAIN_SEPARATOR, absolute};

use rockset_apikeys::ApiKeyValue;

use super::user_commands::require_output;
use crate::permission::Role;
use crate::{ADMIN, client_address};

pub(super) struct Banner<'a> {
    pub(super) database: &'a str,
    pub(super) address: SocketAddr,
    pub(super) is_https: bool,
    pub(super) users: &'a [(String, Role)],
    /// The keys to print, each with its owner.
    pub(super) new_keys: &'a [(String, ApiKeyValue)],
}

impl Banner<'_> {
    pub(super) fn print(&self) -> io::Result<()> {
        if !self.new_keys.is_empty() {
            require_output()?;
        }
        let mut out = io::stdout().lock();
        writeln!(out, "Rockset API-keys server with users and keys in {}", self.database)?;
        writeln!(out, "\n  export ROCKSET_APISERVER={}", self.url())?;
        for (email, key) in self.new_keys {
            let key = key.expose_secret();
            if email == ADMIN {
                writeln!(out, "  export ROCKSET_APIKEY={key}")?;
                writeln!(out, "\nThis is the key of {ADMIN}. Store it: it is not shown again.")?;
            } else {
                writeln!(
                    out,
                    "\nThis is the key of {email}, which is not shown again:\n\n  {key}"
                )?;
            }
        }
        if self.new_keys.iter().all(|(email, _)| email != ADMIN) {
            writeln!(out, "\nKeys are shown only once. Run this to issue another one:")?;
            writeln!(out, "\n  export ROCKSET_APIKEY=$({})", self.command_for_a_key())?;
        }
        if let Some(hint) = self.hint() {
            writeln!(out, "\n{hint}")?;
        }
        writeln!(out, "\nPress Ctrl-C to stop the server.")?;
        out.flush()
    }

    /// Returns the URL for local clients.
    fn url(&self) -> String {
        match (self.is_https, self.address) {
            // Certificates rarely contain a loopback address.
            (true, address) if address.ip().is_unspecified() => {
                format!("https://localhost:{}", address.port())
            }
            (true, address) => format!("https://{address}"),
            (false, address) => format!("http://{}", client_address(address)),
        }
    }

    /// Returns a hint for clients on other machines.
    fn hint(&self) -> Option<String> {
        let (ip, port) = (self.address.ip(), self.address.port());
        let access = format!("Other machines can connect to port {port} of this host");
        match (self.is_https, ip.is_unspecified()) {
            _ if ip.is_loopback() => None,
            (true, false) => None,
            (true, true) => Some(format!("{access} by a name in its certificate.")),
            (false, _) => Some(format!(
                "{access}. Keys are sent unencrypted, which clients\n\
                 must allow: in Rust with `allow_http(true)`, in the CLI with --allow-http. Pass\n\
                 --tls-cert and --tls-key to serve https.",
            )),
        }
    }

    /// Returns a command that prints a new key of an administrator. It works in any directory.
    fn command_for_a_key(&self) -> String {
        let mut admins = self.users.iter().filter(|(_, role)| *role == Role::Admin);
        let first = admins.clone().next();
        let admin = admins.find(|(email, _)| email == ADMIN).or(first);
        let command = match admin {
            Some((email, _)) => vec!["users", "issue-key", email],
            None => vec!["users", "add", ADMIN, "--role", "admin"],
        };
        let program = std::env::args().next().unwrap_or_default();
        // The shell finds a bare name in its search path.
        let program =
            if program.contains(MAIN_SEPARATOR) { absolute_path(&program) } else { program };
        let file = self.database.strip_prefix("sqlite:").unwrap_or(self.database);
        let file = file.strip_prefix("//").unwrap_or(file);
        let database = format!("--database=sqlite:{}", absolute_path(file));
        let words = [&[program.as_str()], &command[..], &[&database]].concat();
        words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

fn absolute_path(path: &str) -> String {
    absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// Quotes a word of a command for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-:=@+,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
