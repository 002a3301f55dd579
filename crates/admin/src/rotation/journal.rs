//! The journal: one file per rotation, without any key's value, and one lock file per key.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::{FileExt, TryLockError};
use rockset_apikeys::{Timestamp, jiff};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::error::{Error, Kind};

/// A step of a rotation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// Creates the successor, and suspends the old key first if requested.
    Create,
    /// Writes the successor's value to the destinations.
    Distribute,
    /// Calls the API with the successor's value.
    Test,
    /// Limits the old key's expiry time.
    Overlap,
    /// Waits for the end of the overlap, then suspends the old key.
    Suspend,
    /// Waits for the end of the hold.
    Hold,
    /// Deletes the old key.
    Delete,
    /// Restores the old key and the destinations, and deletes the successor.
    #[serde(rename = "rollback")]
    RollBack,
    /// The old key is retired.
    Done,
    /// The changes are undone.
    RolledBack,
    /// The rotation was closed, and both keys were left unchanged.
    Aborted,
}

impl Step {
    /// Returns the step's name, for example `distribute`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Distribute => "distribute",
            Self::Test => "test",
            Self::Overlap => "overlap",
            Self::Suspend => "suspend",
            Self::Hold => "hold",
            Self::Delete => "delete",
            Self::RollBack => "rollback",
            Self::Done => "done",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
        }
    }

    /// Returns true if the rotation is finished.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack | Self::Aborted)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A rotation in the journal. Timestamps are the server's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// ID of the rotation.
    pub id: String,
    /// URL of the API server.
    pub server: String,
    /// Email address of the keys' owner.
    pub user: String,
    /// Name of the old key.
    pub old: String,
    /// When the old key was created.
    pub old_created_at: Option<Timestamp>,
    /// The old key's expiry time before the rotation, if any.
    pub old_expiry_time: Option<Timestamp>,
    /// Name of the successor.
    pub new: String,
    /// Role of both keys.
    pub role: Option<String>,
    /// The successor's expiry time, if any.
    pub new_expiry_time: Option<Timestamp>,
    /// When the successor was created, if it was.
    pub new_created_at: Option<Timestamp>,
    /// Names of the destinations.
    pub destinations: Vec<String>,
    /// How many destinations may contain the new value.
    pub written: usize,
    /// Name of the custom test, if any.
    pub test: Option<String>,
    /// Name of the client's own key at the start, if known.
    pub own_key_name: Option<String>,
    /// How long both keys work.
    pub overlap: Duration,
    /// How long the old key is suspended before it is deleted.
    pub hold: Duration,
    /// Whether the old key is compromised.
    pub is_compromised: bool,
    /// Whether the old key is suspended before the successor is created.
    pub is_suspended_first: bool,
    /// Whether the client's user owns the keys, so that the old key may be the client's own.
    pub is_own_user: bool,
    /// Whether the old key is the client's own.
    pub is_own_key: bool,
    /// The next or current step.
    pub step: Step,
    /// The last step that was begun before a rollback, or `step`.
    pub reached: Step,
    /// When the rotation was started.
    pub started_at: Timestamp,
    /// When the successor was distributed and tested.
    pub distributed_at: Option<Timestamp>,
    /// The old key's expiry time during the overlap.
    pub overlap_until: Option<Timestamp>,
    /// When the old key is to be suspended.
    pub suspend_at: Option<Timestamp>,
    /// When the old key was suspended.
    pub suspended_at: Option<Timestamp>,
    /// When the old key is to be deleted.
    pub delete_at: Option<Timestamp>,
    /// The reason for a rollback.
    pub failure: Option<String>,
}

impl Entry {
    /// Returns when the next step is due, or `None` if it is due now or the rotation is finished.
    pub fn waits_until(&self) -> Option<&Timestamp> {
        match self.step {
            Step::Suspend => self.suspend_at.as_ref(),
            Step::Hold => self.delete_at.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Entry {
    /// Prints one line per fact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "rotation {}: {}", self.id, self.step)?;
        writeln!(f, "  {:?} → {:?} of {}", self.old, self.new, self.user)?;
        write!(f, "  started {}", self.started_at)?;
        if let Some(time) = self.waits_until() {
            write!(f, "\n  waits until {time}")?;
        }
        if let Some(failure) = &self.failure {
            write!(f, "\n  rolled back: {failure}")?;
        }
        Ok(())
    }
}

/// The directory that contains the entries.
pub(super) struct Journal(PathBuf);

/// An exclusive lock of a key's rotation. The OS releases it when the process ends.
pub(super) struct Lock {
    _file: File,
}

impl Journal {
    /// Creates the directory if it does not exist.
    pub(super) fn open(directory: PathBuf) -> Result<Self, Error> {
        create_directory(&directory)
            .map_err(|error| cannot("create", &directory).because(error))?;
        Ok(Self(directory))
    }

    /// Returns all entries, oldest first.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Error> {
        let read = |error| cannot("read", &self.0).because(error);
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.0).map_err(read)? {
            let path = file.map_err(read)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                entries.push(parse(&path)?);
            }
        }
        entries.sort_by(|one, other| (one.id.len(), &one.id).cmp(&(other.id.len(), &other.id)));
        Ok(entries)
    }

    pub(super) fn entry(&self, id: &str) -> Result<Entry, Error> {
        let path = self.path(id);
        if id.is_empty() || !id.chars().all(|char| char.is_ascii_hexdigit()) || !path.is_file() {
            let reason =
                format!("the journal {} does not contain a rotation {id:?}", self.0.display());
            return Err(Error::new(Kind::NotFound, reason));
        }
        parse(&path)
    }

    /// Returns an unused ID.
    pub(super) fn new_id(&self) -> String {
        let mut number = jiff::Timestamp::now().as_millisecond();
        while self.path(&format!("{number:x}")).exists() {
            number += 1;
        }
        format!("{number:x}")
    }

    /// Writes an entry durably.
    pub(super) fn save(&self, entry: &Entry) -> Result<(), Error> {
        let written = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.0)?;
            serde_json::to_writer_pretty(&mut file, entry)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(self.path(&entry.id))?;
            sync(&self.0)
        };
        written().map_err(|error| cannot("write", &self.0).because(error).of(&entry.id))
    }

    /// Locks a key's rotation.
    pub(super) fn lock(&self, server: &str, user: &str, old: &str) -> Result<Lock, Error> {
        let path = self.0.join(format!("{:016x}.lock", hash(&[server, user, old])));
        let locked = File::create(&path).map_err(TryLockError::Error).and_then(|file| {
            FileExt::try_lock(&file)?;
            Ok(Lock { _file: file })
        });
        locked.map_err(|error| match error {
            TryLockError::WouldBlock => {
                let reason = format!("another process is rotating {old:?}; wait for it to finish");
                Error::new(Kind::Locked, reason)
            }
            TryLockError::Error(error) => cannot("lock", &path).because(error),
        })
    }

    fn path(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }
}

fn parse(path: &Path) -> Result<Entry, Error> {
    let text = fs::read(path).map_err(|error| cannot("read", path).because(error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let reason = format!("cannot parse the journal's file {}", path.display());
        Error::new(Kind::Unfinished, reason).because(error)
    })
}

fn cannot(verb: &str, path: &Path) -> Error {
    Error::new(Kind::Unfinished, format!("cannot {verb} the journal {}", path.display()))
}

/// FNV-1a, which is stable across versions of this crate. After a collision two keys share a lock.
fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(unix)]
fn create_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn create_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Makes the rename of a file survive a power loss.
#[cfg(unix)]
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
