//! Keys that were read before, for as long as nothing was committed since, by any process.
//!
//! SQLite's write-ahead log has an index in shared memory, the file `-shm`. Its header changes with
//! every commit and is read with one system call, where a transaction of SQLite takes several.
//! <https://sqlite.org/walformat.html#the_wal_index_file_format> documents it.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::pool::Place;
use crate::record::KeyRecord;
use crate::vault::LookupHash;

/// How many keys are kept at most.
const KEYS: usize = 10_000;
/// The length of the index's header, of which there are two copies.
const HEADER: usize = 48;

/// What tells one state of a database from all others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Version([u8; HEADER]);

pub(super) struct Cache {
    source: RwLock<Option<Source>>,
    /// Counts the commits to a database in memory, which are all of this process.
    commits: AtomicU64,
    keys: Mutex<Keys>,
}

/// Where the version of a database is found.
#[derive(Clone, Copy)]
enum Source {
    Index(&'static File),
    Commits,
}

#[derive(Default)]
struct Keys {
    version: Option<Version>,
    by_hash: HashMap<LookupHash, Arc<KeyRecord>>,
    by_name: HashMap<String, HashMap<String, Arc<KeyRecord>>>,
    count: usize,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { source: RwLock::default(), commits: AtomicU64::new(0), keys: Mutex::default() }
    }

    /// Follows the database in this place, to which a connection is open.
    pub(super) fn follow(&self, place: &Place) {
        let source = match place {
            Place::File(path) => {
                let mut index = path.as_os_str().to_owned();
                index.push("-shm");
                open_index(index.as_ref()).map(Source::Index)
            }
            Place::Memory(_) => Some(Source::Commits),
        };
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// Nothing is cached from now on.
    pub(super) fn stop(&self) {
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Notes a commit of this process, before it is acknowledged.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, SeqCst);
    }

    /// Returns the version of the database, unless it is changing at this moment.
    pub(super) fn version(&self) -> Option<Version> {
        let source = *self.source.read().unwrap_or_else(PoisonError::into_inner);
        match source? {
            Source::Index(file) => read_version(file),
            Source::Commits => {
                let mut version = [0; HEADER];
                let count = self.commits.load(SeqCst).to_le_bytes();
                version.iter_mut().zip(count).for_each(|(to, from)| *to = from);
                Some(Version(version))
            }
        }
    }

    pub(super) fn by_hash(&self, version: Version, hash: &LookupHash) -> Option<Arc<KeyRecord>> {
        self.keys(version)?.by_hash.get(hash).cloned()
    }

    pub(super) fn by_name(
        &self,
        version: Version,
        owner: &str,
        name: &str,
    ) -> Option<Arc<KeyRecord>> {
        self.keys(version)?.by_name.get(owner)?.get(name).cloned()
    }

    /// Keeps a key of this version of the database.
    pub(super) fn insert(&self, version: Version, key: KeyRecord) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.version != Some(version) || keys.count >= KEYS {
            *keys = Keys { version: Some(version), ..Keys::default() };
        }
        let key = Arc::new(key);
        keys.count += 1;
        keys.by_hash.insert(key.lookup_hash, Arc::clone(&key));
        keys.by_name.entry(key.owner.clone()).or_default().insert(key.name.clone(), key);
    }

    fn keys(&self, version: Version) -> Option<MutexGuard<'_, Keys>> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        (keys.version == Some(version)).then_some(keys)
    }
}

/// Opens a file for good: when a process closes a file, it loses all its locks on it, and SQLite
/// has locks on this one.
#[cfg(target_os = "linux")]
fn open_index(path: &std::path::Path) -> Option<&'static File> {
    use std::os::unix::fs::MetadataExt;
    static OPEN: Mutex<Vec<((u64, u64), &File)>> = Mutex::new(Vec::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let metadata = std::fs::metadata(path).ok()?;
    let id = (metadata.dev(), metadata.ino());
    if let Some((_, file)) = open.iter().find(|(known, _)| *known == id) {
        return Some(file);
    }
    let file: &'static File = Box::leak(Box::new(File::open(path).ok()?));
    let metadata = file.metadata().ok()?;
    open.push(((metadata.dev(), metadata.ino()), file));
    Some(file)
}

#[cfg(target_os = "linux")]
fn read_version(index: &File) -> Option<Version> {
    let mut copies = [0; 2 * HEADER];
    std::os::unix::fs::FileExt::read_exact_at(index, &mut copies, 0).ok()?;
    // A commit writes the second copy before the first.
    let (first, second) = copies.split_first_chunk::<HEADER>()?;
    (first.as_slice() == second).then_some(Version(*first))
}

// Elsewhere, a file may show later what another process wrote to shared memory.

#[cfg(not(target_os = "linux"))]
fn open_index(_: &std::path::Path) -> Option<&'static File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn read_version(_: &File) -> Option<Version> {
    None
}
