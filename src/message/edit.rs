//! What is changed about a head on its way.

/// One change of a head. Names are compared without case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderEdit {
    /// Removes every line of that name and adds one.
    Set(String, String),
    /// Adds a line.
    Add(String, String),
    /// Adds a `Set-Cookie` line that is for this client alone.
    Cookie(String),
    /// Removes every line of that name.
    Remove(String),
}
