//! Numbers, times and bars, as people read them.

use std::time::Duration;

/// `12,904`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A percentage without needless digits: `25%`, `0.25%`.
pub fn percent(it: f64) -> String {
    let text = format!("{it:.2}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A difference of two rates in percentage points: `+0.03`.
pub fn points(share: f64) -> String {
    // An exact zero has no sign to show.
    format!("{:+.2}", share * 100.0 + 0.0)
}

/// A duration in microseconds: `420 µs`, `1.8 ms`, `12 ms`, `1.25 s`.
pub fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{:.0} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}

/// A span as the file writes it, in its largest whole unit: `20m`, `90s`, `2h`.
pub fn span(seconds: f64) -> String {
    let whole = seconds as u64;
    if seconds < 1.0 && seconds > 0.0 {
        return format!("{:.0}ms", seconds * 1e3);
    }
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if whole >= length && whole.is_multiple_of(length) {
            return format!("{}{unit}", whole / length);
        }
    }
    format!("{whole}s")
}

/// A countdown: `07:12`, `1:07:12`.
pub fn countdown(seconds: f64) -> String {
    let whole = seconds.ceil() as u64;
    let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes:02}:{rest:02}") }
}

/// The time of day of an RFC 3339 time: `09:31:04Z`. Text that is none is shown as it is.
pub fn time_of_day(at: &str) -> String {
    match at.split_once('T').and_then(|(_, time)| time.get(..8)) {
        Some(time) => format!("{time}Z"),
        None => at.to_owned(),
    }
}

/// A bar for a share from 0 to 1. Whatever is above zero can be seen.
pub fn bar(share: f64) -> String {
    let blocks = (share.clamp(0.0, 1.0) * BAR_CHARACTERS as f64).round() as usize;
    "█".repeat(if share > 0.0 { blocks.max(1) } else { 0 })
}

/// Pads with spaces to `width` characters.
pub fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count());
    format!("{text}{}", " ".repeat(missing))
}

/// Reads a span: `500ms`, `30s`, `5m`, `2h`, `1d`.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let split = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("a duration has a unit: 500ms, 30s, 5m, 2h, 1d".into()),
    };
    let number: u64 = number.parse().map_err(|_| "a duration begins with a whole number: 30s".to_owned())?;
    let millis = number.checked_mul(millis).filter(|it| *it <= SPAN_MILLIS_MAX);
    millis.map(Duration::from_millis).ok_or_else(|| "a duration is at most 3650d".to_owned())
}

const BAR_CHARACTERS: usize = 20;
/// Ten years: more is a slip.
const SPAN_MILLIS_MAX: u64 = 3_650 * 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (number, text) in [(0, "0"), (999, "999"), (1_842, "1,842"), (12_904_001, "12,904,001")] {
            assert_eq!(grouped(number), text);
        }
        for (number, text) in [(25.0, "25%"), (0.25, "0.25%"), (100.0, "100%"), (74.9, "74.9%"), (0.0, "0%")]
        {
            assert_eq!(percent(number), text);
        }
        for (share, text) in [(0.0003, "+0.03"), (-0.0006, "-0.06"), (0.0, "+0.00"), (-0.0, "+0.00")] {
            assert_eq!(points(share), text);
        }
    }

    #[test]
    fn times() {
        for (us, text) in [(420, "420 µs"), (1_800, "1.8 ms"), (12_000, "12 ms"), (1_250_000, "1.25 s")] {
            assert_eq!(latency(us), text);
        }
        for (seconds, text) in [(1_200.0, "20m"), (90.0, "90s"), (7_200.0, "2h"), (0.5, "500ms"), (0.0, "0s")]
        {
            assert_eq!(span(seconds), text);
        }
        for (seconds, text) in [(432.0, "07:12"), (4_032.2, "1:07:13"), (0.0, "00:00")] {
            assert_eq!(countdown(seconds), text);
        }
        assert_eq!(time_of_day("2026-01-31T09:31:04.125Z"), "09:31:04Z");
        assert_eq!(time_of_day("soon"), "soon");
    }

    #[test]
    fn bars_show_whatever_is_there() {
        for (share, blocks) in [(0.0, 0), (0.001, 1), (0.25, 5), (1.0, 20), (7.0, 20)] {
            assert_eq!(bar(share).chars().count(), blocks, "{share}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(parse_span("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_span("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "5", "m", "5 m", "-5m", "5y", "99999999999999999d", "9999d"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
