//! The versions of the vendor's published clients, for conformance checks and benchmarks.

pub const PYTHON_CLIENT: &str = "rockset==2.1.2";
pub const JAVASCRIPT_CLIENT: &str = "@rockset/client@0.9.2";
