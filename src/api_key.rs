//! What the generated type of an API key lacks: a constructor, for tests of programs that get one.

use crate::generated::types::ApiKey;
use crate::values::ApiKeyValue;

impl ApiKey {
    /// Makes a key of a name and a value, for tests; the other fields are `None`.
    ///
    /// ```
    /// use rockset_apikeys::{ApiKey, KeyState};
    ///
    /// let mut key = ApiKey::new("my-app", "aB3dE5");
    /// key.state = Some(KeyState::Suspended);
    /// assert_ne!(key, ApiKey::new("my-app", "aB3dE5"));
    /// ```
    pub fn new(name: impl Into<String>, key: impl Into<ApiKeyValue>) -> Self {
        Self {
            name: name.into(),
            key: key.into(),
            created_at: None,
            created_by: None,
            created_by_apikey_name: None,
            expiry_time: None,
            last_access_time: None,
            role: None,
            state: None,
        }
    }
}
