//! Who may pass, and with which headers: looks at the head of each HTTP request before anybody else does.

use bytes::Bytes;
use std::fmt;
use std::net::IpAddr;

/// The head of a request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The client's address: the one behind trusted proxies, where there are any.
    pub peer: IpAddr,
    /// `GET`.
    pub method: &'a str,
    /// The target as it was sent: path and query.
    pub target: &'a [u8],
    /// Whom it is for; empty if the client did not say.
    pub host: &'a [u8],
    /// Names and values in their order.
    pub fields: &'a [(&'a [u8], &'a [u8])],
}

/// A change to one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What to do.
    pub operation: Operation,
    /// The field's name.
    pub name: String,
    /// Its value; empty for [`Operation::Remove`].
    pub value: Bytes,
}

/// What an [`Edit`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// In place of all fields of that name.
    Set,
    /// Beside those that are there.
    Append,
    /// Takes away all fields of that name.
    Remove,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it is.
    Next,
    /// It goes on with changes.
    Edit {
        /// Changes to the request.
        request: Vec<Edit>,
        /// Changes to the response that it gets.
        response: Vec<Edit>,
    },
    /// This is the response.
    Respond {
        /// 200 to 599.
        status: u16,
        /// Names and values.
        fields: Vec<(String, Bytes)>,
        /// May be empty.
        body: Bytes,
    },
}

/// A filter that could not decide. The request is refused: filters fail closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("filter {filter} failed: {reason}")]
pub struct FilterError {
    /// Its name.
    pub filter: String,
    /// For operators; not for clients.
    pub reason: String,
}

/// One filter of a chain. Pure and synchronous, because it runs for every request.
pub trait Filter: Send + Sync + fmt::Debug {
    /// The filter's name: `ip-whitelist`.
    fn name(&self) -> &str;

    /// Decides about a request.
    ///
    /// # Errors
    /// See [`FilterError`].
    fn request(&self, head: RequestHead<'_>) -> Result<Verdict, FilterError>;
}
