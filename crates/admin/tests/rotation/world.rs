//! A server with a key, a program that uses the key, and a rotator.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use rockset_apikeys::{ApiKey, ApiKeyValue, Client, RetryPolicy};
use rockset_apikeys_admin::rotation::{Entry, Error, Rotation, Rotator, RotatorBuilder};
use rockset_apikeys_server::{Clock, Role, Server};

pub const DEV: &str = "dev@me.com";

/// A server with a key, and the value that a program uses.
pub struct World {
    pub server: Server,
    pub clock: Clock,
    pub deployed: Arc<Mutex<ApiKeyValue>>,
    pub old: ApiKey,
    pub journal: tempfile::TempDir,
    /// Whether the client authenticates with the rotated key.
    pub is_own_key: bool,
}

impl World {
    pub async fn start() -> Self {
        let clock = Clock::at("2030-01-01T00:00:00Z".parse().unwrap());
        let builder = Server::builder().clock(&clock).user(DEV, Role::Member);
        let server = builder.start().await.unwrap();
        let expiry = clock.now() + SignedDuration::from_hours(90 * 24);
        let dev = server.client_for(DEV).unwrap();
        let old = dev.create_api_key("my-app").role("member").expiry_time(expiry).await.unwrap();
        Self {
            server,
            clock,
            deployed: Arc::new(Mutex::new(old.key.clone())),
            old,
            journal: tempfile::tempdir().unwrap(),
            is_own_key: false,
        }
    }

    pub fn client(&self) -> Client {
        let own = self.deployed.lock().unwrap().clone();
        let key = if self.is_own_key { own } else { self.server.admin_key().clone() };
        let wait = Duration::from_millis(1);
        let builder = Client::builder().api_server(self.server.url()).api_key(key);
        builder.retry_policy(RetryPolicy::default().backoff(wait, wait)).build().unwrap()
    }

    pub fn builder(&self) -> RotatorBuilder {
        let deployed = Arc::clone(&self.deployed);
        Rotator::builder(self.client(), self.journal.path())
            .test_timeout(Duration::ZERO)
            .write_with("program", move |value| {
                *deployed.lock().unwrap() = value;
                async { Ok::<(), io::Error>(()) }
            })
    }

    pub fn rotator(&self) -> Rotator {
        self.builder().build().unwrap()
    }

    pub async fn deployed_works(&self) -> bool {
        self.server.clear_faults();
        let value = self.deployed.lock().unwrap().clone();
        self.server.client().with_api_key(value).unwrap().list_api_keys().await.is_ok()
    }

    pub async fn names(&self) -> Vec<String> {
        let keys = self.server.client().list_api_keys().user(DEV).await.unwrap();
        keys.into_iter().map(|key| key.name).filter(|name| name != "initial").collect()
    }

    pub async fn key(&self, name: &str) -> ApiKey {
        self.server.client().get_api_key(name).user(DEV).reveal(true).await.unwrap()
    }

    /// Advances the clock to the end of the entry's wait.
    pub fn wait_for(&self, entry: &Entry) {
        let until = entry.waits_until().unwrap().to_jiff().unwrap();
        self.clock.advance(until.duration_since(self.clock.now()).max(SignedDuration::ZERO));
    }

    /// Resumes a rotation until it is finished.
    pub async fn resume_to_the_end(&self, id: &str) -> Result<Entry, Error> {
        for _ in 0..10 {
            let entry = self.rotator().resume(id).await?;
            assert!(self.deployed_works().await, "no valid key is deployed after {}", entry.step);
            if entry.step.is_final() {
                return Ok(entry);
            }
            self.wait_for(&entry);
        }
        panic!("the rotation does not end");
    }
}

pub fn rotation() -> Rotation {
    Rotation::of("my-app").user(DEV)
}
