//! The vendor's published clients, which conformance and benchmarks compare this one with.

pub const PYTHON_CLIENT: &str = "rockset==2.1.2";
pub const JAVASCRIPT_CLIENT: &str = "@rockset/client@0.9.2";
