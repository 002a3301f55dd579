//! Reads settings from the profiles of the vendor's CLI. Errors contain names of profiles and
//! nothing else from the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::Config;
use crate::credentials::Credentials;
use crate::error::Error;
use crate::settings::Sourced;
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

/// Reads the profile with this name, or the current one.
pub(super) fn read(name: Option<&str>) -> Result<Config, Error> {
    let path = path()?;
    let file = path.display();
    let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
        Error::invalid_input(format!(
            "cannot read profiles from {file}: {error}; check its path and permissions"
        ))
    })?;
    let mut profiles: Profiles = yaml_serde::from_str(&text).map_err(|error| {
        // The parser's message may quote a key.
        let line = error.location().map_or_else(String::new, |it| format!(" line {}:", it.line()));
        Error::invalid_input(format!(
            "{file}:{line} invalid profiles; write `current: NAME` and `keys: {{NAME: {{apikey: \
             KEY, apiserver: URL}}}}`"
        ))
    })?;
    let names = profiles.keys.keys().map(String::as_str).collect::<Vec<_>>();
    let fix = match &names[..] {
        [] => "add one below `keys`".to_owned(),
        names => format!("use one of: {}", names.join(", ")),
    };
    let name = name
        .or(profiles.current.as_deref())
        .ok_or_else(|| Error::invalid_input(format!("{file} has no `current` profile; {fix}")))?;
    let profile = profiles
        .keys
        .remove(name)
        .ok_or_else(|| Error::invalid_input(format!("{file} has no profile {name:?}; {fix}")))?;
    let source = |field| format!("`keys.{name}.{field}` in {file}");
    let key = profile.apikey.ok_or_else(|| {
        Error::invalid_input(format!("{} is missing; set it to the client's key", source("apikey")))
    })?;
    let credentials = Credentials::fixed(source("apikey"), key)?;
    let mut config = Config::new(
        Sourced::new(source("apikey"), credentials),
        Sourced::new(source("apiserver"), profile.apiserver),
    );
    config.warning = permissions_warning(&path);
    Ok(config)
}

pub(super) fn path() -> Result<PathBuf, Error> {
    let home = env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Error::invalid_input(
            "cannot find the home directory, which contains the profiles; set HOME",
        )
    })?;
    Ok(home.join(FILE))
}

/// Logs and returns a warning if other users can read or write the file, as SSH does for its keys.
#[cfg(unix)]
fn permissions_warning(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;

    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return None;
    }
    let file = path.display();
    let warning = format!("other users can access {file}; run `chmod 600 {file}`");
    tracing::warn!(mode = %format_args!("{mode:o}"), "{warning}");
    Some(warning)
}

/// On other systems the mode does not show who has access.
#[cfg(not(unix))]
fn permissions_warning(_: &Path) -> Option<String> {
    None
}
