//! An operation of the contract, as a row of the generated table.

use reqwest::Method;

/// An operation of the contract; [`generated::operations`](crate::generated::operations) lists all.
///
/// ```
/// use rockset_apikeys::OperationKind;
/// use rockset_apikeys::generated::operations;
///
/// let operation = &operations::GET_API_KEY;
/// assert_eq!(operation.id(), "get_api_key");
/// assert_eq!(operation.method(), "GET");
/// assert_eq!(operation.path(), "/v1/orgs/self/users/{user}/apikeys/{name}");
/// assert_eq!(operation.kind(), OperationKind::Read);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) kind: OperationKind,
    /// The documented status of a success.
    pub(crate) success: u16,
}

impl Operation {
    /// Returns the contract's `operationId`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// Returns the HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path's template, with parameters in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Returns what the operation does to state.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }
}

/// What an operation does to state, which decides when a retry is safe.
///
/// The contract says it with the method, or with `x-operation-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationKind {
    /// Changes nothing.
    Read,
    /// Creates something. The only kind that is not idempotent: a second attempt may create it
    /// twice.
    Create,
    /// Changes what exists.
    Update,
    /// Deletes what exists.
    Delete,
}
