//! What requests and responses have in common: lengths, `Connection`, names that pass for others.

use crate::message::{Field, Line};

use super::syntax::{decimal, list, trim};

/// What the `Content-Length` lines come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Length {
    /// There is none.
    #[default]
    Absent,
    /// One line with one number.
    Once(u64),
    /// The same number several times, in one line or in several.
    Repeated(u64),
    /// Anything else.
    Bad,
}

impl Length {
    /// Takes another line into account.
    pub(super) fn note(&mut self, value: &[u8]) {
        for element in value.split(|&byte| byte == b',') {
            *self = match (*self, decimal(trim(element))) {
                (Self::Absent, Some(length)) => Self::Once(length),
                (Self::Once(known) | Self::Repeated(known), Some(length)) if known == length => {
                    Self::Repeated(known)
                }
                _ => Self::Bad,
            };
        }
    }
}

/// What the `Connection` lines come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    /// How many options name something else: a header that ends here.
    pub(super) nominations: usize,
}

impl Connection {
    /// Takes another line into account.
    pub(super) fn note(&mut self, value: &[u8]) {
        for option in list(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => self.nominations += 1,
            }
        }
    }
}

/// Most headers that `Connection` may nominate. Each is compared with each line; without a bound one head
/// could ask for a million comparisons.
pub(super) const NOMINATIONS_MAX: usize = 32;

/// Marks the lines that any `Connection` line names, except those that nobody may take away.
pub(super) fn mark_nominated(lines: &mut [Line], buf: &[u8]) {
    for connection in 0..lines.len() {
        if lines[connection].field != Field::Connection {
            continue;
        }
        for option in list(lines[connection].value.of(buf)) {
            for line in lines.iter_mut().filter(|it| it.field.may_be_nominated()) {
                line.nominated |= line.name.of(buf).eq_ignore_ascii_case(option);
            }
        }
    }
}

/// Whether a name is that of a header we look at, for backends that take an underscore for a dash.
pub(super) fn passes_for_another(name: &[u8]) -> bool {
    // Long names are known by their beginning alone.
    let name = &name[..name.len().min(32)];
    let mut dashed = [0; 32];
    let dashed = &mut dashed[..name.len()];
    for (to, from) in dashed.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { *from };
    }
    Field::of(dashed) != Field::Other
}
