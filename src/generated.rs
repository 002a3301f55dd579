//! The code that progenitor generates from the contract, `openapi/apikeys.yaml`.
//!
//! [`Client::generated`](crate::Client::generated) returns its client, for operations that
//! [`Client`](crate::Client) does not cover. Not every item is documented, and a new version of the
//! generator may change the code.

// This file connects generated code to `wire`, which sends its requests. Generated code is included
// unmodified, but three names resolve differently:
//
// - `progenitor_client` is `wire::runtime`;
// - `format!` is the macro below, which passes the parts of a URL to `wire`. If the generator
//   changes how it formats URLs, the code does not compile;
// - `pre`, `exec` and `post` are the methods below instead of the trait's.
//
// The only `unwrap` is in the generated `Client::new`, which is never called: it needs a `Wire`,
// which only this crate can create.
#![allow(missing_docs, clippy::all, clippy::unwrap_used)]

use reqwest::Request;

use crate::values::ApiKeyValue;
use crate::wire::runtime::{self as progenitor_client, Response};

/// Formats messages like the standard macro, and turns URLs into `reqwest::Url`.
macro_rules! format {
    ($url:literal, $client:ident.baseurl, $(encode_path(&$name:ident.to_string()),)*) => {
        $client
            .inner
            .url($url, &[$((stringify!($name), &$name as &dyn ::std::fmt::Display)),*])
            .map_err(Error::InvalidRequest)?
    };
    ($text:literal $(, $value:ident)?) => {{
        // A format string that starts with `{` would be a URL.
        const _: () = assert!(!matches!($text.as_bytes(), [b'{', ..]));
        ::std::format!($text $(, $value)?)
    }};
}

include!(concat!(env!("OUT_DIR"), "/apikeys.rs"));

type Failed = Error<ErrorBody>;

impl Client {
    async fn pre(&self, _: &mut Request, _: &OperationInfo) -> Result<(), Failed> {
        Ok(())
    }

    fn exec(
        &self,
        request: Request,
        _: &OperationInfo,
    ) -> impl Future<Output = Result<Response, Failed>> {
        self.inner.send(request)
    }

    async fn post(&self, _: &Result<Response, Failed>, _: &OperationInfo) -> Result<(), Failed> {
        Ok(())
    }
}

impl types::ApiKey {
    /// Creates a key with the given name and value.
    ///
    /// The other fields are `None`. Programs need this only in tests.
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
