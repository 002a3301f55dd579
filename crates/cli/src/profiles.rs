//! The file of the vendor's profiles: reads a profile, and puts another key into one. Errors show
//! names of profiles, and nothing else of the file.

use std::path::PathBuf;
use std::{env, fs, io};

use rockset_apikeys::ApiKeyValue;
use serde_norway::{Mapping, Value};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};

/// The file's path below the home directory.
const FILE: &str = ".config/rockset/config.yaml";

pub(crate) struct Profiles(Mapping);

impl Profiles {
    pub(crate) fn exist() -> bool {
        Self::path().is_ok_and(|path| path.exists())
    }

    pub(crate) fn path() -> Result<PathBuf, Failure> {
        let home = env::home_dir().filter(|home| home.is_absolute());
        let home = home.ok_or_else(|| {
            invalid("the home directory, which holds the profiles, is unknown; set HOME")
        })?;
        Ok(home.join(FILE))
    }

    /// Reads the file.
    pub(crate) fn read() -> Result<Self, Failure> {
        let path = Self::path()?;
        let text = fs::read_to_string(&path).map(Zeroizing::new).map_err(|error| {
            invalid(format!("the profiles in {} cannot be read: {error}", path.display()))
        })?;
        Self::parse(&text)
    }

    /// Reads the file; one that does not exist has no profiles.
    pub(crate) fn read_or_empty() -> Result<Self, Failure> {
        match fs::metadata(Self::path()?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self(Mapping::new())),
            _ => Self::read(),
        }
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        // The parser's own text may quote a key.
        let parsed = serde_norway::from_str::<Option<Mapping>>(text).map_err(|error| {
            let line =
                error.location().map_or_else(String::new, |it| format!(" line {}", it.line()));
            invalid(format!("~/{FILE}{line} is not a mapping in YAML"))
        })?;
        let profiles = Self(parsed.unwrap_or_default());
        match profiles.0.get("keys") {
            None | Some(Value::Null | Value::Mapping(_)) => Ok(profiles),
            Some(_) => Err(invalid(format!("`keys` in ~/{FILE} is not a mapping of profiles"))),
        }
    }

    /// Returns the name of the current profile.
    pub(crate) fn current(&self) -> Option<&str> {
        self.0.get("current")?.as_str()
    }

    /// Returns the key of a profile, and its server if it has one.
    pub(crate) fn settings(&self, name: &str) -> Result<(ApiKeyValue, Option<String>), Failure> {
        let keys = self.0.get("keys").and_then(Value::as_mapping);
        let profile = keys.and_then(|keys| keys.get(name)).ok_or_else(|| {
            let names = keys.into_iter().flat_map(Mapping::keys).filter_map(Value::as_str);
            let names = names.collect::<Vec<_>>().join(", ");
            invalid(format!("~/{FILE} has no profile {name:?}; it has: {names}"))
        })?;
        let field = |field| profile.get(field).and_then(Value::as_str);
        let key = field("apikey").ok_or_else(|| {
            invalid(format!("profile {name} in ~/{FILE} has no `apikey`; set it to a key"))
        })?;
        Ok((key.into(), field("apiserver").map(str::to_owned)))
    }

    /// Returns the file with this key in a profile. A new profile gets the server too, and is the
    /// current one if there was none.
    pub(crate) fn with_key(
        mut self,
        name: &str,
        key: &ApiKeyValue,
        server: &str,
    ) -> Result<Zeroizing<String>, Failure> {
        self.0.entry("current".into()).or_insert_with(|| name.into());
        let keys = self.0.entry("keys".into()).or_insert(Value::Null);
        let profile =
            child(keys).and_then(|keys| child(keys.entry(name.into()).or_insert(Value::Null)));
        let profile = profile.ok_or_else(|| {
            invalid(format!("profile {name} in ~/{FILE} is not a mapping; correct it first"))
        })?;
        if profile.is_empty() {
            profile.insert("apiserver".into(), server.into());
        }
        profile.insert("apikey".into(), key.expose_secret().into());
        serde_norway::to_string(&self.0).map(Zeroizing::new).map_err(|error| {
            Failure::new(Code::Failed, format!("~/{FILE} cannot be written as YAML: {error}"))
        })
    }
}

/// Returns the mapping at a value, which becomes an empty one if it is null.
fn child(value: &mut Value) -> Option<&mut Mapping> {
    if value.is_null() {
        *value = Mapping::new().into();
    }
    value.as_mapping_mut()
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Code::Usage, message)
}
