//! Calls as data, so that several clients can make the same ones.

use anyhow::{Result, bail};
use rockset_apikeys::{Client, Error, KeyState, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Names and users that need percent-encoding, or look as if they did.
const ODD: [&str; 24] = [
    "my-app",
    "my key",
    "a/b",
    "a+b",
    "a&b=c",
    "100%",
    "%2F",
    "#1",
    "what?",
    "ü",
    "日本",
    "🔑",
    "admin@me.com",
    "\"quoted\"",
    "back\\slash",
    "a;b",
    "a:b",
    "a,b",
    "[a]{b}|c",
    "<a>^`",
    "a~b_c.d",
    "$HOME",
    "...",
    "wow! (it's *)",
];

/// An operation and its arguments, which the scripts in other languages read as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Call {
    pub operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reveal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Returns calls of every operation, with all of these names and users, and with every combination
/// of optional parameters.
pub fn all() -> Vec<Call> {
    let mut calls = Vec::new();
    let create = |body| Call { operation: "create_api_key", body: Some(body), ..Call::default() };
    let update = |user, name, body| {
        let (user, name, body) = (Some(user), Some(name), Some(body));
        Call { operation: "update_api_key", user, name, body, ..Call::default() }
    };
    // The user differs from the name, so that swapping the two is noticed.
    let users = ODD.into_iter().cycle().skip(7);
    let reveals = [None, Some(false), Some(true)].into_iter().cycle();
    for ((name, user), reveal) in ODD.into_iter().zip(users).zip(reveals) {
        let (of_name, of_user) = (Some(name), Some(user));
        let call = |operation| Call { operation, user: of_user, name: of_name, ..Call::default() };
        calls.push(create(json!({ "name": name, "created_by": user })));
        calls.push(Call { name: None, ..call("list_api_keys") });
        calls.push(Call { reveal, ..call("get_api_key") });
        calls.push(update(user, name, json!({ "state": "SUSPENDED" })));
        calls.push(call("delete_api_key"));
    }
    let expiry = json!("2099-01-01T00:00:00Z");
    let (role, user) = (json!("read-only"), json!("dev@me.com"));
    for mut body in
        subsets(&[("role", role), ("expiry_time", expiry.clone()), ("created_by", user)])
    {
        body.insert("name".to_owned(), json!("n"));
        calls.push(create(body.into()));
    }
    let (state, clear) = (json!("ACTIVE"), json!(true));
    for body in subsets(&[("state", state), ("expiry_time", expiry), ("clear_expiry_time", clear)])
    {
        calls.push(update("self", "n", body.into()));
    }
    calls
}

/// Returns objects with every combination of these fields.
fn subsets(fields: &[(&str, Value)]) -> Vec<Map<String, Value>> {
    let mut subsets = vec![Map::new()];
    for (name, value) in fields {
        let mut extended = subsets.clone();
        for subset in &mut extended {
            subset.insert((*name).to_owned(), value.clone());
        }
        subsets.extend(extended);
    }
    subsets
}

impl Call {
    /// Makes the call with this project's client. Fails if there is no such operation.
    pub async fn make(&self, client: &Client) -> Result<Result<(), Error>> {
        let (user, name) = (self.user.unwrap_or_default(), self.name.unwrap_or_default());
        let body = self.body.clone().unwrap_or_default();
        let field = |name: &str| body[name].as_str();
        let expiry = field("expiry_time").map(str::parse::<Timestamp>).transpose()?;
        Ok(match self.operation {
            "create_api_key" => {
                let mut call = client.create_api_key(field("name").unwrap_or_default());
                if let Some(role) = field("role") {
                    call = call.role(role);
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(user) = field("created_by") {
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
                if let Some(state) = field("state") {
                    call = call.state(KeyState::from(state));
                }
                if let Some(expiry) = expiry {
                    call = call.expiry_time(expiry);
                }
                if let Some(clear) = body["clear_expiry_time"].as_bool() {
                    call = call.clear_expiry_time(clear);
                }
                call.await.map(drop)
            }
            "delete_api_key" => client.delete_api_key(name).user(user).await.map(drop),
            other => bail!("unknown operation {other}"),
        })
    }
}
