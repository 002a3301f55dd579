//! The master key: the secret from which a database's other secrets are derived, and its file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use hkdf::Hkdf;
use rand::Rng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::vault::system_random;

const LENGTH: usize = 32;

/// 32 bytes, as unpredictable as the operating system's generator.
pub(crate) struct MasterKey(Zeroizing<[u8; LENGTH]>);

impl MasterKey {
    /// Generates a new one.
    pub(crate) fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        system_random()?.fill_bytes(&mut *bytes);
        Ok(Self(bytes))
    }

    /// Reads one that is written as 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        // The decoder's own error quotes a character of the secret.
        hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| {
            let reason = "a master key is 64 hexadecimal digits";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        })?;
        Ok(Self(bytes))
    }

    /// Reads the one in this file. With `allow_new`, a missing file is created with a new key,
    /// readable by its owner alone.
    pub(crate) fn from_file(path: &Path, allow_new: bool) -> io::Result<Self> {
        Self::load(path, allow_new).map_err(|error| {
            io::Error::new(error.kind(), format!("the master key {}: {error}", path.display()))
        })
    }

    fn load(path: &Path, allow_new: bool) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && allow_new => {
                Self::generate()?.write_new(path)?;
                fs::read_to_string(path)
            }
            read => read,
        };
        let text = Zeroizing::new(text?);
        require_private(path)?;
        if allow_new {
            // The file may be new, whichever process created it. What is encrypted with a key that
            // a power loss removes is lost as well.
            sync_folder_of(path)?;
        }
        Self::parse(&text)
    }

    /// Writes a file that appears under its name when it is complete. A file that another process
    /// created in the meantime stays.
    fn write_new(&self, path: &Path) -> io::Result<()> {
        // Readable and writable by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder(path))?;
        let text = Zeroizing::new(hex::encode(*self.0));
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(failed) if failed.error.kind() != io::ErrorKind::AlreadyExists => Err(failed.error),
            _ => Ok(()),
        }
    }

    /// Derives a secret for one use. Neither the master key nor another use's secret can be
    /// computed from it.
    pub(crate) fn derive<const N: usize>(&self, usage: &str) -> io::Result<Zeroizing<[u8; N]>> {
        let mut secret = Zeroizing::new([0; N]);
        let info = ["rockset-apikeys-server ", usage].concat();
        // Extraction is for secrets that are not uniformly random; this one is.
        let hkdf = Hkdf::<Sha256>::from_prk(&*self.0).map_err(io::Error::other)?;
        hkdf.expand(info.as_bytes(), &mut *secret).map_err(io::Error::other)?;
        Ok(secret)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a file's name survive a power loss.
#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    fs::File::open(folder(path))?.sync_all()
}

#[cfg(not(unix))]
pub(crate) fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Checks that no other user can access a secret's file.
#[cfg(unix)]
pub(crate) fn require_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let file = path.display();
    let reason = format!("readable by other users (mode {mode:o}); run `chmod 600 {file}`");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

#[cfg(not(unix))]
pub(crate) fn require_private(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Barrier;

    use super::*;

    /// Each thread stands for a process: they share nothing but the file.
    #[test]
    fn all_who_create_the_file_at_once_get_the_same_key() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.db.master-key");
            let start = Barrier::new(8);
            let read = || {
                start.wait();
                MasterKey::from_file(&path, true).unwrap()
            };
            let keys: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let stored = MasterKey::from_file(&path, false).unwrap();
            assert!(keys.iter().all(|key| *key.0 == *stored.0));
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
        }
    }

    #[test]
    fn each_use_has_its_own_secret() {
        let key = MasterKey::parse(&"0f".repeat(32)).unwrap();
        let secret = |usage| *key.derive::<32>(usage).unwrap();
        assert_eq!(secret("encryption"), secret("encryption"));
        assert_ne!(secret("encryption"), secret("lookup hash"));
        assert_ne!(secret("encryption"), *key.0);
    }
}
