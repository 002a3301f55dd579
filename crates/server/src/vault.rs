//! Secrets at rest: the master key, and the vault that generates, hashes and encrypts API keys.
//!
//! For each key, the database stores a lookup hash and an encrypted copy. Neither reveals the key
//! without the master key.

use std::fs;
use std::io;
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand::distr::{Alphanumeric, SampleString};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use rockset_apikeys::ApiKeyValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::private_file;

const MASTER_KEY_LENGTH: usize = 32;
/// The length of an API key, as in the published examples.
const KEY_LENGTH: usize = 64;
const NONCE_LENGTH: usize = 24;

/// The random secret from which the other secrets of a database are derived.
pub(crate) struct MasterKey(Zeroizing<[u8; MASTER_KEY_LENGTH]>);

impl MasterKey {
    pub(crate) fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; MASTER_KEY_LENGTH]);
        system_random()?.fill_bytes(&mut *bytes);
        Ok(Self(bytes))
    }

    /// Parses 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; MASTER_KEY_LENGTH]);
        // The decoder's own error quotes a character of the secret.
        hex::decode_to_slice(text.trim(), &mut *bytes).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "expected 64 hexadecimal digits")
        })?;
        Ok(Self(bytes))
    }

    /// Reads the master key from a file.
    ///
    /// With `may_create`, a missing file is created with a new key.
    pub(crate) fn from_file(path: &Path, may_create: bool) -> io::Result<Self> {
        let read = || {
            if may_create {
                let hex = Zeroizing::new(hex::encode(*Self::generate()?.0));
                let line = Zeroizing::new([hex.as_bytes(), b"\n"].concat());
                private_file::create(path, &line)?;
            }
            let text = Zeroizing::new(fs::read_to_string(path)?);
            private_file::check(path)?;
            Self::parse(&text)
        };
        read().map_err(|error| {
            let reason = format!("cannot read the master key from {}: {error}", path.display());
            io::Error::new(error.kind(), reason)
        })
    }

    /// Derives a secret for one purpose. It reveals neither the master key nor other secrets.
    fn derive<const N: usize>(&self, purpose: &str) -> io::Result<Zeroizing<[u8; N]>> {
        let mut secret = Zeroizing::new([0; N]);
        let info = ["rockset-apikeys-server ", purpose].concat();
        // The master key is uniformly random, so it needs no extraction.
        let hkdf = Hkdf::<Sha256>::from_prk(&*self.0).map_err(io::Error::other)?;
        hkdf.expand(info.as_bytes(), &mut *secret).map_err(io::Error::other)?;
        Ok(secret)
    }
}

/// The keyed hash by which the database finds an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LookupHash(pub(crate) [u8; 32]);

/// A generated API key that is not stored yet.
pub(crate) struct NewKey {
    pub(crate) value: ApiKeyValue,
    pub(crate) lookup_hash: LookupHash,
    pub(crate) encrypted: Vec<u8>,
}

/// The derived secrets of one database.
pub(crate) struct Vault {
    lookup: Hmac<Sha256>,
    key_check: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl Vault {
    pub(crate) fn new(master: &MasterKey) -> io::Result<Self> {
        // HMAC uses a key of the hash's block length unchanged.
        let lookup = master.derive::<64>("lookup hash")?;
        let encryption = master.derive::<32>("encryption")?;
        Ok(Self {
            lookup: KeyInit::new((&*lookup).into()),
            key_check: *master.derive("key check")?,
            cipher: KeyInit::new((&*encryption).into()),
        })
    }

    /// Returns a value that identifies the master key without revealing it.
    pub(crate) fn key_check(&self) -> &[u8; 32] {
        &self.key_check
    }

    pub(crate) fn lookup_hash(&self, key: &str) -> LookupHash {
        // Cloning the prepared state saves hashing the secret again.
        let hash = self.lookup.clone().chain_update(key).finalize();
        LookupHash(hash.into_bytes().into())
    }

    pub(crate) fn generate(&self) -> io::Result<NewKey> {
        let mut random = system_random()?;
        let mut value = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        Alphanumeric.append_string(&mut random, &mut value, KEY_LENGTH);
        let value = ApiKeyValue::from(std::mem::take(&mut *value));
        let lookup_hash = self.lookup_hash(value.expose_secret());
        let mut nonce = [0; NONCE_LENGTH];
        random.fill_bytes(&mut nonce);
        // Authenticating the lookup hash prevents that two rows swap their encrypted keys.
        let payload = Payload { msg: value.expose_secret().as_bytes(), aad: &lookup_hash.0 };
        let encrypted = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let encrypted = encrypted.map_err(|_| io::Error::other("cannot encrypt the new key"))?;
        Ok(NewKey { value, lookup_hash, encrypted: [&nonce[..], &encrypted].concat() })
    }

    pub(crate) fn decrypt(
        &self,
        encrypted: &[u8],
        lookup_hash: &LookupHash,
    ) -> io::Result<ApiKeyValue> {
        let damaged = || {
            let reason = "cannot decrypt a stored key with the master key: the row is damaged";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        let (nonce, text) = encrypted.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let payload = Payload { msg: text, aad: &lookup_hash.0 };
        let key = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(key).map(Into::into).map_err(|_| damaged())
    }
}

/// Returns a generator with a new seed from the operating system.
///
/// The generators of `rand` panic if the operating system has no randomness.
fn system_random() -> io::Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| {
        io::Error::other(format!("cannot get random bytes from the operating system: {error}"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Barrier;

    use super::*;

    /// Each thread stands for a process: they share only the file.
    #[test]
    fn master_key_file_created_concurrently_contains_one_key() {
        for _ in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("keys.db.master-key");
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
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "a file is left over");
        }
    }

    #[test]
    fn derived_secrets_differ_by_purpose() {
        let key = MasterKey::parse(&"0f".repeat(32)).unwrap();
        let secret = |purpose| *key.derive::<32>(purpose).unwrap();
        assert_eq!(secret("encryption"), secret("encryption"));
        assert_ne!(secret("encryption"), secret("lookup hash"));
        assert_ne!(secret("encryption"), *key.0);
    }
}
