//! HTTP settings of a client, and the safety settings that take precedence.

use std::time::{Duration, Instant};

use rockset_apikeys::reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use rockset_apikeys::reqwest::redirect::Policy;
use rockset_apikeys::{Client, ClientBuilder, reqwest};

use crate::script::{Script, Step};
use crate::support::{status_of, success};

const PRODUCT: &str = concat!("rockset-apikeys/", env!("CARGO_PKG_VERSION"));

fn builder(url: &str) -> ClientBuilder {
    Client::builder().api_server(url).api_key("clients-key")
}

fn keys() -> Step {
    Step::response(200, "", success("list_api_keys").to_string())
}

/// Sends a request with these settings. Returns the request in lower case.
async fn request(configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> String {
    let server = Script::play([keys()]).await;
    let client = configure(builder(&server.url)).build().unwrap();
    client.list_api_keys().await.unwrap();
    server.requests().concat().to_ascii_lowercase()
}

#[tokio::test]
async fn user_agent_contains_app_name_and_crate_version() {
    let sent = request(|builder| builder).await;
    assert!(sent.contains(&format!("user-agent: {PRODUCT}\r\n")), "{sent}");
    let sent = request(|builder| builder.app_name("key-rotation/2.1")).await;
    assert!(sent.contains(&format!("user-agent: key-rotation/2.1 {PRODUCT}\r\n")), "{sent}");
    for name in ["", " ", "two\nlines", "ü"] {
        let error = builder("http://127.0.0.1:1").app_name(name).build().unwrap_err();
        let beginning = format!("cannot use application name {name:?}: it is empty or not");
        assert!(error.to_string().starts_with(&beginning), "{error}");
    }
}

#[test]
fn debug_output_contains_the_source_of_settings() {
    let output = format!("{:?}", builder("127.0.0.1:1"));
    assert!(output.contains("http://127.0.0.1:1/ from `api_server`"), "{output}");
    assert!(
        output.contains("Credentials(\"`api_key`\")") && !output.contains("clients-key"),
        "{output}"
    );
    let output = format!("{:?}", builder("ftp://127.0.0.1").api_key(""));
    assert!(output.contains("from `api_server`: its scheme is neither http nor https"), "{output}");
    assert!(output.contains("from `api_key`: it is empty"), "{output}");
}

#[tokio::test]
async fn default_headers_are_sent_and_never_printed() {
    let configure = |builder: ClientBuilder| {
        let builder = builder.default_header("X-Team", "keys").default_header("x-gate", "CANARY");
        assert!(!format!("{builder:?}").contains("CANARY"));
        builder
    };
    let client = configure(builder("http://127.0.0.1:1")).build().unwrap();
    let output = format!("{client:?} {:?}", client.generated());
    assert!(output.contains("x-gate") && !output.contains("CANARY"), "{output}");
    let sent = request(configure).await;
    assert!(sent.contains("x-team: keys\r\n") && sent.contains("x-gate: canary\r\n"), "{sent}");
    assert!(sent.contains("authorization: apikey clients-key\r\n"), "{sent}");

    for (name, value, reason) in [
        ("Authorization", "ApiKey CANARY", "the client sets it itself"),
        ("content-length", "1", "the client sets it itself"),
        ("host", "CANARY", "the client sets it itself"),
        ("user-agent", "CANARY", "the client sets it itself"),
        ("two words", "CANARY", "its name is invalid"),
        ("", "CANARY", "its name is invalid"),
        ("x-lines", "CANARY\r\nx-more: 1", "its value is not printable ASCII"),
    ] {
        let error = builder("http://127.0.0.1:1").default_header(name, value).build().unwrap_err();
        let message = error.to_string();
        let beginning = format!("cannot set header {name:?} from `default_header`: {reason}");
        assert!(message.starts_with(&beginning), "{name}: {message}");
        assert!(!message.contains("CANARY"), "{name}: {message}");
    }
    let sent = request(|builder| builder.default_header("a", "1").default_header("A", "2")).await;
    assert!(sent.contains("a: 2\r\n") && !sent.contains("a: 1\r\n"), "{sent}");
}

#[tokio::test]
async fn requests_go_through_the_proxy() {
    let proxy = Script::play([keys()]).await;
    let url = proxy.url.replace("http://", "http://user:PASSWORD@");
    let url = reqwest::Proxy::all(url).unwrap();
    let http = move || reqwest::Client::builder().proxy(url.clone());
    let configured = builder("http://retired.example:8080").allow_http(true).reqwest_builder(http);
    assert!(!format!("{configured:?}").contains("PASSWORD"));
    configured.build().unwrap().list_api_keys().await.unwrap();
    let request = proxy.requests().concat();
    let line = "GET http://retired.example:8080/v1/orgs/self/users/self/apikeys HTTP/1.1";
    assert!(request.starts_with(line), "{request}");
    assert!(request.to_ascii_lowercase().contains("proxy-authorization: basic "), "{request}");
}

#[tokio::test]
async fn localhost_subdomains_resolve_to_loopback_without_dns() {
    let server = Script::play([keys()]).await;
    let named = server.url.replace("http://127.0.0.1", "keys.localhost");
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let http = move || reqwest::Client::builder().resolve("keys.localhost", elsewhere);
    let client = builder(&named).reqwest_builder(http).build().unwrap();
    client.list_api_keys().await.unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn safety_settings_override_reqwest_settings() {
    let sent = request(|builder| {
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, HeaderValue::from_static("Bearer other")),
            (USER_AGENT, HeaderValue::from_static("other")),
            ("x-own".parse().unwrap(), HeaderValue::from_static("1")),
        ]);
        let http = reqwest::Client::builder;
        builder.reqwest_builder(move || {
            http().default_headers(headers.clone()).http1_title_case_headers()
        })
    })
    .await;
    assert!(sent.contains("x-own: 1\r\n"), "{sent}");
    assert!(sent.contains("authorization: apikey clients-key\r\n"), "{sent}");
    assert!(sent.contains(&format!("user-agent: {PRODUCT}\r\n")), "{sent}");
    assert!(!sent.contains("other"), "{sent}");

    let unsafe_settings = || {
        reqwest::Client::builder().redirect(Policy::limited(5)).timeout(Duration::from_secs(3600))
    };
    let elsewhere = Script::play([keys()]).await;
    let location = format!("location: {}/stolen\r\n", elsewhere.url);
    let server = Script::play([Step::response(302, &location, "")]).await;
    let client = builder(&server.url).reqwest_builder(unsafe_settings).build().unwrap();
    let error = client.list_api_keys().await.unwrap_err();
    assert_eq!(status_of(&error), Some(302));
    assert_eq!(elsewhere.requests().len(), 0, "the redirect was not followed");

    let server = Script::play([Step::Hang(Vec::new())]).await;
    let limited =
        builder(&server.url).reqwest_builder(unsafe_settings).timeout(Duration::from_millis(50));
    let start = Instant::now();
    let error = limited.build().unwrap().list_api_keys().await.unwrap_err();
    assert!(error.is_timeout() && start.elapsed() < Duration::from_secs(10), "{error:?}");

    let server = Script::play([Step::Flood(b"HTTP/1.1 200 OK\r\n\r\n".into())]).await;
    let limited = builder(&server.url).reqwest_builder(unsafe_settings).max_response_bytes(1 << 16);
    let error = limited.build().unwrap().list_api_keys().await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("limit of 65536 bytes"), "{cause}");
}

#[cfg(any(feature = "rustls-no-provider", feature = "native-tls"))]
mod tls {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

    use super::{Step, builder, keys, reqwest};

    #[tokio::test]
    async fn root_certificate_is_trusted_if_added() {
        let (company, other) = (authority("company"), authority("other"));
        let url = serve_https(&company).await;
        let untrusting = builder(&url).build().unwrap();
        let error = untrusting.list_api_keys().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        // A retry cannot change the certificate.
        #[cfg(not(feature = "native-tls"))]
        {
            assert!(error.attempts() == 1 && !error.is_retryable(), "{error:?}");
            assert!(error.to_string().contains("(add it with `reqwest_builder`)"), "{error}");
        }

        // The certificate may be one of several in a bundle.
        let bundle = [other, company].map(|(certificate, _)| certificate).concat();
        let trusted = reqwest::Certificate::from_pem_bundle(bundle.as_bytes()).unwrap();
        let http = move || reqwest::Client::builder().tls_certs_merge(trusted.clone());
        let trusting = builder(&url).reqwest_builder(http.clone()).build().unwrap();
        assert_eq!(trusting.list_api_keys().await.unwrap().len(), 1);
        #[cfg(not(feature = "native-tls"))]
        {
            let other = url.replace("localhost", "127.0.0.1");
            let other = builder(&other).reqwest_builder(http).build().unwrap();
            let error = other.list_api_keys().await.unwrap_err();
            assert!(error.attempts() == 1 && !error.is_retryable(), "{error:?}");
            assert!(error.to_string().contains("is for another host"), "{error}");
        }
    }

    /// Creates a certificate authority: its certificate in PEM, and its issuer.
    fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        (certificate.pem(), Issuer::new(parameters, key))
    }

    /// Starts a server that responds to every request over TLS with a list of keys.
    async fn serve_https((_, issuer): &(String, Issuer<'static, KeyPair>)) -> String {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, issuer).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut connection) = acceptor.accept(connection).await else { return };
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = connection.read_u8().await else { return };
                        request.push(byte);
                    }
                    let Step::Send(response) = keys() else { return };
                    let _ = connection.write_all(&response).await;
                    let _ = connection.shutdown().await;
                });
            }
        });
        format!("https://localhost:{port}")
    }
}

#[cfg(all(feature = "rustls-no-provider", not(any(feature = "rustls", feature = "native-tls"))))]
#[test]
fn client_requires_an_installed_crypto_provider() {
    let build = || builder("http://127.0.0.1:1").build().map_err(|error| error.to_string());
    let error = build().unwrap_err();
    assert!(error.starts_with("cannot set up TLS: no crypto provider"), "{error}");
    tokio_rustls::rustls::crypto::ring::default_provider().install_default().unwrap();
    build().unwrap();
}
