//! Names that people give to services, versions and listeners.
//!
//! Names become metric labels, file names and terminal output, so the alphabet is small: a letter or
//! digit, then letters, digits, `.`, `_` and `-`, at most 63 bytes in all (the DNS label limit).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest name in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a name cannot be empty")]
    Empty,
    /// More than 63 bytes.
    #[error("a name has at most {NAME_BYTES_MAX} bytes")]
    TooLong,
    /// A character outside the alphabet, or a punctuation mark in front.
    #[error(
        "`{0}` cannot stand there: a name starts with a letter or digit and goes on with letters, digits, `.`, `_` and `-`"
    )]
    Character(char),
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong);
    }
    for (at, c) in text.chars().enumerate() {
        let legal = c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-'));
        if !legal {
            return Err(NameError::Character(c));
        }
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text of the name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check(text).map(|()| Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// What users call: `shop`.
    ServiceName
);
name_type!(
    /// One build of a service: `v41`, `blue`.
    VersionName
);
name_type!(
    /// An address that accepts connections, as the file calls it: `http`.
    ListenerName
);
name_type!(
    /// Who a token of the admin interface belongs to: `ann`, `prometheus`.
    TokenName
);
name_type!(
    /// Somebody who is notified, as the file calls them: `ci`.
    TargetName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabet_and_length() {
        for good in ["a", "v1", "blue", "v1.2-rc_3", "9"] {
            assert!(good.parse::<ServiceName>().is_ok(), "{good}");
        }
        assert_eq!("".parse::<ServiceName>(), Err(NameError::Empty));
        assert_eq!("a".repeat(64).parse::<ServiceName>(), Err(NameError::TooLong));
        for bad in ["-a", ".a", "a b", "a/b", "<b>", "ä", "a\n"] {
            assert!(matches!(bad.parse::<ServiceName>(), Err(NameError::Character(_))), "{bad}");
        }
    }
}
