//! Where users and keys are kept: an SQLite database, in a file or in memory, with the same code
//! for both. What it is told has been decided by `rules`; when a function here returns, it is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use rockset_apikeys::ApiKeyValue;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use crate::Role;
use crate::rules::{FIRST_KEY, Key, Rules, Terms};
use crate::vault::{Fingerprint, MasterKey, Vault, new_key};

const FIRST_MIGRATION: &str = include_str!("../migrations/1_users_and_keys.sql");

/// An open database. All changes go through one connection, one after the other.
pub(crate) struct Store {
    connection: SqliteConnection,
    vault: Arc<Vault>,
    /// Changes when another process writes to the database. Without it, what is there has to be
    /// looked at anew.
    version: Option<i64>,
    /// Up to when it is stored which keys were last used, in milliseconds since 1970.
    flushed_at: i64,
}

impl Store {
    /// Opens a database, such as `sqlite:keys.db` or `sqlite::memory:`, and creates it where there
    /// is none if it may. Without a master key, the one of a file is in a file beside it.
    pub(crate) async fn open(
        url: &str,
        master: Option<MasterKey>,
        may_create: bool,
    ) -> io::Result<Self> {
        let (mut connection, file) = connect(url, may_create).await.map_err(|error| {
            io::Error::new(error.kind(), format!("the database {url} cannot be opened: {error}"))
        })?;
        let proof: Option<Vec<u8>> = sqlx::query_scalar("SELECT proof FROM master")
            .fetch_optional(&mut connection)
            .await
            .map_err(broken)?;
        let master = match (master, &file) {
            (Some(master), _) => master,
            (None, Some(file)) => MasterKey::from_file(&beside(file), proof.is_none())?,
            (None, None) => MasterKey::generate()?,
        };
        let vault = Arc::new(Vault::new(&master));
        match proof {
            None => {
                sqlx::query("INSERT INTO master (proof) VALUES (?)")
                    .bind(vault.proof().as_slice())
                    .execute(&mut connection)
                    .await
                    .map_err(broken)?;
            }
            Some(proof) if proof == vault.proof() => {}
            Some(_) => {
                let reason = format!("the database {url} was written with another master key");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        let mut store = Self { connection, vault, version: None, flushed_at: i64::MIN };
        store.changed_elsewhere().await?;
        Ok(store)
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Whether the database may have changed other than by what succeeded here, since this was last
    /// asked: by another process, or by a change whose failure may have come after it was kept.
    pub(crate) async fn changed_elsewhere(&mut self) -> io::Result<bool> {
        let version = sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut self.connection)
            .await
            .map_err(broken)?;
        Ok(self.version.replace(version) != Some(version))
    }

    /// The outcome of a change, after which a failure has to be looked into.
    fn noted<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if outcome.is_err() {
            self.version = None;
        }
        outcome
    }

    /// All users and keys.
    pub(crate) async fn load(&mut self) -> io::Result<Rules> {
        let mut rules = Rules::default();
        let users = sqlx::query("SELECT email, role FROM users");
        for row in users.fetch_all(&mut self.connection).await.map_err(broken)? {
            rules.add_user(get(&row, "email")?, role(get(&row, "role")?)?);
        }
        let keys = sqlx::query("SELECT * FROM api_keys ORDER BY id");
        for row in keys.fetch_all(&mut self.connection).await.map_err(broken)? {
            rules.put(key_of(&row)?);
        }
        Ok(rules)
    }

    /// Users with their roles and how many keys they have, by e-mail address.
    pub(crate) async fn users(&mut self) -> io::Result<Vec<(String, Role, i64)>> {
        let users = sqlx::query(
            "SELECT email, users.role, count(api_keys.id) AS keys FROM users
             LEFT JOIN api_keys ON owner = email GROUP BY email ORDER BY email",
        );
        let rows = users.fetch_all(&mut self.connection).await.map_err(broken)?;
        let user = |row: SqliteRow| {
            Ok((get(&row, "email")?, role(get(&row, "role")?)?, get(&row, "keys")?))
        };
        rows.into_iter().map(user).collect()
    }

    pub(crate) async fn has_user(&mut self, email: &str) -> io::Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT * FROM users WHERE email = ?)")
            .bind(email)
            .fetch_one(&mut self.connection)
            .await
            .map_err(broken)
    }

    /// The value of a user's first key, if the user still has it.
    pub(crate) async fn first_key(&mut self, email: &str) -> io::Result<Option<ApiKeyValue>> {
        let key = sqlx::query("SELECT * FROM api_keys WHERE owner = ? AND name = ?")
            .bind(email)
            .bind(FIRST_KEY)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(broken)?;
        let key = key.as_ref().map(key_of).transpose()?;
        key.map(|key| self.vault.open(&key.sealed, &key.fingerprint)).transpose()
    }

    /// Adds a user with a first key, and gives the key's value.
    pub(crate) async fn add_user(
        &mut self,
        email: &str,
        role: Role,
        now: Timestamp,
    ) -> io::Result<ApiKeyValue> {
        let vault = Arc::clone(&self.vault);
        let mut transaction = self.connection.begin().await.map_err(broken)?;
        sqlx::query("INSERT INTO users (email, role) VALUES (?, ?)")
            .bind(email)
            .bind(role.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(broken)?;
        let terms = Terms {
            owner: email.to_owned(),
            name: FIRST_KEY.to_owned(),
            identifier: String::new(),
            role: None,
            created_at: now,
            created_by_key: None,
            expires_at: None,
            suspended: false,
        };
        let (_, value) = insert(&mut transaction, &vault, terms).await?;
        transaction.commit().await.map_err(broken)?;
        Ok(value)
    }

    /// Removes a user with all keys; `false` where there is no such user.
    pub(crate) async fn remove_user(&mut self, email: &str) -> io::Result<bool> {
        let done = sqlx::query("DELETE FROM users WHERE email = ?")
            .bind(email)
            .execute(&mut self.connection)
            .await
            .map_err(broken)?;
        Ok(done.rows_affected() == 1)
    }

    /// Makes a key on these terms, and gives it with its value.
    pub(crate) async fn insert(&mut self, terms: Terms) -> io::Result<(Key, ApiKeyValue)> {
        let outcome = insert(&mut self.connection, &self.vault, terms).await;
        self.noted(outcome)
    }

    pub(crate) async fn update(&mut self, key: &Key) -> io::Result<()> {
        let update = sqlx::query("UPDATE api_keys SET expires_at = ?, suspended = ? WHERE id = ?")
            .bind(key.terms.expires_at.map(Timestamp::as_millisecond))
            .bind(key.terms.suspended)
            .bind(key.id);
        let outcome = update.execute(&mut self.connection).await;
        self.noted(outcome.map(drop).map_err(broken))
    }

    pub(crate) async fn delete(&mut self, key: &Key) -> io::Result<()> {
        let delete = sqlx::query("DELETE FROM api_keys WHERE id = ?").bind(key.id);
        let outcome = delete.execute(&mut self.connection).await;
        self.noted(outcome.map(drop).map_err(broken))
    }

    /// Up to when it is stored which keys were last used, in milliseconds since 1970.
    pub(crate) fn flushed_at(&self) -> i64 {
        self.flushed_at
    }

    /// Stores when these keys were last used, which are all that were used up to now.
    pub(crate) async fn flush(&mut self, used: &[Arc<Key>], now: Timestamp) -> io::Result<()> {
        if !used.is_empty() {
            let mut transaction = self.connection.begin().await.map_err(broken)?;
            for key in used {
                sqlx::query("UPDATE api_keys SET last_access = ? WHERE id = ?")
                    .bind(key.last_access())
                    .bind(key.id)
                    .execute(&mut *transaction)
                    .await
                    .map_err(broken)?;
            }
            transaction.commit().await.map_err(broken)?;
        }
        self.flushed_at = now.as_millisecond();
        Ok(())
    }
}

/// A connection to the database in its newest form, and the file that it is in, if it is in one.
async fn connect(url: &str, may_create: bool) -> io::Result<(SqliteConnection, Option<PathBuf>)> {
    if !url.starts_with("sqlite:") {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "give one such as sqlite:keys.db"));
    }
    let options = SqliteConnectOptions::from_str(url).map_err(broken)?;
    let in_memory = url.contains(":memory:") || url.contains("mode=memory");
    let file = (!in_memory).then(|| options.get_filename().to_owned());
    let is_new = file.as_deref().is_none_or(|file| !file.exists());
    if is_new && !may_create {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is none"));
    }
    if let (Some(file), true) = (&file, is_new) {
        create_private(file)?;
    }
    let journal = if in_memory { SqliteJournalMode::Memory } else { SqliteJournalMode::Wal };
    let options = options
        .journal_mode(journal)
        // A commit is on the disk before it is answered.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .disable_statement_logging();
    let mut connection = options.connect().await.map_err(broken)?;
    migrator().run(&mut connection).await.map_err(io::Error::other)?;
    Ok((connection, file))
}

/// The file of the master key of a database's file.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".master-key");
    name.into()
}

/// Makes an empty file that only its owner can read.
fn create_private(file: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file).map(drop)
}

fn migrator() -> Migrator {
    let first = Migration::new(
        1,
        "users and keys".into(),
        MigrationType::Simple,
        FIRST_MIGRATION.into(),
        false,
    );
    Migrator { migrations: vec![first].into(), ..Migrator::DEFAULT }
}

async fn insert(
    connection: &mut SqliteConnection,
    vault: &Vault,
    mut terms: Terms,
) -> io::Result<(Key, ApiKeyValue)> {
    let value = new_key()?;
    terms.identifier = value.identifier().to_owned();
    let fingerprint = vault.fingerprint(value.expose_secret());
    let sealed = vault.seal(&value, &fingerprint)?;
    let id = sqlx::query_scalar(
        "INSERT INTO api_keys (owner, name, fingerprint, sealed, identifier, role, created_at,
                               created_by_key, expires_at, suspended)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(&terms.owner)
    .bind(&terms.name)
    .bind(fingerprint.0.as_slice())
    .bind(&sealed)
    .bind(&terms.identifier)
    .bind(terms.role.map(Role::as_str))
    .bind(terms.created_at.as_millisecond())
    .bind(&terms.created_by_key)
    .bind(terms.expires_at.map(Timestamp::as_millisecond))
    .bind(terms.suspended)
    .fetch_one(connection)
    .await
    .map_err(broken)?;
    Ok((Key::new(id, fingerprint, sealed, terms, None), value))
}

fn key_of(row: &SqliteRow) -> io::Result<Key> {
    let time =
        |milliseconds: i64| Timestamp::from_millisecond(milliseconds).map_err(io::Error::other);
    let fingerprint: Vec<u8> = get(row, "fingerprint")?;
    let fingerprint = fingerprint.try_into().map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "the database has a fingerprint that is none")
    })?;
    let terms = Terms {
        owner: get(row, "owner")?,
        name: get(row, "name")?,
        identifier: get(row, "identifier")?,
        role: get::<Option<String>>(row, "role")?.map(role).transpose()?,
        created_at: time(get(row, "created_at")?)?,
        created_by_key: get(row, "created_by_key")?,
        expires_at: get::<Option<i64>>(row, "expires_at")?.map(time).transpose()?,
        suspended: get(row, "suspended")?,
    };
    let fingerprint = Fingerprint(fingerprint);
    let (id, sealed) = (get(row, "id")?, get(row, "sealed")?);
    Ok(Key::new(id, fingerprint, sealed, terms, get(row, "last_access")?))
}

fn get<'r, T>(row: &'r SqliteRow, column: &str) -> io::Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(broken)
}

fn role(name: String) -> io::Result<Role> {
    name.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn broken(error: sqlx::Error) -> io::Error {
    io::Error::other(format!("the database failed: {error}"))
}
