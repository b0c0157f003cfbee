//! Small pieces of grammar that several readers share (RFC 9110 section 5.6).

use std::net::Ipv6Addr;

/// Whether `byte` may be part of a method or a field name.
pub const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'z' | b'|' | b'~')
        || byte.is_ascii_digit()
        || byte.is_ascii_uppercase()
}

/// Whether `text` is a token.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `byte` may be part of a field value: no control character but the tab.
pub fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// `text` without blanks and tabs around it. Nothing else counts as blank, whatever Unicode says.
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = text.iter().position(|byte| !blank(byte)) else { return &[] };
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |it| it + 1);
    &text[start..end]
}

/// The elements of a comma-separated list, without the empty ones.
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|it| !it.is_empty())
}

/// Reads `1*DIGIT` and nothing else: no sign, no blank, no list. At most `i64::MAX`, so that sums of a
/// few lengths cannot overflow.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let number = text.iter().try_fold(0_u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    (number <= i64::MAX as u64).then_some(number)
}

/// Splits `host[:port]` and checks both. Only names as DNS knows them (with `_` and `~`, which occur),
/// IPv4 and bracketed IPv6 addresses: no user, no path, no list, no percent-encoding. A colon asks for a
/// port between 1 and 65535.
pub(super) fn authority(text: &[u8]) -> Option<(usize, Option<u16>)> {
    let name = match text {
        [b'[', rest @ ..] => {
            let end = rest.iter().position(|&byte| byte == b']')?;
            std::str::from_utf8(&rest[..end]).ok()?.parse::<Ipv6Addr>().ok()?;
            end + 2
        }
        _ => {
            let end = text.iter().position(|&byte| byte == b':').unwrap_or(text.len());
            is_host_name(&text[..end]).then_some(end)?
        }
    };
    match &text[name..] {
        [] => Some((name, None)),
        [b':', digits @ ..] if digits.len() <= 5 => {
            let port = u16::try_from(decimal(digits)?).ok()?;
            (port != 0).then_some((name, Some(port)))
        }
        _ => None,
    }
}

fn is_host_name(name: &[u8]) -> bool {
    let mut before = b'.';
    for &byte in name {
        let sound = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
        // An empty label would make `..` of a name that somebody uses as a directory.
        if !sound && (byte != b'.' || before == b'.') {
            return false;
        }
        before = byte;
    }
    !name.is_empty() && name.len() <= 255
}

/// Appends a number in decimal.
pub(super) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses_with_a_real_port() {
        for (text, expected) in [
            ("a", Some((1, None))),
            ("a.b.", Some((4, None))),
            ("my_host:8080", Some((7, Some(8080)))),
            ("[::1]:80", Some((5, Some(80)))),
            ("127.0.0.1", Some((9, None))),
            ("", None),
            ("a,b", None),
            ("u@a", None),
            ("a/x", None),
            ("a?", None),
            ("a b", None),
            (":80", None),
            ("a:", None),
            ("a:0", None),
            ("a:65536", None),
            ("a:+1", None),
            ("a:80:80", None),
            ("a..b", None),
            (".", None),
            ("a%41", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[fe80::1%25eth0]", None),
            ("[v1.x]", None),
            ("\u{e9}", None),
        ] {
            assert_eq!(authority(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_digits_and_fit() {
        for (text, expected) in [
            ("0", Some(0)),
            ("010", Some(10)),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("99999999999999999999", None),
            ("", None),
            ("+5", None),
            ("-1", None),
            ("5 ", None),
            ("0x10", None),
            ("1Z", None),
            ("5, 5", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
            if let Some(number) = expected {
                let mut out = Vec::new();
                push_decimal(&mut out, number);
                assert_eq!(decimal(&out), expected);
            }
        }
    }

    #[test]
    fn token_bytes_are_those_of_the_grammar() {
        let expected = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!((0..=255).all(|byte| is_token_byte(byte) == expected(byte)));
    }
}
