//! What `serve` prints when it is ready: how to reach the server, and how to get a key.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{MAIN_SEPARATOR, absolute};

use rockset_apikeys::ApiKeyValue;

use super::users::require_output;
use crate::permission::Role;
use crate::{ADMIN, on_this_machine};

/// A server that is about to serve.
pub(super) struct Ready<'a> {
    pub(super) database: &'a str,
    pub(super) address: SocketAddr,
    pub(super) is_https: bool,
    pub(super) users: &'a [(String, Role)],
    /// The keys that are new, each with its owner.
    pub(super) new_keys: &'a [(String, ApiKeyValue)],
}

impl Ready<'_> {
    pub(super) fn print(&self) -> io::Result<()> {
        if !self.new_keys.is_empty() {
            require_output()?;
        }
        let mut out = io::stdout().lock();
        writeln!(out, "Rockset API-keys server, users and keys in {}", self.database)?;
        writeln!(out, "\n  export ROCKSET_APISERVER={}", self.url())?;
        for (email, key) in self.new_keys {
            let key = key.expose_secret();
            if email == ADMIN {
                writeln!(out, "  export ROCKSET_APIKEY={key}")?;
                writeln!(out, "\nThe key is {ADMIN}'s. Keep it: it is not shown again.")?;
            } else {
                writeln!(out, "\nKey of {email}, not shown again:\n\n  {key}")?;
            }
        }
        if self.new_keys.iter().all(|(email, _)| email != ADMIN) {
            writeln!(out, "\nKeys are shown only when they are new. This issues another one:")?;
            writeln!(out, "\n  export ROCKSET_APIKEY=$({})", self.command_for_a_key())?;
        }
        if let Some(hint) = self.hint() {
            writeln!(out, "\n{hint}")?;
        }
        writeln!(out, "\nCtrl-C stops it.")?;
        out.flush()
    }

    /// The URL for clients on this machine.
    fn url(&self) -> String {
        match (self.is_https, self.address) {
            // A certificate seldom has a loopback address.
            (true, address) if address.ip().is_unspecified() => {
                format!("https://localhost:{}", address.port())
            }
            (true, address) => format!("https://{address}"),
            (false, address) => format!("http://{}", on_this_machine(address)),
        }
    }

    /// What clients on other machines need.
    fn hint(&self) -> Option<String> {
        let (ip, port) = (self.address.ip(), self.address.port());
        let from_elsewhere = format!("Other machines reach it at port {port} of this one");
        match (self.is_https, ip.is_unspecified()) {
            _ if ip.is_loopback() => None,
            (true, false) => None,
            (true, true) => Some(format!("{from_elsewhere}, by a name in its certificate.")),
            (false, _) => Some(format!(
                "{from_elsewhere}. Keys then travel unencrypted,\n\
                 and clients have to permit that, in Rust with `allow_http(true)`, on the command \
                 line\nwith --allow-http. For https, serve with --tls-cert and --tls-key.",
            )),
        }
    }

    /// A command that prints a new key of an administrator, in whichever folder it is run.
    fn command_for_a_key(&self) -> String {
        let mut admins = self.users.iter().filter(|(_, role)| *role == Role::Admin);
        let first = admins.clone().next();
        let admin = admins.find(|(email, _)| email == ADMIN).or(first);
        let command = match admin {
            Some((email, _)) => vec!["users", "issue-key", email],
            None => vec!["users", "add", ADMIN, "--role", "admin"],
        };
        let program = std::env::args().next().unwrap_or_default();
        // A bare name is found by the shell.
        let program =
            if program.contains(MAIN_SEPARATOR) { in_any_folder(&program) } else { program };
        let file = self.database.strip_prefix("sqlite:").unwrap_or(self.database);
        let file = file.strip_prefix("//").unwrap_or(file);
        let database = format!("--database=sqlite:{}", in_any_folder(file));
        let words = [&[program.as_str()], &command[..], &[&database]].concat();
        words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

fn in_any_folder(path: &str) -> String {
    absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string())
}

/// A word of a command, as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._-:=@+,".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
