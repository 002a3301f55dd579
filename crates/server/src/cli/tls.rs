//! TLS, from files of certificates and a private key.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::master_key::require_private;

/// TLS with the certificates and the private key in these PEM files.
pub(super) fn acceptor(certificates: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let bad = |file: &Path, error: &dyn std::fmt::Display| {
        let reason = format!("{}: {error}", file.display());
        io::Error::new(io::ErrorKind::InvalidInput, reason)
    };
    require_private(key).map_err(|error| bad(key, &error))?;
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(certificates, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, &error))?;
    // Named, because a program in which several are compiled has no default.
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| bad(certificates, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
