//! Generates, recognizes and encrypts API keys. Of each key the database has two things that say
//! nothing without the master key: a lookup hash, and an encrypted copy for `reveal`.

use std::io;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::distr::{Alphanumeric, SampleString};
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use rockset_apikeys::ApiKeyValue;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::master_key::MasterKey;

/// The length of a key, as in the documentation's examples.
const KEY_LENGTH: usize = 64;
const NONCE_LENGTH: usize = 24;

/// A keyed hash of a key, by which the database finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LookupHash(pub(crate) [u8; 32]);

/// A key that is not stored yet.
pub(crate) struct NewKey {
    pub(crate) value: ApiKeyValue,
    pub(crate) lookup_hash: LookupHash,
    pub(crate) encrypted: Vec<u8>,
}

/// The secrets of one database, ready for use.
pub(crate) struct Vault {
    lookup: Hmac<Sha256>,
    key_check: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl Vault {
    pub(crate) fn new(master: &MasterKey) -> io::Result<Self> {
        // As long as a block of the hash, so that HMAC takes it as it is.
        let lookup = master.derive::<64>("lookup hash")?;
        let encryption = master.derive::<32>("encryption")?;
        Ok(Self {
            lookup: KeyInit::new((&*lookup).into()),
            key_check: *master.derive("key check")?,
            cipher: KeyInit::new((&*encryption).into()),
        })
    }

    /// The key check value: it tells one master key from another and says nothing about either.
    pub(crate) fn key_check(&self) -> &[u8; 32] {
        &self.key_check
    }

    pub(crate) fn lookup_hash(&self, key: &str) -> LookupHash {
        // A copy of the prepared state saves hashing the secret again.
        let hash = self.lookup.clone().chain_update(key).finalize();
        LookupHash(hash.into_bytes().into())
    }

    /// Generates a key, with what the database stores of it.
    pub(crate) fn generate(&self) -> io::Result<NewKey> {
        let mut random = system_random()?;
        let mut value = Zeroizing::new(String::with_capacity(KEY_LENGTH));
        Alphanumeric.append_string(&mut random, &mut value, KEY_LENGTH);
        let value = ApiKeyValue::from(std::mem::take(&mut *value));
        let lookup_hash = self.lookup_hash(value.expose_secret());
        let mut nonce = [0; NONCE_LENGTH];
        random.fill_bytes(&mut nonce);
        let encrypted = self.encrypt(&value, &lookup_hash, nonce)?;
        Ok(NewKey { value, lookup_hash, encrypted })
    }

    /// Encrypts a key. It can be decrypted together with its own lookup hash only, so that two rows
    /// of a database cannot swap their keys.
    fn encrypt(
        &self,
        key: &ApiKeyValue,
        lookup_hash: &LookupHash,
        nonce: [u8; NONCE_LENGTH],
    ) -> io::Result<Vec<u8>> {
        let payload = Payload { msg: key.expose_secret().as_bytes(), aad: &lookup_hash.0 };
        let encrypted = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let encrypted = encrypted.map_err(|_| io::Error::other("the key cannot be encrypted"))?;
        Ok([&nonce[..], &encrypted].concat())
    }

    pub(crate) fn decrypt(
        &self,
        encrypted: &[u8],
        lookup_hash: &LookupHash,
    ) -> io::Result<ApiKeyValue> {
        let damaged = || {
            let reason = "a stored key is damaged: the master key does not decrypt it";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        let (nonce, text) = encrypted.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let payload = Payload { msg: text, aad: &lookup_hash.0 };
        let key = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(key).map(Into::into).map_err(|_| damaged())
    }
}

/// A generator with a new seed of the operating system's. `rand`'s own generators panic where the
/// system has no randomness.
pub(crate) fn system_random() -> io::Result<StdRng> {
    StdRng::try_from_rng(&mut SysRng).map_err(|error| {
        io::Error::other(format!("the operating system gives no random bytes: {error}"))
    })
}
