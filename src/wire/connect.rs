//! Why no connection was made, read from the causes of the HTTP client's error, and what may mend
//! it.

use std::error::Error as StdError;
use std::{fmt, io, iter};

/// Why no connection was made.
#[derive(Clone, Copy)]
pub enum Reason {
    UnknownHost,
    Refused,
    TimedOut,
    ProxyPassword,
    #[cfg(feature = "rustls-no-provider")]
    Issuer,
    #[cfg(feature = "rustls-no-provider")]
    HostName,
    #[cfg(feature = "rustls-no-provider")]
    Certificate,
    #[cfg(feature = "rustls-no-provider")]
    NotTls,
    Unknown,
}

impl Reason {
    pub(crate) fn of(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        if error.is_dns() {
            return Self::UnknownHost;
        }
        iter::successors(error.source(), |&cause| cause.source())
            .find_map(Self::of_cause)
            .unwrap_or(Self::Unknown)
    }

    fn of_cause(cause: &(dyn StdError + 'static)) -> Option<Self> {
        // The library's type for this is private. A test notices when its text changes.
        if cause.to_string() == "tunnel error: proxy authorization required" {
            return Some(Self::ProxyPassword);
        }
        #[cfg(feature = "rustls-no-provider")]
        if let Some(error) = cause.downcast_ref() {
            return Self::of_tls(error);
        }
        let error = cause.downcast_ref::<io::Error>()?;
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Some(Self::Refused);
        }
        // What it wraps is not its source.
        Self::of_cause(error.get_ref()?)
    }

    #[cfg(feature = "rustls-no-provider")]
    fn of_tls(error: &rustls::Error) -> Option<Self> {
        use rustls::{CertificateError, Error, InvalidMessage};
        match error {
            Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(Self::Issuer),
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Some(Self::HostName),
            Error::InvalidCertificate(_) => Some(Self::Certificate),
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(Self::NotTls),
            _ => None,
        }
    }

    /// Whether a later attempt is bound to fail, too.
    pub(crate) fn is_permanent(self) -> bool {
        !matches!(self, Self::UnknownHost | Self::Refused | Self::TimedOut | Self::Unknown)
    }
}

impl fmt::Display for Reason {
    /// Writes what went wrong, as a continuation of a text, and the likely mend.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownHost => ": unknown host (check its name)",
            Self::Refused => ": connection refused (is the server running?)",
            Self::TimedOut => " within the connect timeout",
            Self::ProxyPassword => {
                ": the proxy rejects the user name and password in its URL, or needs some"
            }
            #[cfg(feature = "rustls-no-provider")]
            Self::Issuer => {
                ": the issuer of its certificate is not trusted (add it with `reqwest_builder`)"
            }
            #[cfg(feature = "rustls-no-provider")]
            Self::HostName => ": its certificate is for another host (check the name)",
            #[cfg(feature = "rustls-no-provider")]
            Self::Certificate => ": its certificate is not valid",
            #[cfg(feature = "rustls-no-provider")]
            Self::NotTls => ": the server does not speak TLS (did you mean http://?)",
            Self::Unknown => "",
        })
    }
}
