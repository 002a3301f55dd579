//! The company's side of the example: a certificate authority, and a proxy to a server with a
//! certificate of that authority.

use std::error::Error;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

pub struct Company {
    /// The authority's certificate, in PEM.
    pub certificate: String,
    /// The proxy's URL.
    pub proxy: String,
}

/// Starts a proxy that forwards connections to the server, as `host`.
pub async fn start(host: &str, server: &str) -> Result<Company, Box<dyn Error>> {
    let mut params = CertificateParams::new([])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "An example's authority");
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let authority = Issuer::new(params, key);

    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new([host.to_owned()])?.signed_by(&key, &authority)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.into()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )?;
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let proxy = format!("http://{}", listener.local_addr()?);
    let server = server.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                if let Err(error) = forward(connection, &acceptor, &server).await {
                    eprintln!("proxy: {error}");
                }
            });
        }
    });
    Ok(Company { certificate, proxy })
}

/// Accepts `CONNECT`, terminates TLS, and forwards the rest.
async fn forward(
    connection: TcpStream,
    acceptor: &TlsAcceptor,
    server: &str,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = BufStream::new(connection);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).await?;
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    connection.flush().await?;
    let mut decrypted = acceptor.accept(connection).await?;
    copy_bidirectional(&mut decrypted, &mut TcpStream::connect(server).await?).await?;
    Ok(())
}
