//! Reads settings from the profiles of the vendor's command line. Errors show names of profiles,
//! and nothing else of the file. The check of the settings is in `settings`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::credentials::Credentials;
use crate::error::Error;
use crate::settings::{Sourced, SourcedSettings};
use crate::values::ApiKeyValue;

/// The file's path below the home directory.
const FILE: &str = ".config/rockset/config.yaml";

#[derive(Deserialize)]
struct Profiles {
    current: Option<String>,
    #[serde(default)]
    keys: BTreeMap<String, Profile>,
}

#[derive(Deserialize)]
struct Profile {
    apikey: Option<ApiKeyValue>,
    apiserver: Option<String>,
}

/// Reads the profile of this name, or the current one.
pub(crate) fn read(name: Option<&str>) -> Result<SourcedSettings, Error> {
    let file = path()?;
    let place = file.display();
    let text = fs::read_to_string(&file).map(Zeroizing::new).map_err(|error| {
        let reason = "cannot be read; check that the file exists, or use `Client::builder()`";
        Error::invalid_input_because(format!("the profiles in {place} {reason}"), error)
    })?;
    warn_of_wide_mode(&file);
    let mut profiles: Profiles = serde_norway::from_str(&text).map_err(|error| {
        // The parser's own text may quote a key.
        let line = error.location().map_or_else(String::new, |it| format!(" line {}:", it.line()));
        Error::invalid_input(format!(
            "{place}:{line} the form is not valid; write `current: NAME` and `keys: {{NAME: \
             {{apikey: TEXT, apiserver: TEXT}}}}`"
        ))
    })?;
    let names = profiles.keys.keys().map(String::as_str).collect::<Vec<_>>();
    let advice = match &names[..] {
        [] => "add one below `keys`".to_owned(),
        names => format!("call `from_profile` with one of: {}", names.join(", ")),
    };
    let name = name.or(profiles.current.as_deref()).ok_or_else(|| {
        Error::invalid_input(format!("{place} has no `current` profile; {advice}"))
    })?;
    let profile = profiles.keys.remove(name).ok_or_else(|| {
        Error::invalid_input(format!("{place} has no profile {name:?}; {advice}"))
    })?;
    let source = |field| format!("`keys.{name}.{field}` in {place}");
    let key = profile.apikey.ok_or_else(|| {
        Error::invalid_input(format!("{} is missing; set it to the client's key", source("apikey")))
    })?;
    Ok(SourcedSettings {
        credentials: Credentials::fixed(source("apikey"), key)?,
        api_server: profile.apiserver.map(|server| Sourced::new(source("apiserver"), server)),
    })
}

fn path() -> Result<PathBuf, Error> {
    let home = env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Error::invalid_input("the home directory, which holds the profiles, is unknown; set HOME")
    })?;
    Ok(home.join(FILE))
}

/// Warns if other users can read or write the file, as SSH does for its keys.
#[cfg(unix)]
fn warn_of_wide_mode(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(metadata) = fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            file = %file.display(),
            mode = %format_args!("{mode:o}"),
            "a file with API keys is accessible by other users; run `chmod 600`"
        );
    }
}

/// The mode does not tell who has access on other systems.
#[cfg(not(unix))]
fn warn_of_wide_mode(_: &Path) {}
