//! A cache of keys, valid until any process commits.
//!
//! SQLite's write-ahead log has an index in shared memory, the file `-shm`. Its header changes with
//! every commit. Reading the header takes one system call, a transaction of SQLite takes several.
//! <https://sqlite.org/walformat.html#the_wal_index_file_format> documents it.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::record::KeyRecord;
use crate::vault::LookupHash;

/// The maximum number of cached keys.
const KEYS: usize = 10_000;
/// The length of the index's header, of which there are two copies.
const HEADER: usize = 48;

/// Identifies one state of a database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Version([u8; HEADER]);

pub(super) struct Cache {
    source: RwLock<Option<Source>>,
    /// Counts the commits to an in-memory database, which only this process has open.
    commits: AtomicU64,
    keys: Mutex<Keys>,
}

/// The source of a database's version.
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

    /// Starts caching a database to which a connection is open.
    ///
    /// `None` stands for an in-memory database.
    pub(super) fn follow(&self, database: Option<&Path>) {
        let source = match database {
            Some(path) => {
                let mut index = path.as_os_str().to_owned();
                index.push("-shm");
                open_index(index.as_ref()).map(Source::Index)
            }
            None => Some(Source::Commits),
        };
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = source;
    }

    /// Stops caching.
    pub(super) fn stop(&self) {
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Invalidates the cache of an in-memory database. Call this before a commit is acknowledged.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, SeqCst);
    }

    /// Returns the version of the database, or `None` while it changes.
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

    /// Caches a key that was read from this version of the database.
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

/// Opens the index and never closes it.
///
/// Closing a file drops all locks that the process has on it, including those of SQLite.
#[cfg(target_os = "linux")]
fn open_index(path: &Path) -> Option<&'static File> {
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

// On other platforms, reading the file may return data older than the shared memory.

#[cfg(not(target_os = "linux"))]
fn open_index(_: &Path) -> Option<&'static File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn read_version(_: &File) -> Option<Version> {
    None
}
