//! Times, sizes and shares as others write them, in our words.

/// A time of nginx: seconds unless there is a unit.
pub(super) fn nginx_time(text: &str) -> Option<String> {
    time(text, 1_000)
}

/// A time of HAProxy: milliseconds unless there is a unit.
pub(super) fn haproxy_time(text: &str) -> Option<String> {
    time(text, 1)
}

/// A time as Kubernetes and its neighbours write it: `90s`, `1m30s`; a bare number is seconds.
pub(super) fn go_time(text: &str) -> Option<String> {
    time(text, 1_000)
}

/// The same in milliseconds, of any length.
pub(super) fn go_ms(text: &str) -> Option<u64> {
    ms(text, 1_000)
}

/// A time in our words, if we have any for it.
pub(super) fn time_of(ms: u64) -> Option<String> {
    ours(ms)
}

/// `1m30s` and the like; `bare` is what a number without a unit counts, in milliseconds.
fn time(text: &str, bare: u64) -> Option<String> {
    ours(ms(text, bare)?)
}

fn ms(text: &str, bare: u64) -> Option<u64> {
    let mut rest = text.trim();
    let mut ms: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit = match &rest[..letters] {
            "" => bare,
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return None,
        };
        rest = rest[letters..].trim_start();
        ms = ms.checked_add(number.checked_mul(unit)?)?;
    }
    Some(ms)
}

/// In the largest unit that leaves nothing over. Nothing, and what is longer than a year, is none of ours.
fn ours(ms: u64) -> Option<String> {
    if ms == 0 || ms > 365 * 86_400_000 {
        return None;
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let (size, name) = units.into_iter().find(|it| ms.is_multiple_of(it.0))?;
    Some(format!("{}{name}", ms / size))
}

/// A size of nginx: bytes, `8k`, `10m`, `1g`.
pub(super) fn nginx_size(text: &str) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    match &text[digits..] {
        "" => Some(number.to_string()),
        "k" | "K" => Some(format!("{number}KiB")),
        "m" | "M" => Some(format!("{number}MiB")),
        "g" | "G" => Some(format!("{number}GiB")),
        _ => None,
    }
}

/// A share of `whole`, in basis points.
pub(super) fn basis_points(part: u64, whole: u64) -> u64 {
    // Weights are small numbers everywhere; what is not fits no share anyway.
    part.saturating_mul(10_000).saturating_add(whole / 2).checked_div(whole).unwrap_or(0)
}

/// `5%`, `0.25%`: in basis points, if it can be said in them.
pub(super) fn percent(text: &str) -> Option<u64> {
    let text = text.trim().strip_suffix('%')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 2 || !fraction.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<2}").parse().ok()?;
    let points = whole.checked_mul(100)?.checked_add(fraction)?;
    (points <= 10_000).then_some(points)
}

/// As we write it.
pub(super) fn share(basis_points: u64) -> String {
    match (basis_points / 100, basis_points % 100) {
        (whole, 0) => format!("{whole}%"),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}%", part / 10),
        (whole, part) => format!("{whole}.{part:02}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_our_words() {
        for (text, nginx, haproxy) in [
            ("60", Some("1m"), Some("60ms")),
            ("90s", Some("90s"), Some("90s")),
            ("1m30s", Some("90s"), Some("90s")),
            ("1h 30m", Some("90m"), Some("90m")),
            ("500ms", Some("500ms"), Some("500ms")),
            ("1d", Some("1d"), Some("1d")),
            ("0", None, None),
            ("", None, None),
            ("x", None, None),
            ("5y", None, None),
            ("99999999999999999999", None, None),
        ] {
            assert_eq!(
                (nginx_time(text).as_deref(), haproxy_time(text).as_deref()),
                (nginx, haproxy),
                "{text}"
            );
        }
    }

    #[test]
    fn shares_to_the_basis_point() {
        for (text, points) in [
            ("5%", Some(500)),
            ("0.25%", Some(25)),
            ("0.5%", Some(50)),
            ("100%", Some(10_000)),
            ("0.255%", None),
            ("101%", None),
            ("5", None),
        ] {
            assert_eq!(percent(text), points, "{text}");
        }
        for (points, text) in [(500, "5%"), (25, "0.25%"), (50, "0.5%"), (5, "0.05%"), (3_333, "33.33%")] {
            assert_eq!(share(points), text);
        }
        assert_eq!((basis_points(1, 3), basis_points(0, 0), basis_points(90, 100)), (3_333, 0, 9_000));
    }
}
