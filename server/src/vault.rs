//! Keys are made, recognized and kept secret here. A full key is stored as two things that say
//! nothing without the master key: a keyed hash that finds it, and a sealed copy for `reveal`.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::Path;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rockset_apikeys::ApiKeyValue;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The length of a key, as in the documentation's examples.
const KEY_LENGTH: usize = 64;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const NONCE_LENGTH: usize = 24;

/// The secret from which all others of a database come: 32 bytes.
pub(crate) struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A new one, from the operating system's generator.
    pub(crate) fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Reads one that is written as 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let text = text.trim();
        let bad = || {
            let reason = "a master key is 64 hexadecimal digits";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (index, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * index..2 * index + 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
        }
        Ok(Self(bytes))
    }

    /// The one in this file. Where there is no file, one is generated and written to it, readable
    /// by its owner alone, if a new one is allowed.
    pub(crate) fn from_file(path: &Path, allow_new: bool) -> io::Result<Self> {
        let with_path = |error: io::Error| {
            io::Error::new(error.kind(), format!("the master key {}: {error}", path.display()))
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                check_mode(path).map_err(with_path)?;
                Self::parse(&Zeroizing::new(text)).map_err(with_path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && allow_new => {
                let key = Self::generate()?;
                key.write_new(path).map_err(with_path)?;
                Ok(key)
            }
            Err(error) => Err(with_path(error)),
        }
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.iter() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(text.as_bytes())?;
        // A database whose master key is lost is lost, so the key is on the disk before the first
        // key that it seals.
        file.sync_all()
    }

    /// A secret for one use. The uses cannot be told from each other or from the master key.
    fn derive(&self, usage: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(keyed_hash(&self.0, usage.as_bytes()))
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("others can read it (mode {mode:o}); run `chmod 600` on it");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What a key is found by. Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A key that is not stored yet.
pub(crate) struct NewKey {
    pub(crate) value: ApiKeyValue,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) sealed: Vec<u8>,
}

/// Makes, recognizes, seals and opens the keys of one database.
pub(crate) struct Vault {
    finding: Zeroizing<[u8; 32]>,
    proof: [u8; 32],
    cipher: XChaCha20Poly1305,
}

impl Vault {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let sealing = master.derive("seal");
        Self {
            finding: master.derive("find"),
            proof: *master.derive("proof"),
            cipher: XChaCha20Poly1305::new((&*sealing).into()),
        }
    }

    /// What tells one master key from another and says nothing about it.
    pub(crate) fn proof(&self) -> &[u8; 32] {
        &self.proof
    }

    pub(crate) fn fingerprint(&self, key: &str) -> Fingerprint {
        Fingerprint(keyed_hash(&self.finding, key.as_bytes()))
    }

    /// Makes a key with what is stored of it.
    pub(crate) fn generate(&self) -> io::Result<NewKey> {
        let value = new_key()?;
        let fingerprint = self.fingerprint(value.expose_secret());
        let sealed = self.seal(&value, &fingerprint)?;
        Ok(NewKey { value, fingerprint, sealed })
    }

    /// The key, encrypted. It can be opened together with its own fingerprint only, so that two
    /// rows of a database cannot swap their keys.
    fn seal(&self, key: &ApiKeyValue, fingerprint: &Fingerprint) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_LENGTH];
        fill(&mut nonce)?;
        let payload = Payload { msg: key.expose_secret().as_bytes(), aad: &fingerprint.0 };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| io::Error::other("a key cannot be sealed"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub(crate) fn open(&self, sealed: &[u8], fingerprint: &Fingerprint) -> io::Result<ApiKeyValue> {
        let damaged = || {
            let reason = "a stored key is damaged: it does not open with the master key";
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LENGTH>().ok_or_else(damaged)?;
        let payload = Payload { msg: sealed, aad: &fingerprint.0 };
        let key = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(key).map(Into::into).map_err(|_| damaged())
    }
}

/// A new key: letters and digits, each as likely as the others, from the operating system's
/// generator.
fn new_key() -> io::Result<ApiKeyValue> {
    let mut key = Zeroizing::new(String::with_capacity(KEY_LENGTH));
    let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
    loop {
        fill(&mut *bytes)?;
        for byte in bytes.iter() {
            // The largest multiple of 62 in a byte is 248; without what is above, all are as
            // likely.
            if let (0..248, Some(char)) = (byte, ALPHABET.get(usize::from(byte % 62))) {
                key.push(char::from(*char));
            }
            if key.len() == KEY_LENGTH {
                return Ok(std::mem::take(&mut *key).into());
            }
        }
    }
}

fn keyed_hash(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // HMAC fills a short key up to a block with zeros.
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        io::Error::other(format!("the operating system gives no random bytes: {error}"))
    })
}
