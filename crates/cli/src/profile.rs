//! Sets the key of a profile in the vendor's YAML file. The library reads profiles. Errors contain
//! no values from the file.

use rockset_apikeys::ApiKeyValue;
use yaml_serde::{Mapping, Value};
use zeroize::Zeroizing;

/// Returns the file with this key in a profile; comments are lost. A new profile gets the API
/// server as well, and becomes the current one if there is none.
pub(crate) fn with_key(
    file: &[u8],
    name: &str,
    key: &ApiKeyValue,
    server: &str,
) -> Result<Zeroizing<Vec<u8>>, String> {
    let parsed = yaml_serde::from_slice::<Option<Mapping>>(file).map_err(|error| {
        // The parser's message may quote a key.
        let line = error.location().map_or_else(String::new, |it| format!("line {}: ", it.line()));
        format!("{line}the profiles are not a YAML mapping")
    })?;
    let mut profiles = parsed.unwrap_or_default();
    profiles.entry("current".into()).or_insert_with(|| name.into());
    let keys = mapping(profiles.entry("keys".into()).or_insert(Value::Null))
        .ok_or("`keys` is not a mapping of profiles")?;
    let profile = mapping(keys.entry(name.into()).or_insert(Value::Null))
        .ok_or_else(|| format!("profile {name} is not a mapping"))?;
    if profile.is_empty() {
        profile.insert("apiserver".into(), server.into());
    }
    profile.insert("apikey".into(), key.expose_secret().into());
    let text = yaml_serde::to_string(&profiles).map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(text.into_bytes()))
}

/// Returns the mapping in a value, and replaces null with an empty one.
fn mapping(value: &mut Value) -> Option<&mut Mapping> {
    if value.is_null() {
        *value = Mapping::new().into();
    }
    value.as_mapping_mut()
}
