//! The global options. Flags override the environment, which overrides the current profile.

use std::path::PathBuf;

use rockset_apikeys::{Client, Config};

use crate::failure::Failure;
use crate::output::{Format, note};

#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// API server: a URL or a host
    #[arg(long, global = true, value_name = "URL")]
    api_server: Option<String>,
    /// File that contains the client's key
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "profile")]
    api_key_file: Option<PathBuf>,
    /// Profile in ~/.config/rockset/config.yaml
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
    /// Permit http:// to servers other than localhost, which sends the key unencrypted
    #[arg(long, global = true)]
    allow_http: bool,
    /// Output format; with json, errors are JSON as well
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Never prompt
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

impl Globals {
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(self.connect()?.0)
    }

    /// Returns the client and its configuration. Prints warnings unless a program reads the output.
    pub(crate) fn connect(&self) -> Result<(Client, Config), Failure> {
        let mut config = match (&self.api_key_file, &self.profile) {
            (Some(path), _) => Config::from_key_file(path)?,
            (None, Some(name)) => Config::from_profile(name)?,
            (None, None) => Config::from_env_or_profile()?,
        };
        if let Some(server) = &self.api_server {
            config = config.with_api_server("--api-server", server);
        }
        let app_name = concat!("rockset-apikeys-cli/", env!("CARGO_PKG_VERSION"));
        let builder = Client::builder().config(&config).app_name(app_name);
        let client = builder.allow_http(self.allow_http).build()?;
        if let Some(warning) = config.warning().filter(|_| self.format == Format::Table) {
            note(&format!("warning: {warning}"));
        }
        Ok((client, config))
    }

    /// Returns a shell command that runs this program with the same global options.
    pub(crate) fn command<'a>(&'a self, arguments: impl IntoIterator<Item = &'a str>) -> String {
        let mut words = vec!["rockset-apikeys"];
        if let Some(server) = &self.api_server {
            words.extend(["--api-server", server]);
        }
        if let Some(path) = self.api_key_file.as_ref().and_then(|path| path.to_str()) {
            words.extend(["--api-key-file", path]);
        }
        if let Some(name) = &self.profile {
            words.extend(["--profile", name]);
        }
        if self.allow_http {
            words.push("--allow-http");
        }
        words.extend(arguments);
        // Only a NUL byte cannot be quoted, and no argument contains one.
        shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "))
    }
}
