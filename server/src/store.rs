//! Where users and keys are kept: an SQLite database, in a file or in memory, with the same code
//! for both. What it is told has been decided by `rules`; when a function here returns, it is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use rockset_apikeys::ApiKeyValue;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteQueryResult, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use crate::Role;
use crate::master_key::MasterKey;
use crate::rules::{FIRST_KEY, Key, Rules, Terms};
use crate::vault::{LookupHash, NewKey, Vault};

/// SQLite's result codes for a database that is busy, locked, out of memory, read-only, on a disk
/// that fails or is full, cannot be opened, or has a lock protocol error.
const TRANSIENT: [i32; 8] = [5, 6, 7, 8, 10, 13, 14, 15];
const FIRST_MIGRATION: &str = include_str!("../migrations/1_users_and_keys.sql");

/// An open database. All changes go through one connection, one after the other.
pub(crate) struct Store {
    options: SqliteConnectOptions,
    /// Taken out for each use and put back after a success. After a failure, or a use that was cut
    /// short, SQLite and the library may disagree about whether a transaction is open, so that
    /// connection is never used again.
    link: Option<Link>,
    /// A database in memory lives as long as a connection to it. This one is never used, and thus
    /// never fails.
    _anchor: Option<SqliteConnection>,
    vault: Arc<Vault>,
    /// Up to when it is stored which keys were last used, in milliseconds since 1970.
    flushed_at: i64,
}

/// A connection and what it knows.
struct Link {
    connection: SqliteConnection,
    /// SQLite's number for the contents when they were last loaded. It changes when another process
    /// writes. A new connection has loaded nothing.
    loaded: Option<i64>,
}

impl Store {
    /// Opens a database, such as `sqlite:keys.db` or `sqlite::memory:`, and creates it where there
    /// is none if it may. Without a master key, the one of a file is in a file beside it.
    pub(crate) async fn open(
        url: &str,
        master: Option<MasterKey>,
        may_create: bool,
    ) -> io::Result<Self> {
        let opened = connect(url, may_create).await.map_err(|error| {
            io::Error::new(error.kind(), format!("the database {url} cannot be opened: {error}"))
        })?;
        let Opened { options, mut connection, anchor, file } = opened;
        let proof: Option<Vec<u8>> = sqlx::query_scalar("SELECT proof FROM master")
            .fetch_optional(&mut connection)
            .await
            .map_err(broken)?;
        let master = match (master, &file) {
            (Some(master), _) => master,
            (None, Some(file)) => MasterKey::from_file(&beside(file), proof.is_none())?,
            (None, None) => MasterKey::generate()?,
        };
        let vault = Arc::new(Vault::new(&master)?);
        match proof {
            None => {
                sqlx::query("INSERT INTO master (proof) VALUES (?)")
                    .bind(vault.key_check().as_slice())
                    .execute(&mut connection)
                    .await
                    .map_err(broken)?;
            }
            Some(proof) if proof == vault.key_check() => {}
            Some(_) => {
                let reason = format!("the database {url} was written with another master key");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        let link = Some(Link { connection, loaded: None });
        Ok(Self { options, link, _anchor: anchor, vault, flushed_at: i64::MIN })
    }

    pub(crate) fn vault(&self) -> &Arc<Vault> {
        &self.vault
    }

    /// Uses the connection, which is replaced before the next use unless this one succeeds.
    async fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Link) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => {
                let connection = self.options.connect().await.map_err(broken)?;
                Link { connection, loaded: None }
            }
        };
        let outcome = work(&mut link).await;
        if outcome.is_ok() {
            self.link = Some(link);
        } else {
            // Its locks are gone when the next one opens. Another failure changes nothing.
            let _ = link.connection.close().await;
        }
        outcome
    }

    /// All users and keys, if they may have changed since they were last loaded: by another
    /// process, or by a change that failed here. What is in progress elsewhere is not in them.
    pub(crate) async fn changed(&mut self) -> io::Result<Option<Rules>> {
        self.with(async |link| {
            let version = sqlx::query_scalar("PRAGMA data_version")
                .fetch_one(&mut link.connection)
                .await
                .map_err(broken)?;
            if link.loaded == Some(version) {
                return Ok(None);
            }
            let rules = load(&mut link.connection).await?;
            link.loaded = Some(version);
            Ok(Some(rules))
        })
        .await
    }

    /// Users with their roles and how many keys they have, by e-mail address.
    pub(crate) async fn users(&mut self) -> io::Result<Vec<(String, Role, i64)>> {
        let users = sqlx::query(
            "SELECT email, users.role, count(api_keys.id) AS keys FROM users
             LEFT JOIN api_keys ON owner = email GROUP BY email ORDER BY email",
        );
        let rows = self
            .with(async |link| users.fetch_all(&mut link.connection).await.map_err(broken))
            .await?;
        let user = |row: SqliteRow| {
            Ok((get(&row, "email")?, role(get(&row, "role")?)?, get(&row, "keys")?))
        };
        rows.into_iter().map(user).collect()
    }

    pub(crate) async fn has_user(&mut self, email: &str) -> io::Result<bool> {
        let has_user =
            sqlx::query_scalar("SELECT EXISTS (SELECT * FROM users WHERE email = ?)").bind(email);
        self.with(async |link| has_user.fetch_one(&mut link.connection).await.map_err(broken)).await
    }

    /// The value of a user's first key, if the user still has it.
    pub(crate) async fn first_key(&mut self, email: &str) -> io::Result<Option<ApiKeyValue>> {
        let key = sqlx::query("SELECT * FROM api_keys WHERE owner = ? AND name = ?")
            .bind(email)
            .bind(FIRST_KEY);
        let key = self
            .with(async |link| key.fetch_optional(&mut link.connection).await.map_err(broken))
            .await?;
        let key = key.as_ref().map(key_of).transpose()?;
        key.map(|key| self.vault.decrypt(&key.sealed, &key.fingerprint)).transpose()
    }

    /// Adds a user with a first key, and gives the key's value.
    pub(crate) async fn add_user(
        &mut self,
        email: &str,
        role: Role,
        now: Timestamp,
    ) -> io::Result<ApiKeyValue> {
        let key = self.vault.generate()?;
        let terms = Terms {
            owner: email.to_owned(),
            name: FIRST_KEY.to_owned(),
            identifier: key.value.identifier().to_owned(),
            role: None,
            created_at: now,
            created_by_key: None,
            expires_at: None,
            suspended: false,
        };
        self.with(async |link| {
            let mut transaction = link.connection.begin().await.map_err(broken)?;
            sqlx::query("INSERT INTO users (email, role) VALUES (?, ?)")
                .bind(email)
                .bind(role.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(broken)?;
            insert(&mut transaction, &key, &terms).await?;
            transaction.commit().await.map_err(broken)
        })
        .await?;
        Ok(key.value)
    }

    /// Removes a user with all keys; `false` where there is no such user.
    pub(crate) async fn remove_user(&mut self, email: &str) -> io::Result<bool> {
        let delete = sqlx::query("DELETE FROM users WHERE email = ?").bind(email);
        let done = self
            .with(async |link| delete.execute(&mut link.connection).await.map_err(broken))
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Inserts a key with these terms, and gives its id.
    pub(crate) async fn insert(&mut self, key: &NewKey, terms: &Terms) -> io::Result<i64> {
        self.with(async |link| insert(&mut link.connection, key, terms).await).await
    }

    /// Updates a key to its present terms. Fails if the database no longer has it.
    pub(crate) async fn update(&mut self, key: &Key) -> io::Result<()> {
        let update = sqlx::query("UPDATE api_keys SET expires_at = ?, suspended = ? WHERE id = ?")
            .bind(key.terms.expires_at.map(Timestamp::as_millisecond))
            .bind(key.terms.suspended)
            .bind(key.id);
        self.with(async |link| {
            let done = update.execute(&mut link.connection).await.map_err(broken)?;
            one_row(&done)
        })
        .await
    }

    /// Deletes a key. Fails if the database no longer has it.
    pub(crate) async fn delete(&mut self, key: &Key) -> io::Result<()> {
        let delete = sqlx::query("DELETE FROM api_keys WHERE id = ?").bind(key.id);
        self.with(async |link| {
            let done = delete.execute(&mut link.connection).await.map_err(broken)?;
            one_row(&done)
        })
        .await
    }

    /// Up to when it is stored which keys were last used, in milliseconds since 1970.
    pub(crate) fn flushed_at(&self) -> i64 {
        self.flushed_at
    }

    /// Stores when these keys were last used, which are all that were used up to now.
    pub(crate) async fn flush(&mut self, used: &[Arc<Key>], now: Timestamp) -> io::Result<()> {
        if !used.is_empty() {
            self.with(async |link| {
                let mut transaction = link.connection.begin().await.map_err(broken)?;
                for key in used {
                    sqlx::query("UPDATE api_keys SET last_access = ? WHERE id = ?")
                        .bind(key.last_access())
                        .bind(key.id)
                        .execute(&mut *transaction)
                        .await
                        .map_err(broken)?;
                }
                transaction.commit().await.map_err(broken)
            })
            .await?;
        }
        self.flushed_at = now.as_millisecond();
        Ok(())
    }
}

/// A database in its newest form.
struct Opened {
    options: SqliteConnectOptions,
    connection: SqliteConnection,
    /// Keeps a database in memory alive.
    anchor: Option<SqliteConnection>,
    /// The file that it is in, if it is in one.
    file: Option<PathBuf>,
}

async fn connect(url: &str, may_create: bool) -> io::Result<Opened> {
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
    let options = match options.get_filename().to_str() {
        Some(name) if !in_memory || name.starts_with("file:") => options,
        // SQLite shares a database in memory between connections under such a name alone.
        _ => SqliteConnectOptions::from_str("sqlite::memory:").map_err(broken)?,
    };
    let options = options
        .shared_cache(in_memory)
        .journal_mode(journal)
        // A commit is on the disk before the response is sent.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .disable_statement_logging();
    let anchor = if in_memory { Some(options.connect().await.map_err(broken)?) } else { None };
    let mut connection = options.connect().await.map_err(broken)?;
    migrator().run(&mut connection).await.map_err(io::Error::other)?;
    Ok(Opened { options, connection, anchor, file })
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

async fn load(connection: &mut SqliteConnection) -> io::Result<Rules> {
    let mut rules = Rules::default();
    let users = sqlx::query("SELECT email, role FROM users");
    for row in users.fetch_all(&mut *connection).await.map_err(broken)? {
        rules.add_user(get(&row, "email")?, role(get(&row, "role")?)?);
    }
    let keys = sqlx::query("SELECT * FROM api_keys ORDER BY id");
    for row in keys.fetch_all(connection).await.map_err(broken)? {
        rules.put(key_of(&row)?);
    }
    Ok(rules)
}

async fn insert(connection: &mut SqliteConnection, key: &NewKey, terms: &Terms) -> io::Result<i64> {
    // Without RETURNING: the library stops a statement at its only row, and then the commit and its
    // error come after the outcome. `execute` steps to the end.
    let done = sqlx::query(
        "INSERT INTO api_keys (owner, name, fingerprint, sealed, identifier, role, created_at,
                               created_by_key, expires_at, suspended)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&terms.owner)
    .bind(&terms.name)
    .bind(key.lookup_hash.0.as_slice())
    .bind(&key.encrypted)
    .bind(&terms.identifier)
    .bind(terms.role.map(Role::as_str))
    .bind(terms.created_at.as_millisecond())
    .bind(&terms.created_by_key)
    .bind(terms.expires_at.map(Timestamp::as_millisecond))
    .bind(terms.suspended)
    .execute(connection)
    .await
    .map_err(broken)?;
    one_row(&done)?;
    Ok(done.last_insert_rowid())
}

/// Fails unless a statement changed the one row that it is about.
fn one_row(done: &SqliteQueryResult) -> io::Result<()> {
    if done.rows_affected() == 1 {
        return Ok(());
    }
    let reason = format!("{} rows changed instead of one", done.rows_affected());
    Err(io::Error::new(io::ErrorKind::NotFound, reason))
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
    let fingerprint = LookupHash(fingerprint);
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

/// An error of the database, of the kind `ResourceBusy` if the same statement may succeed later.
fn broken(error: sqlx::Error) -> io::Error {
    let may_pass = error.as_database_error().is_some_and(|error| {
        let code = error.code().and_then(|code| code.parse::<i32>().ok());
        // The upper bits tell errors of one code apart.
        let is_transient = code.is_some_and(|code| TRANSIENT.contains(&(code & 0xff)));
        // Two processes have taken one name; the next attempt sees it.
        is_transient || error.is_unique_violation()
    });
    let kind = if may_pass { io::ErrorKind::ResourceBusy } else { io::ErrorKind::Other };
    io::Error::new(kind, format!("the database failed: {error}"))
}
