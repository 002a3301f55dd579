//! Where the client's key and the API server come from: flags, then the environment, then the
//! vendor's profiles. A profile gives both, so that its key never goes to the server of another
//! source; the flag `--api-server` alone overrides it.

use std::env::{self, VarError};
use std::fs;
use std::path::{Path, PathBuf};

use rockset_apikeys::{ApiKeyValue, Client};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};
use crate::output::shell_line;
use crate::profiles::Profiles;

#[derive(Clone, clap::Args)]
pub(crate) struct Flags {
    /// URL or host of the API server
    #[arg(long, global = true, help_heading = "Global options", value_name = "URL")]
    api_server: Option<String>,
    /// File with the key that authenticates
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "PATH",
        conflicts_with = "profile"
    )]
    api_key_file: Option<PathBuf>,
    /// Profile in ~/.config/rockset/config.yaml
    #[arg(long, global = true, help_heading = "Global options", value_name = "NAME")]
    profile: Option<String>,
    /// Send the key unencrypted to an http:// server that is not this machine
    #[arg(long, global = true, help_heading = "Global options")]
    allow_http: bool,
}

/// A client, and where its settings come from.
pub(crate) struct Config {
    pub(crate) client: Client,
    /// The first characters of the client's key, which may be shown.
    pub(crate) identifier: String,
    pub(crate) key_source: String,
    pub(crate) server_source: String,
    /// What a person should know.
    pub(crate) warning: Option<String>,
}

struct Settings {
    key: ApiKeyValue,
    key_source: String,
    server: Option<String>,
    /// Where the server comes from, or is missing.
    server_source: String,
    warning: Option<String>,
}

impl Flags {
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let mut settings = self.settings()?;
        if let Some(server) = &self.api_server {
            settings.server = Some(server.clone());
            settings.server_source = "--api-server".to_owned();
        }
        let Settings { key, key_source, server, server_source, warning } = settings;
        let Some(server) = server else {
            return Err(invalid(format!(
                "{server_source} is not set; set it, or pass --api-server"
            )));
        };
        let identifier = key.identifier().to_owned();
        let application = concat!("rockset-apikeys-cli/", env!("CARGO_PKG_VERSION"));
        let builder = Client::builder().api_server(server).api_key(key).app_name(application);
        let client = builder.allow_http(self.allow_http).build().map_err(|error| {
            invalid(format!("the key from {key_source}, the server from {server_source}: {error}"))
        })?;
        Ok(Config { client, identifier, key_source, server_source, warning })
    }

    fn settings(&self) -> Result<Settings, Failure> {
        if let Some(path) = &self.api_key_file {
            return Ok(Settings {
                key: key_in(path)?,
                key_source: format!("--api-key-file {}", path.display()),
                server: variable(SERVER)?,
                server_source: SERVER.to_owned(),
                warning: None,
            });
        }
        if let Some(name) = &self.profile {
            return profile(&Profiles::read()?, name);
        }
        let (key_source, key) = match (variable(KEY)?.map(Zeroizing::new), variable(KEY_FILE)?) {
            (Some(_), Some(_)) => {
                return Err(invalid(format!("{KEY} and {KEY_FILE} are both set; unset one")));
            }
            (Some(key), None) => (KEY.to_owned(), ApiKeyValue::from(key.as_str())),
            (None, Some(path)) => (format!("{KEY_FILE} {path}"), key_in(Path::new(&path))?),
            (None, None) if variable(SERVER)?.is_some() => {
                return Err(invalid(format!(
                    "{SERVER} is set, but neither {KEY} nor {KEY_FILE}; set one, or unset {SERVER} \
                     to use the current profile"
                )));
            }
            (None, None) => return current_profile(),
        };
        Ok(Settings {
            key,
            key_source,
            server: variable(SERVER)?,
            server_source: SERVER.to_owned(),
            warning: None,
        })
    }

    /// Returns a command of this program that has these settings.
    pub(crate) fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let mut line = vec!["rockset-apikeys"];
        if let Some(server) = &self.api_server {
            line.extend(["--api-server", server]);
        }
        if let Some(path) = self.api_key_file.as_ref().and_then(|path| path.to_str()) {
            line.extend(["--api-key-file", path]);
        }
        if let Some(name) = &self.profile {
            line.extend(["--profile", name]);
        }
        if self.allow_http {
            line.push("--allow-http");
        }
        line.extend(arguments);
        shell_line(line)
    }
}

const KEY: &str = "ROCKSET_APIKEY";
const KEY_FILE: &str = "ROCKSET_APIKEY_FILE";
const SERVER: &str = "ROCKSET_APISERVER";

fn current_profile() -> Result<Settings, Failure> {
    let nothing = || {
        invalid(format!(
            "no key to authenticate with; set {KEY} and {SERVER}, or pass --profile or \
             --api-key-file"
        ))
    };
    if !Profiles::exist() {
        return Err(nothing());
    }
    let profiles = Profiles::read()?;
    let name = profiles.current().ok_or_else(nothing)?;
    profile(&profiles, name)
}

fn profile(profiles: &Profiles, name: &str) -> Result<Settings, Failure> {
    let (key, server) = profiles.settings(name)?;
    Ok(Settings {
        key,
        key_source: format!("profile {name}"),
        server,
        server_source: format!("the apiserver of profile {name}"),
        warning: wide_mode(&Profiles::path()?),
    })
}

/// Returns a warning if other users can read or write a file with keys, as SSH does.
#[cfg(unix)]
fn wide_mode(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(file).ok()?.permissions().mode();
    let file = file.display();
    let text = || format!("warning: other users have access to {file}; run `chmod 600 {file}`");
    (mode & 0o077 != 0).then(text)
}

/// The mode does not tell who has access on other systems.
#[cfg(not(unix))]
fn wide_mode(_: &Path) -> Option<String> {
    None
}

/// Reads the key in a file.
fn key_in(path: &Path) -> Result<ApiKeyValue, Failure> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        invalid(format!("the key cannot be read from {}: {error}", path.display()))
    })?;
    Ok(ApiKeyValue::from(text.trim()))
}

/// Returns the value of a variable, or `None` if it is not set.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) if value.is_empty() => {
            Err(invalid(format!("{name} is set but empty; set it to a value, or unset it")))
        }
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(invalid(format!("{name} is not Unicode"))),
    }
}

fn invalid(message: String) -> Failure {
    Failure::new(Code::Usage, message)
}
