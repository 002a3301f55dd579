//! The regions of the retired service.

use std::fmt;
use std::str::FromStr;

/// A region of the hosted service: a cluster, its AWS region and its URL.
///
/// Rockset retired the service on 30 September 2024, and its URLs no longer respond. Programs and
/// configurations still name them. The constants are the contract's servers:
///
/// | Region | Cluster | AWS region | URL |
/// | --- | --- | --- | --- |
/// | [`RS2`](Self::RS2) (default) | rs2 | us-west-2 | `https://api.rs2.usw2.rockset.com` |
/// | [`USW2A1`](Self::USW2A1) | usw2a1 | us-west-2 | `https://api.usw2a1.rockset.com` |
/// | [`USE1A1`](Self::USE1A1) | use1a1 | us-east-1 | `https://api.use1a1.rockset.com` |
/// | [`EUC1A1`](Self::EUC1A1) | euc1a1 | eu-central-1 | `https://api.euc1a1.rockset.com` |
///
/// Text is parsed from a cluster, an AWS region or a URL. `us-west-2` has two clusters and selects
/// the older, [`RS2`](Self::RS2).
///
/// ```
/// use rockset_apikeys::Region;
///
/// let region: Region = "use1a1".parse()?;
/// assert_eq!(region, Region::USE1A1);
/// assert_eq!(region.url(), "https://api.use1a1.rockset.com");
/// # Ok::<(), rockset_apikeys::ParseRegionError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    cluster: &'static str,
    aws_region: &'static str,
    url: &'static str,
}

impl Region {
    /// Cluster `rs2` in `us-west-2`, the oldest: the documentation page's default.
    pub const RS2: Self =
        Self { cluster: "rs2", aws_region: "us-west-2", url: "https://api.rs2.usw2.rockset.com" };
    /// Cluster `usw2a1` in `us-west-2`.
    pub const USW2A1: Self =
        Self { cluster: "usw2a1", aws_region: "us-west-2", url: "https://api.usw2a1.rockset.com" };
    /// Cluster `use1a1` in `us-east-1`.
    pub const USE1A1: Self =
        Self { cluster: "use1a1", aws_region: "us-east-1", url: "https://api.use1a1.rockset.com" };
    /// Cluster `euc1a1` in `eu-central-1`.
    pub const EUC1A1: Self = Self {
        cluster: "euc1a1",
        aws_region: "eu-central-1",
        url: "https://api.euc1a1.rockset.com",
    };
    /// All regions, in the order of the contract's servers: the default first.
    pub const ALL: [Self; 4] = [Self::RS2, Self::USW2A1, Self::USE1A1, Self::EUC1A1];

    /// Returns the name of the cluster, such as `use1a1`.
    pub const fn cluster(self) -> &'static str {
        self.cluster
    }

    /// Returns the AWS region, such as `us-east-1`.
    pub const fn aws_region(self) -> &'static str {
        self.aws_region
    }

    /// Returns the URL of the API server, without a trailing slash.
    pub const fn url(self) -> &'static str {
        self.url
    }
}

impl Default for Region {
    /// [`Region::RS2`], as on the documentation page.
    fn default() -> Self {
        Self::RS2
    }
}

impl fmt::Display for Region {
    /// Writes the name of the cluster.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.cluster)
    }
}

impl FromStr for Region {
    type Err = ParseRegionError;

    /// Parses the name of a cluster, an AWS region, or a URL.
    ///
    /// Letter case does not matter, nor does a slash at the end.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.strip_suffix('/').unwrap_or(text);
        let found = Self::ALL.into_iter().find(|region| {
            [region.cluster, region.aws_region, region.url]
                .iter()
                .any(|name| name.eq_ignore_ascii_case(wanted))
        });
        found.ok_or_else(|| ParseRegionError { text: text.to_owned() })
    }
}

/// The error for a text that is not a [`Region`].
///
/// ```
/// let error = "mars".parse::<rockset_apikeys::Region>().unwrap_err();
/// assert!(error.to_string().starts_with("there is no region \"mars\""));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseRegionError {
    text: String,
}

impl fmt::Display for ParseRegionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no region {:?}; the clusters are", self.text)?;
        for (index, region) in Region::ALL.iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(f, "{separator}{} ({})", region.cluster, region.aws_region)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseRegionError {}
