//! Query parameters, compared as decoded but without writing the decoded text anywhere.
//!
//! `%41` is `A` and `+` is a space, as forms write it. A percent sign without two hexadecimal digits
//! stands for itself. `&` alone separates; a parameter without `=` has the empty value.

/// The value of the first parameter whose decoded name is `name`, as it was sent.
pub(super) fn first_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query
        .split('&')
        .map(|it| it.split_once('=').unwrap_or((it, "")))
        .find_map(|(sent, value)| means(sent, name).then_some(value))
}

/// Whether `sent` is `text` once decoded.
pub(super) fn means(sent: &str, text: &str) -> bool {
    // Nearly every name and value is sent as it is.
    (sent == text && !sent.contains(['%', '+'])) || Decoded(sent.as_bytes()).eq(text.bytes())
}

/// The bytes that a part of a query stands for.
struct Decoded<'q>(&'q [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match self.0 {
            [] => return None,
            [b'%', high, low, rest @ ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, rest),
                _ => (b'%', &self.0[1..]),
            },
            [b'+', rest @ ..] => (b' ', rest),
            [byte, rest @ ..] => (*byte, rest),
        };
        self.0 = rest;
        Some(byte)
    }
}

fn digit(byte: u8) -> Option<u8> {
    // At most 15.
    char::from(byte).to_digit(16).map(|it| it as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_as_decoded() {
        for (query, name, value) in [
            ("a=b", "a", Some("b")),
            ("x=1&a=b&a=c", "a", Some("b")),
            ("a", "a", Some("")),
            ("a=", "a", Some("")),
            ("a=b=c", "a", Some("b=c")),
            ("%61=%62", "a", Some("b")),
            ("a=x+y", "a", Some("x y")),
            ("a=x%2By", "a", Some("x+y")),
            ("a=%C3%a9", "a", Some("é")),
            ("a=100%", "a", Some("100%")),
            ("a=%zz", "a", Some("%zz")),
            ("a=%4", "a", Some("%4")),
            ("a=%2541", "a", Some("%41")),
            ("A=b", "a", None),
            ("", "a", None),
            ("ab=1", "a", None),
            ("b=a", "a", None),
        ] {
            let found = first_value(query, name);
            match value {
                Some(value) => assert!(found.is_some_and(|it| means(it, value)), "{query}: {found:?}"),
                None => assert_eq!(found, None, "{query}"),
            }
        }
        assert!(!means("a+b", "a+b"));
        assert!(!means("%41", "%41"));
        assert!(!means("ab", "a"));
        assert!(!means("a", "ab"));
    }
}
