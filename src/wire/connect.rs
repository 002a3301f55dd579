//! Finds the reason why no connection was made among the causes of the HTTP client's error.

use std::error::Error as StdError;
use std::{fmt, io, iter};

/// The reason why no connection was made.
///
/// `Display` continues a sentence and ends with a likely fix.
#[derive(Clone, Copy)]
pub struct Reason {
    text: &'static str,
    /// Whether a later attempt fails as well.
    pub(crate) is_permanent: bool,
}

impl Reason {
    const fn temporary(text: &'static str) -> Self {
        Self { text, is_permanent: false }
    }

    const fn permanent(text: &'static str) -> Self {
        Self { text, is_permanent: true }
    }

    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::temporary(" within the connect timeout");
        }
        if error.is_dns() {
            return Self::temporary(": unknown host (check its name)");
        }
        iter::successors(error.source(), |&cause| cause.source())
            .find_map(Self::of_cause)
            .unwrap_or(Self::temporary(""))
    }

    fn of_cause(cause: &(dyn StdError + 'static)) -> Option<Self> {
        // The library's type for this is private. A test fails when its message changes.
        if cause.to_string() == "tunnel error: proxy authorization required" {
            return Some(Self::permanent(
                ": the proxy requires authentication (check the user name and password in its URL)",
            ));
        }
        #[cfg(feature = "rustls-no-provider")]
        if let Some(error) = cause.downcast_ref() {
            return Self::of_tls(error);
        }
        let error = cause.downcast_ref::<io::Error>()?;
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Self::temporary(": connection refused (is the server running?)"));
        }
        // The error that it wraps is not its source.
        Self::of_cause(error.get_ref()?)
    }

    #[cfg(feature = "rustls-no-provider")]
    fn of_tls(error: &rustls::Error) -> Option<Self> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext, UnknownIssuer};
        use rustls::{Error, InvalidMessage};
        Some(Self::permanent(match error {
            Error::InvalidCertificate(UnknownIssuer) => {
                ": the issuer of its certificate is not trusted (add it with `reqwest_builder`)"
            }
            Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
                ": its certificate is for another host (check the name)"
            }
            Error::InvalidCertificate(_) => ": its certificate is invalid",
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                ": the server does not use TLS (did you mean http://?)"
            }
            _ => return None,
        }))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}
