// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in crates/codegen, not this file.

pub mod operations {
    //! [`When`](::httpmock::When) and [`Then`](::httpmock::Then)
    //! wrappers for each operation. Each can be converted to
    //! its inner type with a call to `into_inner()`. This can
    //! be used to explicitly deviate from permitted values.
    use crate::*;
    pub struct CreateApiKeyWhen(::httpmock::When);
    impl CreateApiKeyWhen {
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::POST)
                    .path_matches(regex::Regex::new("^/v1/orgs/self/users/self/apikeys$").unwrap()),
            )
        }
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        pub fn body(self, value: &types::CreateApiKeyRequest) -> Self {
            Self(self.0.json_body_obj(value))
        }
    }
    pub struct CreateApiKeyThen(::httpmock::Then);
    impl CreateApiKeyThen {
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        pub fn ok(self, value: &types::CreateApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn payload_too_large(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(413u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    pub struct ListApiKeysWhen(::httpmock::When);
    impl ListApiKeysWhen {
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner.method(::httpmock::Method::GET).path_matches(
                    regex::Regex::new("^/v1/orgs/self/users/[^/]*/apikeys$").unwrap(),
                ),
            )
        }
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        pub fn user(self, value: &str) -> Self {
            let re =
                regex::Regex::new(&format!("^/v1/orgs/self/users/{}/apikeys$", value.to_string()))
                    .unwrap();
            Self(self.0.path_matches(re))
        }
    }
    pub struct ListApiKeysThen(::httpmock::Then);
    impl ListApiKeysThen {
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        pub fn ok(self, value: &types::ListApiKeysResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    pub struct GetApiKeyWhen(::httpmock::When);
    impl GetApiKeyWhen {
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(inner.method(::httpmock::Method::GET).path_matches(
                regex::Regex::new("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$").unwrap(),
            ))
        }
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        pub fn user(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/{}/apikeys/.*$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
        pub fn name(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/.*/apikeys/{}$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
        pub fn reveal<T>(self, value: T) -> Self
        where
            T: Into<Option<bool>>,
        {
            if let Some(value) = value.into() {
                Self(self.0.query_param("reveal", value.to_string()))
            } else {
                Self(self.0.query_param_missing("reveal"))
            }
        }
    }
    pub struct GetApiKeyThen(::httpmock::Then);
    impl GetApiKeyThen {
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        pub fn ok(self, value: &types::GetApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    pub struct UpdateApiKeyWhen(::httpmock::When);
    impl UpdateApiKeyWhen {
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(inner.method(::httpmock::Method::POST).path_matches(
                regex::Regex::new("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$").unwrap(),
            ))
        }
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        pub fn user(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/{}/apikeys/.*$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
        pub fn name(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/.*/apikeys/{}$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
        pub fn body(self, value: &types::UpdateApiKeyRequest) -> Self {
            Self(self.0.json_body_obj(value))
        }
    }
    pub struct UpdateApiKeyThen(::httpmock::Then);
    impl UpdateApiKeyThen {
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        pub fn ok(self, value: &types::UpdateApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn payload_too_large(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(413u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    pub struct DeleteApiKeyWhen(::httpmock::When);
    impl DeleteApiKeyWhen {
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(inner.method(::httpmock::Method::DELETE).path_matches(
                regex::Regex::new("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$").unwrap(),
            ))
        }
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        pub fn user(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/{}/apikeys/.*$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
        pub fn name(self, value: &str) -> Self {
            let re = regex::Regex::new(&format!(
                "^/v1/orgs/self/users/.*/apikeys/{}$",
                value.to_string()
            ))
            .unwrap();
            Self(self.0.path_matches(re))
        }
    }
    pub struct DeleteApiKeyThen(::httpmock::Then);
    impl DeleteApiKeyThen {
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        pub fn ok(self, value: &types::DeleteApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
}
/// An extension trait for [`MockServer`](MockServer) that
/// adds a method for each operation. These are the equivalent of
/// type-checked [`mock()`](MockServer::mock) calls.
pub trait MockServerExt {
    fn create_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::CreateApiKeyWhen, operations::CreateApiKeyThen);
    fn list_api_keys<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::ListApiKeysWhen, operations::ListApiKeysThen);
    fn get_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::GetApiKeyWhen, operations::GetApiKeyThen);
    fn update_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::UpdateApiKeyWhen, operations::UpdateApiKeyThen);
    fn delete_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::DeleteApiKeyWhen, operations::DeleteApiKeyThen);
}
impl MockServerExt for MockServer {
    fn create_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::CreateApiKeyWhen, operations::CreateApiKeyThen),
    {
        self.mock(|when, then| {
            config_fn(
                operations::CreateApiKeyWhen::new(when),
                operations::CreateApiKeyThen::new(then),
            )
        })
    }
    fn list_api_keys<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::ListApiKeysWhen, operations::ListApiKeysThen),
    {
        self.mock(|when, then| {
            config_fn(
                operations::ListApiKeysWhen::new(when),
                operations::ListApiKeysThen::new(then),
            )
        })
    }
    fn get_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::GetApiKeyWhen, operations::GetApiKeyThen),
    {
        self.mock(|when, then| {
            config_fn(operations::GetApiKeyWhen::new(when), operations::GetApiKeyThen::new(then))
        })
    }
    fn update_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::UpdateApiKeyWhen, operations::UpdateApiKeyThen),
    {
        self.mock(|when, then| {
            config_fn(
                operations::UpdateApiKeyWhen::new(when),
                operations::UpdateApiKeyThen::new(then),
            )
        })
    }
    fn delete_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::DeleteApiKeyWhen, operations::DeleteApiKeyThen),
    {
        self.mock(|when, then| {
            config_fn(
                operations::DeleteApiKeyWhen::new(when),
                operations::DeleteApiKeyThen::new(then),
            )
        })
    }
}
