// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in openapi/generate.rs, not this file.

pub mod operations {
    //! [`When`](::httpmock::When) and [`Then`](::httpmock::Then)
    //! wrappers for each operation. Each can be converted to
    //! its inner type with a call to `into_inner()`. This can
    //! be used to explicitly deviate from permitted values.
    use crate::*;
    ///What a request has to be for the mock to answer it; whatever the operation takes, unless something is said.
    pub struct CreateApiKeyWhen(::httpmock::When);
    impl CreateApiKeyWhen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::POST)
                    .path_matches("^/v1/orgs/self/users/self/apikeys$"),
            )
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        ///The request has this `body`.
        pub fn body(self, value: &types::CreateApiKeyRequest) -> Self {
            Self(self.0.json_body_obj(value))
        }
    }
    ///What the mock answers.
    pub struct CreateApiKeyThen(::httpmock::Then);
    impl CreateApiKeyThen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        ///Answers with this, and the status of `ok`.
        pub fn ok(self, value: &types::CreateApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_request`.
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unauthorized`.
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `forbidden`.
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_found`.
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `method_not_allowed`.
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_acceptable`.
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `request_timeout`.
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `conflict`.
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unsupported_media_type`.
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `too_many_requests`.
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `internal_server_error`.
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_implemented`.
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_gateway`.
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `service_unavailable`.
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    ///What a request has to be for the mock to answer it; whatever the operation takes, unless something is said.
    pub struct ListApiKeysWhen(::httpmock::When);
    impl ListApiKeysWhen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::GET)
                    .path_matches("^/v1/orgs/self/users/[^/]*/apikeys$"),
            )
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        ///The request has this `user`.
        pub fn user(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/{}/apikeys$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
    }
    ///What the mock answers.
    pub struct ListApiKeysThen(::httpmock::Then);
    impl ListApiKeysThen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        ///Answers with this, and the status of `ok`.
        pub fn ok(self, value: &types::ListApiKeysResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_request`.
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unauthorized`.
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `forbidden`.
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_found`.
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `method_not_allowed`.
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_acceptable`.
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `request_timeout`.
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `conflict`.
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unsupported_media_type`.
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `too_many_requests`.
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `internal_server_error`.
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_implemented`.
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_gateway`.
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `service_unavailable`.
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    ///What a request has to be for the mock to answer it; whatever the operation takes, unless something is said.
    pub struct GetApiKeyWhen(::httpmock::When);
    impl GetApiKeyWhen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::GET)
                    .path_matches("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$"),
            )
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        ///The request has this `user`.
        pub fn user(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/{}/apikeys/.*$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
        ///The request has this `name`.
        pub fn name(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/.*/apikeys/{}$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
        ///The request has this `reveal`.
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
    ///What the mock answers.
    pub struct GetApiKeyThen(::httpmock::Then);
    impl GetApiKeyThen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        ///Answers with this, and the status of `ok`.
        pub fn ok(self, value: &types::GetApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_request`.
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unauthorized`.
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `forbidden`.
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_found`.
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `method_not_allowed`.
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_acceptable`.
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `request_timeout`.
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `conflict`.
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unsupported_media_type`.
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `too_many_requests`.
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `internal_server_error`.
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_implemented`.
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_gateway`.
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `service_unavailable`.
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    ///What a request has to be for the mock to answer it; whatever the operation takes, unless something is said.
    pub struct UpdateApiKeyWhen(::httpmock::When);
    impl UpdateApiKeyWhen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::POST)
                    .path_matches("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$"),
            )
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        ///The request has this `user`.
        pub fn user(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/{}/apikeys/.*$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
        ///The request has this `name`.
        pub fn name(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/.*/apikeys/{}$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
        ///The request has this `body`.
        pub fn body(self, value: &types::UpdateApiKeyRequest) -> Self {
            Self(self.0.json_body_obj(value))
        }
    }
    ///What the mock answers.
    pub struct UpdateApiKeyThen(::httpmock::Then);
    impl UpdateApiKeyThen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        ///Answers with this, and the status of `ok`.
        pub fn ok(self, value: &types::UpdateApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_request`.
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unauthorized`.
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `forbidden`.
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_found`.
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `method_not_allowed`.
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_acceptable`.
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `request_timeout`.
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `conflict`.
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unsupported_media_type`.
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `too_many_requests`.
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `internal_server_error`.
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_implemented`.
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_gateway`.
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `service_unavailable`.
        pub fn service_unavailable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(503u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
    }
    ///What a request has to be for the mock to answer it; whatever the operation takes, unless something is said.
    pub struct DeleteApiKeyWhen(::httpmock::When);
    impl DeleteApiKeyWhen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::When) -> Self {
            Self(
                inner
                    .method(::httpmock::Method::DELETE)
                    .path_matches("^/v1/orgs/self/users/[^/]*/apikeys/[^/]*$"),
            )
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::When {
            self.0
        }
        ///The request has this `user`.
        pub fn user(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/{}/apikeys/.*$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
        ///The request has this `name`.
        pub fn name(self, value: impl ::std::fmt::Display) -> Self {
            let re =
                format!("^/v1/orgs/self/users/.*/apikeys/{}$", crate::values::path_pattern(value));
            Self(self.0.path_matches(re))
        }
    }
    ///What the mock answers.
    pub struct DeleteApiKeyThen(::httpmock::Then);
    impl DeleteApiKeyThen {
        ///Wraps what httpmock gives to set up a mock.
        pub fn new(inner: ::httpmock::Then) -> Self {
            Self(inner)
        }
        ///What httpmock gave, for all else that it can.
        pub fn into_inner(self) -> ::httpmock::Then {
            self.0
        }
        ///Answers with this, and the status of `ok`.
        pub fn ok(self, value: &types::DeleteApiKeyResponse) -> Self {
            Self(
                self.0
                    .status(200u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_request`.
        pub fn bad_request(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(400u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unauthorized`.
        pub fn unauthorized(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(401u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `forbidden`.
        pub fn forbidden(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(403u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_found`.
        pub fn not_found(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(404u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `method_not_allowed`.
        pub fn method_not_allowed(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(405u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_acceptable`.
        pub fn not_acceptable(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(406u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `request_timeout`.
        pub fn request_timeout(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(408u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `conflict`.
        pub fn conflict(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(409u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `unsupported_media_type`.
        pub fn unsupported_media_type(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(415u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `too_many_requests`.
        pub fn too_many_requests(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(429u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `internal_server_error`.
        pub fn internal_server_error(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(500u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `not_implemented`.
        pub fn not_implemented(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(501u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `bad_gateway`.
        pub fn bad_gateway(self, value: &types::ErrorModel) -> Self {
            Self(
                self.0
                    .status(502u16)
                    .header("content-type", "application/json")
                    .json_body_obj(value),
            )
        }
        ///Answers with this, and the status of `service_unavailable`.
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
/// An extension trait for [`MockServer`](::httpmock::MockServer) that
/// adds a method for each operation. These are the equivalent of
/// type-checked [`mock()`](::httpmock::MockServer::mock) calls.
pub trait MockServerExt {
    ///Mocks the operation `create_api_key`.
    fn create_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::CreateApiKeyWhen, operations::CreateApiKeyThen);
    ///Mocks the operation `list_api_keys`.
    fn list_api_keys<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::ListApiKeysWhen, operations::ListApiKeysThen);
    ///Mocks the operation `get_api_key`.
    fn get_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::GetApiKeyWhen, operations::GetApiKeyThen);
    ///Mocks the operation `update_api_key`.
    fn update_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::UpdateApiKeyWhen, operations::UpdateApiKeyThen);
    ///Mocks the operation `delete_api_key`.
    fn delete_api_key<F>(&self, config_fn: F) -> ::httpmock::Mock<'_>
    where
        F: FnOnce(operations::DeleteApiKeyWhen, operations::DeleteApiKeyThen);
}
impl MockServerExt for ::httpmock::MockServer {
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
