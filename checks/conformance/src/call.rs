//! A call as data, so that several clients can make the same one.

use anyhow::{Result, bail};
use rockset_apikeys::{Client, Error, KeyState, Timestamp};
use serde::Serialize;
use serde_json::Value;

/// An operation and its parameters. The scripts in other languages read it as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Call {
    pub operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Call {
    pub fn of(operation: &str, user: &str, name: &str) -> Self {
        let (user, name) = (Some(user.to_owned()), Some(name.to_owned()));
        Self { operation: operation.to_owned(), user, name, ..Self::default() }
    }

    pub fn listing(user: &str) -> Self {
        Self { name: None, ..Self::of("list_api_keys", user, "") }
    }

    pub fn creation(body: Value) -> Self {
        let operation = "create_api_key".to_owned();
        Self { operation, body: Some(body), ..Self::default() }
    }

    pub fn update(user: &str, name: &str, body: Value) -> Self {
        Self { body: Some(body), ..Self::of("update_api_key", user, name) }
    }

    /// Makes the call with this project's client. Fails if there is no such operation.
    pub async fn make(&self, client: &Client) -> Result<Result<(), Error>> {
        let user = self.user.as_deref().unwrap_or_default();
        let name = self.name.as_deref().unwrap_or_default();
        let body = self.body.as_ref();
        let text = |field: &str| body.and_then(|body| body[field].as_str());
        let expiry = text("expiry_time").map(str::parse::<Timestamp>).transpose()?;
        Ok(match self.operation.as_str() {
            "create_api_key" => {
                let mut call = client.create_api_key(text("name").unwrap_or_default());
                if let Some(role) = text("role") {
                    call = call.role(role);
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(user) = text("created_by") {
                    call = call.created_by(user);
                }
                call.await.map(drop)
            }
            "list_api_keys" => client.list_api_keys().user(user).await.map(drop),
            "get_api_key" => {
                let mut call = client.get_api_key(name).user(user);
                if let Some(reveal) = self.reveal {
                    call = call.reveal(reveal);
                }
                call.await.map(drop)
            }
            "update_api_key" => {
                let mut call = client.update_api_key(name).user(user);
                if let Some(state) = text("state") {
                    call = call.state(KeyState::from(state));
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(clear) = body.and_then(|body| body["clear_expiry_time"].as_bool()) {
                    call = call.clear_expiry_time(clear);
                }
                call.await.map(drop)
            }
            "delete_api_key" => client.delete_api_key(name).user(user).await.map(drop),
            other => bail!("there is no operation {other}"),
        })
    }
}
