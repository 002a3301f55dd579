// @generated from openapi/apikeys.yaml by `cargo xtask regen`. Change the contract or the settings
// in crates/codegen, not this file.

#[allow(unused_imports)]
pub use progenitor_client::{ByteStream, ClientInfo, Error, ResponseValue};
#[allow(unused_imports)]
use progenitor_client::{ClientHooks, OperationInfo, RequestBuilderExt, encode_path};
/// Types used as operation parameters and responses.
#[allow(clippy::all)]
pub mod types {
    /// An API key, which authenticates requests. It belongs to the user who created it.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[non_exhaustive]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ApiKey {
        /// Time at which the key was created.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub created_at: ::std::option::Option<crate::Timestamp>,
        /// Email address of the key's owner.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub created_by: ::std::option::Option<::std::string::String>,
        /// Name of the key that authenticated the create request.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub created_by_apikey_name: ::std::option::Option<::std::string::String>,
        /// Time at which the key expires. A key without it never expires.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expiry_time: ::std::option::Option<crate::Timestamp>,
        /// The full key if it was just created or is revealed; otherwise the key's identifier, its first 6 characters.
        pub key: crate::ApiKeyValue,
        /// Time at which the key last authenticated a request.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub last_access_time: ::std::option::Option<crate::Timestamp>,
        /// Name of the key, unique among its owner's keys.
        pub name: ::std::string::String,
        /// Role that limits the key's permissions. A key without it has all roles of its owner.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub role: ::std::option::Option<::std::string::String>,
        /// Whether the key authenticates requests.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub state: ::std::option::Option<crate::generated::enums::KeyState>,
    }
    impl ApiKey {
        pub fn builder() -> builder::ApiKey {
            Default::default()
        }
    }
    /// The key to create.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreateApiKeyRequest {
        /// Email address of the user for whom the key is created.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub created_by: ::std::option::Option<::std::string::String>,
        /// Time at which the key expires. Without it, the key never expires.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expiry_time: ::std::option::Option<crate::Timestamp>,
        /// Name of the new key, unique among the user's keys.
        pub name: ::std::string::String,
        /// Role that limits the key's permissions. Without it, the key has all roles of its owner.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub role: ::std::option::Option<::std::string::String>,
    }
    impl CreateApiKeyRequest {
        pub fn builder() -> builder::CreateApiKeyRequest {
            Default::default()
        }
    }
    /// Response to a create request. A success always contains `data`.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct CreateApiKeyResponse {
        /// The created key, with its full value.
        pub data: ApiKey,
    }
    impl CreateApiKeyResponse {
        pub fn builder() -> builder::CreateApiKeyResponse {
            Default::default()
        }
    }
    /// Response to a delete request. A success always contains `data`.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct DeleteApiKeyResponse {
        /// The deleted key.
        pub data: ApiKey,
    }
    impl DeleteApiKeyResponse {
        pub fn builder() -> builder::DeleteApiKeyResponse {
            Default::default()
        }
    }
    /// Body of an error response.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    pub struct ErrorModel {
        /// Column of the error in the request body, starting at 1.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub column: ::std::option::Option<i32>,
        /// ID of the error.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub error_id: ::std::option::Option<::std::string::String>,
        /// Line of the error in the request body, starting at 1.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub line: ::std::option::Option<i32>,
        /// Human-readable error message.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub message: ::std::option::Option<::std::string::String>,
        /// ID of the failed query, if there was one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub query_id: ::std::option::Option<::std::string::String>,
        /// ID of the request in the server's log.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub trace_id: ::std::option::Option<::std::string::String>,
        /// Machine-readable error type.
        #[serde(rename = "type", skip_serializing_if = "::std::option::Option::is_none")]
        pub type_: ::std::option::Option<crate::generated::enums::ErrorType>,
        /// Resource name of the virtual instance that ran the query, if there was one.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub virtual_instance_rrn: ::std::option::Option<::std::string::String>,
    }
    impl ErrorModel {
        pub fn builder() -> builder::ErrorModel {
            Default::default()
        }
    }
    /// Response to a get request. A success always contains `data`.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct GetApiKeyResponse {
        /// The key, with its full value if the request asked for it.
        pub data: ApiKey,
    }
    impl GetApiKeyResponse {
        pub fn builder() -> builder::GetApiKeyResponse {
            Default::default()
        }
    }
    /// Response to a list request. A success always contains `data`.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct ListApiKeysResponse {
        /// The user's keys, oldest first, each with its identifier instead of the full key.
        pub data: ::std::vec::Vec<ApiKey>,
    }
    impl ListApiKeysResponse {
        pub fn builder() -> builder::ListApiKeysResponse {
            Default::default()
        }
    }
    /// Changes to the key. Omitted fields keep their values.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, Default, PartialEq)]
    pub struct UpdateApiKeyRequest {
        /// Whether to remove the expiry time, so that the key never expires.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub clear_expiry_time: ::std::option::Option<bool>,
        /// New expiry time of the key.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub expiry_time: ::std::option::Option<crate::Timestamp>,
        /// New state of the key.
        #[serde(skip_serializing_if = "::std::option::Option::is_none")]
        pub state: ::std::option::Option<crate::generated::enums::KeyState>,
    }
    impl UpdateApiKeyRequest {
        pub fn builder() -> builder::UpdateApiKeyRequest {
            Default::default()
        }
    }
    /// Response to an update request. A success always contains `data`.
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[derive(::serde::Deserialize, ::serde::Serialize, Clone, Debug, PartialEq)]
    pub struct UpdateApiKeyResponse {
        /// The key after the update.
        pub data: ApiKey,
    }
    impl UpdateApiKeyResponse {
        pub fn builder() -> builder::UpdateApiKeyResponse {
            Default::default()
        }
    }
    /// Types for composing complex structures.
    pub mod builder {
        #[derive(Clone, Debug)]
        pub struct ApiKey {
            created_at: ::std::result::Result<
                ::std::option::Option<crate::Timestamp>,
                ::std::string::String,
            >,
            created_by: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            created_by_apikey_name: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            expiry_time: ::std::result::Result<
                ::std::option::Option<crate::Timestamp>,
                ::std::string::String,
            >,
            key: ::std::result::Result<crate::ApiKeyValue, ::std::string::String>,
            last_access_time: ::std::result::Result<
                ::std::option::Option<crate::Timestamp>,
                ::std::string::String,
            >,
            name: ::std::result::Result<::std::string::String, ::std::string::String>,
            role: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            state: ::std::result::Result<
                ::std::option::Option<crate::generated::enums::KeyState>,
                ::std::string::String,
            >,
        }
        impl ::std::default::Default for ApiKey {
            fn default() -> Self {
                Self {
                    created_at: Ok(Default::default()),
                    created_by: Ok(Default::default()),
                    created_by_apikey_name: Ok(Default::default()),
                    expiry_time: Ok(Default::default()),
                    key: Err("no value supplied for key".to_string()),
                    last_access_time: Ok(Default::default()),
                    name: Err("no value supplied for name".to_string()),
                    role: Ok(Default::default()),
                    state: Ok(Default::default()),
                }
            }
        }
        impl ApiKey {
            pub fn created_at<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<crate::Timestamp>>,
                T::Error: ::std::fmt::Display,
            {
                self.created_at = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for created_at: {e}"));
                self
            }
            pub fn created_by<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.created_by = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for created_by: {e}"));
                self
            }
            pub fn created_by_apikey_name<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.created_by_apikey_name = value.try_into().map_err(|e| {
                    format!("error converting supplied value for created_by_apikey_name: {e}")
                });
                self
            }
            pub fn expiry_time<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<crate::Timestamp>>,
                T::Error: ::std::fmt::Display,
            {
                self.expiry_time = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for expiry_time: {e}"));
                self
            }
            pub fn key<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<crate::ApiKeyValue>,
                T::Error: ::std::fmt::Display,
            {
                self.key = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for key: {e}"));
                self
            }
            pub fn last_access_time<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<crate::Timestamp>>,
                T::Error: ::std::fmt::Display,
            {
                self.last_access_time = value.try_into().map_err(|e| {
                    format!("error converting supplied value for last_access_time: {e}")
                });
                self
            }
            pub fn name<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::string::String>,
                T::Error: ::std::fmt::Display,
            {
                self.name = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for name: {e}"));
                self
            }
            pub fn role<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.role = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for role: {e}"));
                self
            }
            pub fn state<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<
                        ::std::option::Option<crate::generated::enums::KeyState>,
                    >,
                T::Error: ::std::fmt::Display,
            {
                self.state = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for state: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<ApiKey> for super::ApiKey {
            type Error = super::error::ConversionError;
            fn try_from(
                value: ApiKey,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self {
                    created_at: value.created_at?,
                    created_by: value.created_by?,
                    created_by_apikey_name: value.created_by_apikey_name?,
                    expiry_time: value.expiry_time?,
                    key: value.key?,
                    last_access_time: value.last_access_time?,
                    name: value.name?,
                    role: value.role?,
                    state: value.state?,
                })
            }
        }
        impl ::std::convert::From<super::ApiKey> for ApiKey {
            fn from(value: super::ApiKey) -> Self {
                Self {
                    created_at: Ok(value.created_at),
                    created_by: Ok(value.created_by),
                    created_by_apikey_name: Ok(value.created_by_apikey_name),
                    expiry_time: Ok(value.expiry_time),
                    key: Ok(value.key),
                    last_access_time: Ok(value.last_access_time),
                    name: Ok(value.name),
                    role: Ok(value.role),
                    state: Ok(value.state),
                }
            }
        }
        #[derive(Clone, Debug)]
        pub struct CreateApiKeyRequest {
            created_by: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            expiry_time: ::std::result::Result<
                ::std::option::Option<crate::Timestamp>,
                ::std::string::String,
            >,
            name: ::std::result::Result<::std::string::String, ::std::string::String>,
            role: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
        }
        impl ::std::default::Default for CreateApiKeyRequest {
            fn default() -> Self {
                Self {
                    created_by: Ok(Default::default()),
                    expiry_time: Ok(Default::default()),
                    name: Err("no value supplied for name".to_string()),
                    role: Ok(Default::default()),
                }
            }
        }
        impl CreateApiKeyRequest {
            pub fn created_by<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.created_by = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for created_by: {e}"));
                self
            }
            pub fn expiry_time<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<crate::Timestamp>>,
                T::Error: ::std::fmt::Display,
            {
                self.expiry_time = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for expiry_time: {e}"));
                self
            }
            pub fn name<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::string::String>,
                T::Error: ::std::fmt::Display,
            {
                self.name = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for name: {e}"));
                self
            }
            pub fn role<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.role = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for role: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<CreateApiKeyRequest> for super::CreateApiKeyRequest {
            type Error = super::error::ConversionError;
            fn try_from(
                value: CreateApiKeyRequest,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self {
                    created_by: value.created_by?,
                    expiry_time: value.expiry_time?,
                    name: value.name?,
                    role: value.role?,
                })
            }
        }
        impl ::std::convert::From<super::CreateApiKeyRequest> for CreateApiKeyRequest {
            fn from(value: super::CreateApiKeyRequest) -> Self {
                Self {
                    created_by: Ok(value.created_by),
                    expiry_time: Ok(value.expiry_time),
                    name: Ok(value.name),
                    role: Ok(value.role),
                }
            }
        }
        #[derive(Clone, Debug)]
        pub struct CreateApiKeyResponse {
            data: ::std::result::Result<super::ApiKey, ::std::string::String>,
        }
        impl ::std::default::Default for CreateApiKeyResponse {
            fn default() -> Self {
                Self { data: Err("no value supplied for data".to_string()) }
            }
        }
        impl CreateApiKeyResponse {
            pub fn data<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<super::ApiKey>,
                T::Error: ::std::fmt::Display,
            {
                self.data = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for data: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<CreateApiKeyResponse> for super::CreateApiKeyResponse {
            type Error = super::error::ConversionError;
            fn try_from(
                value: CreateApiKeyResponse,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self { data: value.data? })
            }
        }
        impl ::std::convert::From<super::CreateApiKeyResponse> for CreateApiKeyResponse {
            fn from(value: super::CreateApiKeyResponse) -> Self {
                Self { data: Ok(value.data) }
            }
        }
        #[derive(Clone, Debug)]
        pub struct DeleteApiKeyResponse {
            data: ::std::result::Result<super::ApiKey, ::std::string::String>,
        }
        impl ::std::default::Default for DeleteApiKeyResponse {
            fn default() -> Self {
                Self { data: Err("no value supplied for data".to_string()) }
            }
        }
        impl DeleteApiKeyResponse {
            pub fn data<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<super::ApiKey>,
                T::Error: ::std::fmt::Display,
            {
                self.data = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for data: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<DeleteApiKeyResponse> for super::DeleteApiKeyResponse {
            type Error = super::error::ConversionError;
            fn try_from(
                value: DeleteApiKeyResponse,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self { data: value.data? })
            }
        }
        impl ::std::convert::From<super::DeleteApiKeyResponse> for DeleteApiKeyResponse {
            fn from(value: super::DeleteApiKeyResponse) -> Self {
                Self { data: Ok(value.data) }
            }
        }
        #[derive(Clone, Debug)]
        pub struct ErrorModel {
            column: ::std::result::Result<::std::option::Option<i32>, ::std::string::String>,
            error_id: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            line: ::std::result::Result<::std::option::Option<i32>, ::std::string::String>,
            message: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            query_id: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            trace_id: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
            type_: ::std::result::Result<
                ::std::option::Option<crate::generated::enums::ErrorType>,
                ::std::string::String,
            >,
            virtual_instance_rrn: ::std::result::Result<
                ::std::option::Option<::std::string::String>,
                ::std::string::String,
            >,
        }
        impl ::std::default::Default for ErrorModel {
            fn default() -> Self {
                Self {
                    column: Ok(Default::default()),
                    error_id: Ok(Default::default()),
                    line: Ok(Default::default()),
                    message: Ok(Default::default()),
                    query_id: Ok(Default::default()),
                    trace_id: Ok(Default::default()),
                    type_: Ok(Default::default()),
                    virtual_instance_rrn: Ok(Default::default()),
                }
            }
        }
        impl ErrorModel {
            pub fn column<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<i32>>,
                T::Error: ::std::fmt::Display,
            {
                self.column = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for column: {e}"));
                self
            }
            pub fn error_id<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.error_id = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for error_id: {e}"));
                self
            }
            pub fn line<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<i32>>,
                T::Error: ::std::fmt::Display,
            {
                self.line = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for line: {e}"));
                self
            }
            pub fn message<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.message = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for message: {e}"));
                self
            }
            pub fn query_id<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.query_id = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for query_id: {e}"));
                self
            }
            pub fn trace_id<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.trace_id = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for trace_id: {e}"));
                self
            }
            pub fn type_<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<
                        ::std::option::Option<crate::generated::enums::ErrorType>,
                    >,
                T::Error: ::std::fmt::Display,
            {
                self.type_ = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for type_: {e}"));
                self
            }
            pub fn virtual_instance_rrn<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<::std::string::String>>,
                T::Error: ::std::fmt::Display,
            {
                self.virtual_instance_rrn = value.try_into().map_err(|e| {
                    format!("error converting supplied value for virtual_instance_rrn: {e}")
                });
                self
            }
        }
        impl ::std::convert::TryFrom<ErrorModel> for super::ErrorModel {
            type Error = super::error::ConversionError;
            fn try_from(
                value: ErrorModel,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self {
                    column: value.column?,
                    error_id: value.error_id?,
                    line: value.line?,
                    message: value.message?,
                    query_id: value.query_id?,
                    trace_id: value.trace_id?,
                    type_: value.type_?,
                    virtual_instance_rrn: value.virtual_instance_rrn?,
                })
            }
        }
        impl ::std::convert::From<super::ErrorModel> for ErrorModel {
            fn from(value: super::ErrorModel) -> Self {
                Self {
                    column: Ok(value.column),
                    error_id: Ok(value.error_id),
                    line: Ok(value.line),
                    message: Ok(value.message),
                    query_id: Ok(value.query_id),
                    trace_id: Ok(value.trace_id),
                    type_: Ok(value.type_),
                    virtual_instance_rrn: Ok(value.virtual_instance_rrn),
                }
            }
        }
        #[derive(Clone, Debug)]
        pub struct GetApiKeyResponse {
            data: ::std::result::Result<super::ApiKey, ::std::string::String>,
        }
        impl ::std::default::Default for GetApiKeyResponse {
            fn default() -> Self {
                Self { data: Err("no value supplied for data".to_string()) }
            }
        }
        impl GetApiKeyResponse {
            pub fn data<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<super::ApiKey>,
                T::Error: ::std::fmt::Display,
            {
                self.data = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for data: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<GetApiKeyResponse> for super::GetApiKeyResponse {
            type Error = super::error::ConversionError;
            fn try_from(
                value: GetApiKeyResponse,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self { data: value.data? })
            }
        }
        impl ::std::convert::From<super::GetApiKeyResponse> for GetApiKeyResponse {
            fn from(value: super::GetApiKeyResponse) -> Self {
                Self { data: Ok(value.data) }
            }
        }
        #[derive(Clone, Debug)]
        pub struct ListApiKeysResponse {
            data: ::std::result::Result<::std::vec::Vec<super::ApiKey>, ::std::string::String>,
        }
        impl ::std::default::Default for ListApiKeysResponse {
            fn default() -> Self {
                Self { data: Err("no value supplied for data".to_string()) }
            }
        }
        impl ListApiKeysResponse {
            pub fn data<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::vec::Vec<super::ApiKey>>,
                T::Error: ::std::fmt::Display,
            {
                self.data = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for data: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<ListApiKeysResponse> for super::ListApiKeysResponse {
            type Error = super::error::ConversionError;
            fn try_from(
                value: ListApiKeysResponse,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self { data: value.data? })
            }
        }
        impl ::std::convert::From<super::ListApiKeysResponse> for ListApiKeysResponse {
            fn from(value: super::ListApiKeysResponse) -> Self {
                Self { data: Ok(value.data) }
            }
        }
        #[derive(Clone, Debug)]
        pub struct UpdateApiKeyRequest {
            clear_expiry_time:
                ::std::result::Result<::std::option::Option<bool>, ::std::string::String>,
            expiry_time: ::std::result::Result<
                ::std::option::Option<crate::Timestamp>,
                ::std::string::String,
            >,
            state: ::std::result::Result<
                ::std::option::Option<crate::generated::enums::KeyState>,
                ::std::string::String,
            >,
        }
        impl ::std::default::Default for UpdateApiKeyRequest {
            fn default() -> Self {
                Self {
                    clear_expiry_time: Ok(Default::default()),
                    expiry_time: Ok(Default::default()),
                    state: Ok(Default::default()),
                }
            }
        }
        impl UpdateApiKeyRequest {
            pub fn clear_expiry_time<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<bool>>,
                T::Error: ::std::fmt::Display,
            {
                self.clear_expiry_time = value.try_into().map_err(|e| {
                    format!("error converting supplied value for clear_expiry_time: {e}")
                });
                self
            }
            pub fn expiry_time<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<::std::option::Option<crate::Timestamp>>,
                T::Error: ::std::fmt::Display,
            {
                self.expiry_time = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for expiry_time: {e}"));
                self
            }
            pub fn state<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<
                        ::std::option::Option<crate::generated::enums::KeyState>,
                    >,
                T::Error: ::std::fmt::Display,
            {
                self.state = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for state: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<UpdateApiKeyRequest> for super::UpdateApiKeyRequest {
            type Error = super::error::ConversionError;
            fn try_from(
                value: UpdateApiKeyRequest,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self {
                    clear_expiry_time: value.clear_expiry_time?,
                    expiry_time: value.expiry_time?,
                    state: value.state?,
                })
            }
        }
        impl ::std::convert::From<super::UpdateApiKeyRequest> for UpdateApiKeyRequest {
            fn from(value: super::UpdateApiKeyRequest) -> Self {
                Self {
                    clear_expiry_time: Ok(value.clear_expiry_time),
                    expiry_time: Ok(value.expiry_time),
                    state: Ok(value.state),
                }
            }
        }
        #[derive(Clone, Debug)]
        pub struct UpdateApiKeyResponse {
            data: ::std::result::Result<super::ApiKey, ::std::string::String>,
        }
        impl ::std::default::Default for UpdateApiKeyResponse {
            fn default() -> Self {
                Self { data: Err("no value supplied for data".to_string()) }
            }
        }
        impl UpdateApiKeyResponse {
            pub fn data<T>(mut self, value: T) -> Self
            where
                T: ::std::convert::TryInto<super::ApiKey>,
                T::Error: ::std::fmt::Display,
            {
                self.data = value
                    .try_into()
                    .map_err(|e| format!("error converting supplied value for data: {e}"));
                self
            }
        }
        impl ::std::convert::TryFrom<UpdateApiKeyResponse> for super::UpdateApiKeyResponse {
            type Error = super::error::ConversionError;
            fn try_from(
                value: UpdateApiKeyResponse,
            ) -> ::std::result::Result<Self, super::error::ConversionError> {
                Ok(Self { data: value.data? })
            }
        }
        impl ::std::convert::From<super::UpdateApiKeyResponse> for UpdateApiKeyResponse {
            fn from(value: super::UpdateApiKeyResponse) -> Self {
                Self { data: Ok(value.data) }
            }
        }
    }
    /// Error types.
    pub mod error {
        /// Error from a `TryFrom` or `FromStr` implementation.
        pub struct ConversionError(::std::borrow::Cow<'static, str>);
        impl ::std::error::Error for ConversionError {}
        impl ::std::fmt::Display for ConversionError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
        impl ::std::fmt::Debug for ConversionError {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> Result<(), ::std::fmt::Error> {
                ::std::fmt::Debug::fmt(&self.0, f)
            }
        }
        impl From<&'static str> for ConversionError {
            fn from(value: &'static str) -> Self {
                Self(value.into())
            }
        }
        impl From<String> for ConversionError {
            fn from(value: String) -> Self {
                Self(value.into())
            }
        }
    }
}
#[derive(Clone, Debug)]
/// Client for Rockset API keys
///
/// Create, list, retrieve, update and delete the API keys of an organization's users.
///
/// The vendor retired the hosted service on 30 September 2024, and its hosts no longer respond.
/// This project's server implements the same contract.
///
/// Servers and proxies can send responses that this contract does not document. An HTTP server
/// that cannot parse a request may respond with 400, 414 or 431 and an empty body.
///
/// The license applies to this file. The vendor published no license for the API.
///
///
/// Version: 1.0.0
pub struct Client {
    pub(crate) baseurl: String,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::wire::Wire,
}
impl Client {
    /// Create a new client.
    ///
    /// `baseurl` is the base URL provided to the internal
    /// `reqwest::Client`, and should include a scheme and hostname,
    /// as well as port and a path stem if applicable.
    pub fn new(baseurl: &str, inner: crate::wire::Wire) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        let client = {
            let dur = ::std::time::Duration::from_secs(15u64);
            reqwest::ClientBuilder::new().connect_timeout(dur).timeout(dur)
        };
        #[cfg(target_arch = "wasm32")]
        let client = reqwest::ClientBuilder::new();
        Self::new_with_client(baseurl, client.build().unwrap(), inner)
    }
    /// Construct a new client with an existing `reqwest::Client`,
    /// allowing more control over its configuration.
    ///
    /// `baseurl` is the base URL provided to the internal
    /// `reqwest::Client`, and should include a scheme and hostname,
    /// as well as port and a path stem if applicable.
    pub fn new_with_client(
        baseurl: &str,
        client: reqwest::Client,
        inner: crate::wire::Wire,
    ) -> Self {
        Self { baseurl: baseurl.to_string(), client, inner }
    }
}
impl ClientInfo<crate::wire::Wire> for Client {
    fn api_version() -> &'static str {
        "1.0.0"
    }
    fn baseurl(&self) -> &str {
        self.baseurl.as_str()
    }
    fn client(&self) -> &reqwest::Client {
        &self.client
    }
    fn inner(&self) -> &crate::wire::Wire {
        &self.inner
    }
}
impl ClientHooks<crate::wire::Wire> for &Client {}
impl Client {
    /// Create an API key
    ///
    /// Creates an API key for the authenticated user. The response contains the full key; later, only a get request with `reveal=true` returns it.
    ///
    /// Sends a `POST` request to `/v1/orgs/self/users/self/apikeys`
    ///
    /// Arguments:
    /// - `body`: The key to create.
    /// ```ignore
    /// let response = client.create_api_key()
    ///    .body(body)
    ///    .send()
    ///    .await;
    /// ```
    pub fn create_api_key(&self) -> builder::CreateApiKey<'_> {
        builder::CreateApiKey::new(self)
    }
    /// List API keys
    ///
    /// Lists the API keys of any user in the organization, oldest first. Each entry contains the key's identifier instead of the full key.
    ///
    /// Sends a `GET` request to `/v1/orgs/self/users/{user}/apikeys`
    ///
    /// Arguments:
    /// - `user`: Email address of the key's owner, or `self` for the authenticated user.
    /// ```ignore
    /// let response = client.list_api_keys()
    ///    .user(user)
    ///    .send()
    ///    .await;
    /// ```
    pub fn list_api_keys(&self) -> builder::ListApiKeys<'_> {
        builder::ListApiKeys::new(self)
    }
    /// Retrieve an API key
    ///
    /// Returns an API key of any user in the organization.
    ///
    /// Sends a `GET` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
    ///
    /// Arguments:
    /// - `user`: Email address of the key's owner, or `self` for the authenticated user.
    /// - `name`: Name of the key.
    /// - `reveal`: Whether to return the full key instead of its identifier. The server accepts `true` and `false` in any case.
    /// ```ignore
    /// let response = client.get_api_key()
    ///    .user(user)
    ///    .name(name)
    ///    .reveal(reveal)
    ///    .send()
    ///    .await;
    /// ```
    pub fn get_api_key(&self) -> builder::GetApiKey<'_> {
        builder::GetApiKey::new(self)
    }
    /// Update the state of an API key
    ///
    /// Updates the state of an API key of any user in the organization, or its expiry time. A key's value, name and role never change.
    ///
    /// Sends a `POST` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
    ///
    /// Arguments:
    /// - `user`: Email address of the key's owner, or `self` for the authenticated user.
    /// - `name`: Name of the key.
    /// - `body`: Changes to the key. Omitted fields keep their values.
    /// ```ignore
    /// let response = client.update_api_key()
    ///    .user(user)
    ///    .name(name)
    ///    .body(body)
    ///    .send()
    ///    .await;
    /// ```
    pub fn update_api_key(&self) -> builder::UpdateApiKey<'_> {
        builder::UpdateApiKey::new(self)
    }
    /// Delete an API key
    ///
    /// Permanently deletes an API key of any user in the organization. The response contains the deleted key.
    ///
    /// Sends a `DELETE` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
    ///
    /// Arguments:
    /// - `user`: Email address of the key's owner, or `self` for the authenticated user.
    /// - `name`: Name of the key.
    /// ```ignore
    /// let response = client.delete_api_key()
    ///    .user(user)
    ///    .name(name)
    ///    .send()
    ///    .await;
    /// ```
    pub fn delete_api_key(&self) -> builder::DeleteApiKey<'_> {
        builder::DeleteApiKey::new(self)
    }
}
/// Types for composing operation parameters.
#[allow(clippy::all)]
pub mod builder {
    use super::types;
    #[allow(unused_imports)]
    use super::{
        ByteStream, ClientHooks, ClientInfo, Error, OperationInfo, RequestBuilderExt,
        ResponseValue, encode_path,
    };
    /// Builder for [`Client::create_api_key`]
    ///
    /// [`Client::create_api_key`]: super::Client::create_api_key
    #[derive(Debug, Clone)]
    pub struct CreateApiKey<'a> {
        client: &'a super::Client,
        body: Result<types::builder::CreateApiKeyRequest, String>,
    }
    impl<'a> CreateApiKey<'a> {
        pub fn new(client: &'a super::Client) -> Self {
            Self { client: client, body: Ok(::std::default::Default::default()) }
        }
        pub fn body<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<types::CreateApiKeyRequest>,
            <V as std::convert::TryInto<types::CreateApiKeyRequest>>::Error: std::fmt::Display,
        {
            self.body = value
                .try_into()
                .map(From::from)
                .map_err(|s| format!("conversion to `CreateApiKeyRequest` for body failed: {}", s));
            self
        }
        pub fn body_map<F>(mut self, f: F) -> Self
        where
            F: std::ops::FnOnce(
                    types::builder::CreateApiKeyRequest,
                ) -> types::builder::CreateApiKeyRequest,
        {
            self.body = self.body.map(f);
            self
        }
        /// Sends a `POST` request to `/v1/orgs/self/users/self/apikeys`
        pub async fn send(
            self,
        ) -> Result<ResponseValue<types::CreateApiKeyResponse>, Error<types::ErrorModel>> {
            let Self { client, body } = self;
            let body = body
                .and_then(|v| types::CreateApiKeyRequest::try_from(v).map_err(|e| e.to_string()))
                .map_err(Error::InvalidRequest)?;
            let url = format!("{}/v1/orgs/self/users/self/apikeys", client.baseurl,);
            #[allow(unused_mut)]
            let mut request = client
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?;
            let info = OperationInfo { operation_id: "create_api_key" };
            client.pre(&mut request, &info).await?;
            let result = client.exec(request, &info).await;
            client.post(&result, &info).await?;
            let response = result?;
            match response.status().as_u16() {
                200u16 => ResponseValue::from_response(response).await,
                400u16..=499u16 => {
                    Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
                }
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    }
    /// Builder for [`Client::list_api_keys`]
    ///
    /// [`Client::list_api_keys`]: super::Client::list_api_keys
    #[derive(Debug, Clone)]
    pub struct ListApiKeys<'a> {
        client: &'a super::Client,
        user: Result<::std::borrow::Cow<'a, str>, String>,
    }
    impl<'a> ListApiKeys<'a> {
        pub fn new(client: &'a super::Client) -> Self {
            Self { client: client, user: Err("user was not initialized".to_string()) }
        }
        pub fn user<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.user = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for user failed".to_string()
            });
            self
        }
        /// Sends a `GET` request to `/v1/orgs/self/users/{user}/apikeys`
        pub async fn send(
            self,
        ) -> Result<ResponseValue<types::ListApiKeysResponse>, Error<types::ErrorModel>> {
            let Self { client, user } = self;
            let user = user.map_err(Error::InvalidRequest)?;
            let url = format!(
                "{}/v1/orgs/self/users/{}/apikeys",
                client.baseurl,
                encode_path(&user.to_string()),
            );
            #[allow(unused_mut)]
            let mut request = client
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?;
            let info = OperationInfo { operation_id: "list_api_keys" };
            client.pre(&mut request, &info).await?;
            let result = client.exec(request, &info).await;
            client.post(&result, &info).await?;
            let response = result?;
            match response.status().as_u16() {
                200u16 => ResponseValue::from_response(response).await,
                400u16..=499u16 => {
                    Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
                }
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    }
    /// Builder for [`Client::get_api_key`]
    ///
    /// [`Client::get_api_key`]: super::Client::get_api_key
    #[derive(Debug, Clone)]
    pub struct GetApiKey<'a> {
        client: &'a super::Client,
        user: Result<::std::borrow::Cow<'a, str>, String>,
        name: Result<::std::borrow::Cow<'a, str>, String>,
        reveal: Result<Option<bool>, String>,
    }
    impl<'a> GetApiKey<'a> {
        pub fn new(client: &'a super::Client) -> Self {
            Self {
                client: client,
                user: Err("user was not initialized".to_string()),
                name: Err("name was not initialized".to_string()),
                reveal: Ok(None),
            }
        }
        pub fn user<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.user = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for user failed".to_string()
            });
            self
        }
        pub fn name<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.name = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for name failed".to_string()
            });
            self
        }
        pub fn reveal<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<bool>,
        {
            self.reveal = value
                .try_into()
                .map(Some)
                .map_err(|_| "conversion to `bool` for reveal failed".to_string());
            self
        }
        /// Sends a `GET` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
        pub async fn send(
            self,
        ) -> Result<ResponseValue<types::GetApiKeyResponse>, Error<types::ErrorModel>> {
            let Self { client, user, name, reveal } = self;
            let user = user.map_err(Error::InvalidRequest)?;
            let name = name.map_err(Error::InvalidRequest)?;
            let reveal = reveal.map_err(Error::InvalidRequest)?;
            let url = format!(
                "{}/v1/orgs/self/users/{}/apikeys/{}",
                client.baseurl,
                encode_path(&user.to_string()),
                encode_path(&name.to_string()),
            );
            #[allow(unused_mut)]
            let mut request = client
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .query(&progenitor_client::QueryParam::new("reveal", &reveal))
                .build()?;
            let info = OperationInfo { operation_id: "get_api_key" };
            client.pre(&mut request, &info).await?;
            let result = client.exec(request, &info).await;
            client.post(&result, &info).await?;
            let response = result?;
            match response.status().as_u16() {
                200u16 => ResponseValue::from_response(response).await,
                400u16..=499u16 => {
                    Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
                }
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    }
    /// Builder for [`Client::update_api_key`]
    ///
    /// [`Client::update_api_key`]: super::Client::update_api_key
    #[derive(Debug, Clone)]
    pub struct UpdateApiKey<'a> {
        client: &'a super::Client,
        user: Result<::std::borrow::Cow<'a, str>, String>,
        name: Result<::std::borrow::Cow<'a, str>, String>,
        body: Result<types::builder::UpdateApiKeyRequest, String>,
    }
    impl<'a> UpdateApiKey<'a> {
        pub fn new(client: &'a super::Client) -> Self {
            Self {
                client: client,
                user: Err("user was not initialized".to_string()),
                name: Err("name was not initialized".to_string()),
                body: Ok(::std::default::Default::default()),
            }
        }
        pub fn user<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.user = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for user failed".to_string()
            });
            self
        }
        pub fn name<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.name = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for name failed".to_string()
            });
            self
        }
        pub fn body<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<types::UpdateApiKeyRequest>,
            <V as std::convert::TryInto<types::UpdateApiKeyRequest>>::Error: std::fmt::Display,
        {
            self.body = value
                .try_into()
                .map(From::from)
                .map_err(|s| format!("conversion to `UpdateApiKeyRequest` for body failed: {}", s));
            self
        }
        pub fn body_map<F>(mut self, f: F) -> Self
        where
            F: std::ops::FnOnce(
                    types::builder::UpdateApiKeyRequest,
                ) -> types::builder::UpdateApiKeyRequest,
        {
            self.body = self.body.map(f);
            self
        }
        /// Sends a `POST` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
        pub async fn send(
            self,
        ) -> Result<ResponseValue<types::UpdateApiKeyResponse>, Error<types::ErrorModel>> {
            let Self { client, user, name, body } = self;
            let user = user.map_err(Error::InvalidRequest)?;
            let name = name.map_err(Error::InvalidRequest)?;
            let body = body
                .and_then(|v| types::UpdateApiKeyRequest::try_from(v).map_err(|e| e.to_string()))
                .map_err(Error::InvalidRequest)?;
            let url = format!(
                "{}/v1/orgs/self/users/{}/apikeys/{}",
                client.baseurl,
                encode_path(&user.to_string()),
                encode_path(&name.to_string()),
            );
            #[allow(unused_mut)]
            let mut request = client
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?;
            let info = OperationInfo { operation_id: "update_api_key" };
            client.pre(&mut request, &info).await?;
            let result = client.exec(request, &info).await;
            client.post(&result, &info).await?;
            let response = result?;
            match response.status().as_u16() {
                200u16 => ResponseValue::from_response(response).await,
                400u16..=499u16 => {
                    Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
                }
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    }
    /// Builder for [`Client::delete_api_key`]
    ///
    /// [`Client::delete_api_key`]: super::Client::delete_api_key
    #[derive(Debug, Clone)]
    pub struct DeleteApiKey<'a> {
        client: &'a super::Client,
        user: Result<::std::borrow::Cow<'a, str>, String>,
        name: Result<::std::borrow::Cow<'a, str>, String>,
    }
    impl<'a> DeleteApiKey<'a> {
        pub fn new(client: &'a super::Client) -> Self {
            Self {
                client: client,
                user: Err("user was not initialized".to_string()),
                name: Err("name was not initialized".to_string()),
            }
        }
        pub fn user<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.user = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for user failed".to_string()
            });
            self
        }
        pub fn name<V>(mut self, value: V) -> Self
        where
            V: std::convert::TryInto<::std::borrow::Cow<'a, str>>,
        {
            self.name = value.try_into().map_err(|_| {
                "conversion to `:: std :: borrow :: Cow < 'a , str >` for name failed".to_string()
            });
            self
        }
        /// Sends a `DELETE` request to `/v1/orgs/self/users/{user}/apikeys/{name}`
        pub async fn send(
            self,
        ) -> Result<ResponseValue<types::DeleteApiKeyResponse>, Error<types::ErrorModel>> {
            let Self { client, user, name } = self;
            let user = user.map_err(Error::InvalidRequest)?;
            let name = name.map_err(Error::InvalidRequest)?;
            let url = format!(
                "{}/v1/orgs/self/users/{}/apikeys/{}",
                client.baseurl,
                encode_path(&user.to_string()),
                encode_path(&name.to_string()),
            );
            #[allow(unused_mut)]
            let mut request = client
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?;
            let info = OperationInfo { operation_id: "delete_api_key" };
            client.pre(&mut request, &info).await?;
            let result = client.exec(request, &info).await;
            client.post(&result, &info).await?;
            let response = result?;
            match response.status().as_u16() {
                200u16 => ResponseValue::from_response(response).await,
                400u16..=499u16 => {
                    Err(Error::ErrorResponse(ResponseValue::from_response(response).await?))
                }
                _ => Err(Error::UnexpectedResponse(response)),
            }
        }
    }
}
/// Items consumers will typically use such as the Client.
pub mod prelude {
    pub use self::super::Client;
}
/// The contract's operations.
pub mod operations {
    use crate::wire::runtime::{Operation, OperationKind};
    /// `POST /v1/orgs/self/users/self/apikeys`
    pub static CREATE_API_KEY: Operation = Operation {
        id: "create_api_key",
        method: ::reqwest::Method::POST,
        path: "/v1/orgs/self/users/self/apikeys",
        kind: OperationKind::Create,
    };
    /// `GET /v1/orgs/self/users/{user}/apikeys`
    pub static LIST_API_KEYS: Operation = Operation {
        id: "list_api_keys",
        method: ::reqwest::Method::GET,
        path: "/v1/orgs/self/users/{user}/apikeys",
        kind: OperationKind::Read,
    };
    /// `GET /v1/orgs/self/users/{user}/apikeys/{name}`
    pub static GET_API_KEY: Operation = Operation {
        id: "get_api_key",
        method: ::reqwest::Method::GET,
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        kind: OperationKind::Read,
    };
    /// `POST /v1/orgs/self/users/{user}/apikeys/{name}`
    pub static UPDATE_API_KEY: Operation = Operation {
        id: "update_api_key",
        method: ::reqwest::Method::POST,
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        kind: OperationKind::Update,
    };
    /// `DELETE /v1/orgs/self/users/{user}/apikeys/{name}`
    pub static DELETE_API_KEY: Operation = Operation {
        id: "delete_api_key",
        method: ::reqwest::Method::DELETE,
        path: "/v1/orgs/self/users/{user}/apikeys/{name}",
        kind: OperationKind::Delete,
    };
    /// All operations, in the order of the contract.
    pub static ALL: [&Operation; 5usize] =
        [&CREATE_API_KEY, &LIST_API_KEYS, &GET_API_KEY, &UPDATE_API_KEY, &DELETE_API_KEY];
}
/// The authentication header.
pub(crate) const AUTHENTICATION_HEADER: ::reqwest::header::HeaderName =
    ::reqwest::header::HeaderName::from_static("authorization");
/// The prefix of the key in the authentication header.
pub(crate) const AUTHENTICATION_PREFIX: &str = "ApiKey ";
/// The default of the parameter `user`.
pub(crate) const DEFAULT_USER: &str = "self";
/// The body of an error response.
pub(crate) type ErrorBody = types::ErrorModel;
/// The contract's enums. Each keeps unknown values.
pub mod enums {
    /// Whether a key authenticates requests.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, ::serde::Deserialize, ::serde::Serialize)]
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[non_exhaustive]
    pub enum KeyState {
        /// The key authenticates requests.
        #[serde(rename = "ACTIVE")]
        Active,
        /// The server rejects requests that use the key, because it was suspended or has expired.
        #[serde(rename = "SUSPENDED")]
        Suspended,
        /// An unknown value, as it was received.
        #[serde(untagged)]
        Unknown(::std::string::String),
    }
    impl KeyState {
        /// Returns the JSON value.
        pub fn as_str(&self) -> &str {
            match self {
                Self::Active => "ACTIVE",
                Self::Suspended => "SUSPENDED",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::fmt::Display for KeyState {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::std::convert::From<&str> for KeyState {
        fn from(value: &str) -> Self {
            match value {
                "ACTIVE" => Self::Active,
                "SUSPENDED" => Self::Suspended,
                _ => Self::Unknown(value.to_owned()),
            }
        }
    }
    impl ::std::str::FromStr for KeyState {
        type Err = ::std::convert::Infallible;
        /// Parses the JSON value, and keeps an unknown one.
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            Ok(Self::from(value))
        }
    }
    /// Machine-readable error type. The list grew over the years.
    #[derive(Clone, Debug, PartialEq, Eq, Hash, ::serde::Deserialize, ::serde::Serialize)]
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    #[non_exhaustive]
    pub enum ErrorType {
        /// The API key is missing or does not authenticate.
        #[serde(rename = "AUTHEXCEPTION")]
        AuthException,
        /// The server does not support the requested API version.
        #[serde(rename = "VERSIONEXCEPTION")]
        VersionException,
        /// The server failed.
        #[serde(rename = "INTERNALERROR")]
        InternalError,
        /// A parameter or a field has an invalid value.
        #[serde(rename = "INVALIDINPUT")]
        InvalidInput,
        /// The server does not support the operation yet.
        #[serde(rename = "NOTIMPLEMENTEDYET")]
        NotImplementedYet,
        /// A quota or a limit is exceeded.
        #[serde(rename = "RESOURCEEXCEEDED")]
        ResourceExceeded,
        /// A resource with the same name already exists.
        #[serde(rename = "ALREADYEXISTS")]
        AlreadyExists,
        /// The path does not support the method.
        #[serde(rename = "METHODNOTALLOWED")]
        MethodNotAllowed,
        /// The server cannot respond in a media type that the request accepts.
        #[serde(rename = "NOTACCEPTABLE")]
        NotAcceptable,
        /// The server does not support the media type of the request body.
        #[serde(rename = "UNSUPPORTEDMEDIATYPE")]
        UnsupportedMediaType,
        /// The requested resource does not exist.
        #[serde(rename = "NOTFOUND")]
        NotFound,
        /// Other resources depend on this one.
        #[serde(rename = "DEPENDENTRESOURCES")]
        DependentResources,
        /// A query failed.
        #[serde(rename = "QUERY_ERROR")]
        QueryError,
        /// The server or the resource is not ready yet.
        #[serde(rename = "NOT_READY")]
        NotReady,
        /// The caller lacks a required permission.
        #[serde(rename = "FORBIDDEN")]
        Forbidden,
        /// A query timed out.
        #[serde(rename = "QUERY_TIMEOUT")]
        QueryTimeout,
        /// The server could not connect to a service that it depends on.
        #[serde(rename = "CONNECTION_ERROR")]
        ConnectionError,
        /// The request body is too large.
        #[serde(rename = "CONTENTTOOLARGE")]
        ContentTooLarge,
        /// The resource is still being created.
        #[serde(rename = "CREATING")]
        Creating,
        /// The request is malformed.
        #[serde(rename = "BADREQUEST")]
        BadRequest,
        /// The server is temporarily unavailable.
        #[serde(rename = "SERVICEUNAVAILABLE")]
        ServiceUnavailable,
        /// The request conflicts with the current state of the resource.
        #[serde(rename = "CONFLICT")]
        Conflict,
        /// The rate limit is exceeded.
        #[serde(rename = "RATELIMITEXCEEDED")]
        RateLimitExceeded,
        /// A query was cancelled.
        #[serde(rename = "QUERY_CANCELLED")]
        QueryCancelled,
        /// The connection to the client failed.
        #[serde(rename = "CLIENT_CONNECTION_ERROR")]
        ClientConnectionError,
        /// An unknown value, as it was received.
        #[serde(untagged)]
        Unknown(::std::string::String),
    }
    impl ErrorType {
        /// Returns the JSON value.
        pub fn as_str(&self) -> &str {
            match self {
                Self::AuthException => "AUTHEXCEPTION",
                Self::VersionException => "VERSIONEXCEPTION",
                Self::InternalError => "INTERNALERROR",
                Self::InvalidInput => "INVALIDINPUT",
                Self::NotImplementedYet => "NOTIMPLEMENTEDYET",
                Self::ResourceExceeded => "RESOURCEEXCEEDED",
                Self::AlreadyExists => "ALREADYEXISTS",
                Self::MethodNotAllowed => "METHODNOTALLOWED",
                Self::NotAcceptable => "NOTACCEPTABLE",
                Self::UnsupportedMediaType => "UNSUPPORTEDMEDIATYPE",
                Self::NotFound => "NOTFOUND",
                Self::DependentResources => "DEPENDENTRESOURCES",
                Self::QueryError => "QUERY_ERROR",
                Self::NotReady => "NOT_READY",
                Self::Forbidden => "FORBIDDEN",
                Self::QueryTimeout => "QUERY_TIMEOUT",
                Self::ConnectionError => "CONNECTION_ERROR",
                Self::ContentTooLarge => "CONTENTTOOLARGE",
                Self::Creating => "CREATING",
                Self::BadRequest => "BADREQUEST",
                Self::ServiceUnavailable => "SERVICEUNAVAILABLE",
                Self::Conflict => "CONFLICT",
                Self::RateLimitExceeded => "RATELIMITEXCEEDED",
                Self::QueryCancelled => "QUERY_CANCELLED",
                Self::ClientConnectionError => "CLIENT_CONNECTION_ERROR",
                Self::Unknown(value) => value,
            }
        }
    }
    impl ::std::fmt::Display for ErrorType {
        fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
            f.write_str(self.as_str())
        }
    }
    impl ::std::convert::From<&str> for ErrorType {
        fn from(value: &str) -> Self {
            match value {
                "AUTHEXCEPTION" => Self::AuthException,
                "VERSIONEXCEPTION" => Self::VersionException,
                "INTERNALERROR" => Self::InternalError,
                "INVALIDINPUT" => Self::InvalidInput,
                "NOTIMPLEMENTEDYET" => Self::NotImplementedYet,
                "RESOURCEEXCEEDED" => Self::ResourceExceeded,
                "ALREADYEXISTS" => Self::AlreadyExists,
                "METHODNOTALLOWED" => Self::MethodNotAllowed,
                "NOTACCEPTABLE" => Self::NotAcceptable,
                "UNSUPPORTEDMEDIATYPE" => Self::UnsupportedMediaType,
                "NOTFOUND" => Self::NotFound,
                "DEPENDENTRESOURCES" => Self::DependentResources,
                "QUERY_ERROR" => Self::QueryError,
                "NOT_READY" => Self::NotReady,
                "FORBIDDEN" => Self::Forbidden,
                "QUERY_TIMEOUT" => Self::QueryTimeout,
                "CONNECTION_ERROR" => Self::ConnectionError,
                "CONTENTTOOLARGE" => Self::ContentTooLarge,
                "CREATING" => Self::Creating,
                "BADREQUEST" => Self::BadRequest,
                "SERVICEUNAVAILABLE" => Self::ServiceUnavailable,
                "CONFLICT" => Self::Conflict,
                "RATELIMITEXCEEDED" => Self::RateLimitExceeded,
                "QUERY_CANCELLED" => Self::QueryCancelled,
                "CLIENT_CONNECTION_ERROR" => Self::ClientConnectionError,
                _ => Self::Unknown(value.to_owned()),
            }
        }
    }
    impl ::std::str::FromStr for ErrorType {
        type Err = ::std::convert::Infallible;
        /// Parses the JSON value, and keeps an unknown one.
        fn from_str(value: &str) -> ::std::result::Result<Self, Self::Err> {
            Ok(Self::from(value))
        }
    }
}
