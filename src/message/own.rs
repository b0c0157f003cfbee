//! Lines that the proxy adds to somebody else's head.

use super::Field;

/// A line of our own. What was received under the same field does not go on.
#[derive(Clone, Copy, Debug)]
pub struct OwnLine<'a> {
    /// What it replaces; `Other` replaces nothing.
    pub field: Field,
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its value; empty if there is nothing to say, and then what was received still ends here.
    pub value: &'a [u8],
}

impl OwnLine<'_> {
    /// A line that says nothing and replaces nothing.
    pub const NONE: Self = Self { field: Field::Other, name: "", value: b"" };
}

/// Whether what was received under `field` ends here.
pub fn is_replaced(own: &[OwnLine<'_>], field: Field) -> bool {
    own.iter().any(|it| it.field == field)
}
