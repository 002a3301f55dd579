//! The file in which the vendor's command line keeps its profiles. Nothing of it but the names of
//! profiles gets into an error's text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::client::Given;
use crate::{ApiKeyValue, ClientBuilder, Error};

/// Where the file is, below the user's home directory.
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

/// Takes over what the profile of this name says, or the current one.
pub(crate) fn read(builder: ClientBuilder, name: Option<&str>) -> Result<ClientBuilder, Error> {
    let file = path()?;
    let place = file.display();
    let text = fs::read_to_string(&file).map(Zeroizing::new).map_err(|error| {
        Error::refused_because(format!("the profiles in {place} cannot be read"), error)
    })?;
    warn_of_wide_mode(&file);
    let profiles: Profiles = serde_norway::from_str(&text).map_err(|error| {
        // The parser's own text may quote a key.
        let line = error.location().map_or_else(String::new, |it| format!(" line {}:", it.line()));
        Error::refused(format!(
            "{place}:{line} it is not of the form `current: NAME`, `keys: {{NAME: {{apikey: TEXT, \
             apiserver: TEXT}}}}`"
        ))
    })?;
    let names = profiles.keys.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let name = name.or(profiles.current.as_deref()).ok_or_else(|| {
        Error::refused(format!("{place} has no `current` profile; name one of these: {names}"))
    })?;
    let profile = profiles.keys.get(name).ok_or_else(|| {
        Error::refused(format!("{place} has no profile {name:?}; its profiles are: {names}"))
    })?;
    let setting = |field| format!("`keys.{name}.{field}` in {place}");
    let key = profile.apikey.clone().ok_or_else(|| {
        Error::refused(format!("{} is missing; set it to an API key", setting("apikey")))
    })?;
    let builder = builder.found_api_key(Given::new(setting("apikey"), key));
    Ok(match &profile.apiserver {
        Some(server) => builder.found_api_server(Given::new(setting("apiserver"), server.clone())),
        None => builder,
    })
}

fn path() -> Result<PathBuf, Error> {
    let home = env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| {
        Error::refused("the home directory, with the profiles in it, is not known; set HOME")
    })?;
    Ok(home.join(FILE))
}

/// Warns where others than the owner may read or write the file, as SSH does of its keys.
#[cfg(unix)]
fn warn_of_wide_mode(file: &Path) {
    use std::os::unix::fs::PermissionsExt;

    let Ok(metadata) = fs::metadata(file) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            file = %file.display(),
            mode = %format_args!("{mode:o}"),
            "others than its owner have access to a file with API keys; set its mode to 600"
        );
    }
}

/// Elsewhere, who has access to a file is not in its mode.
#[cfg(not(unix))]
fn warn_of_wide_mode(_: &Path) {}
