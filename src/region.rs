//! The regions of the retired service.

/// A region of the hosted service.
///
/// Rockset retired the service on 30 September 2024, and its URLs no longer respond. Programs and
/// configurations still name them. The constants are the contract's servers:
///
/// | Region | AWS region | URL |
/// | --- | --- | --- |
/// | [`RS2`](Self::RS2) (default) | us-west-2 | `https://api.rs2.usw2.rockset.com` |
/// | [`USW2A1`](Self::USW2A1) | us-west-2 | `https://api.usw2a1.rockset.com` |
/// | [`USE1A1`](Self::USE1A1) | us-east-1 | `https://api.use1a1.rockset.com` |
/// | [`EUC1A1`](Self::EUC1A1) | eu-central-1 | `https://api.euc1a1.rockset.com` |
///
/// ```
/// use rockset_apikeys::Region;
///
/// assert_eq!(Region::USE1A1.url(), "https://api.use1a1.rockset.com");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    url: &'static str,
}

impl Region {
    /// Cluster `rs2` in `us-west-2`, the documentation page's default.
    pub const RS2: Self = Self { url: "https://api.rs2.usw2.rockset.com" };
    /// Cluster `usw2a1` in `us-west-2`.
    pub const USW2A1: Self = Self { url: "https://api.usw2a1.rockset.com" };
    /// Cluster `use1a1` in `us-east-1`.
    pub const USE1A1: Self = Self { url: "https://api.use1a1.rockset.com" };
    /// Cluster `euc1a1` in `eu-central-1`.
    pub const EUC1A1: Self = Self { url: "https://api.euc1a1.rockset.com" };
    /// All regions, in the order of the contract's servers: the default first.
    pub const ALL: [Self; 4] = [Self::RS2, Self::USW2A1, Self::USE1A1, Self::EUC1A1];

    /// Returns the URL of the API server, without a trailing slash.
    pub const fn url(self) -> &'static str {
        self.url
    }
}

impl Default for Region {
    /// Returns [`Region::RS2`], as on the documentation page.
    fn default() -> Self {
        Self::RS2
    }
}
