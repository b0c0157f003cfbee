//! Units: durations, sizes and shares as people write them. Errors are the sentence to show.

use std::time::Duration;

use crate::model::Weight;

/// Longest duration. Longer ones are slips of a unit, and sums of deadlines must not overflow.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// `500ms`, `1s`, `1.5s`, `5m`, `2h`, `7d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let nanos: u128 = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "" if is_number(number) => {
            return Err(format!("a duration needs a unit: {number}s, {number}ms, {number}m"));
        }
        _ => return Err("a duration is a number and ms, s, m, h or d: 500ms, 1s, 5m".into()),
    };
    let thousandths = decimal(number, 3).ok_or("a duration is a number and a unit: 500ms, 1.5s, 5m")?;
    let total = thousandths * nanos / 1000;
    let too_long = || format!("a duration is at most {} days", DURATION_MAX.as_secs() / 86_400);
    let total = u64::try_from(total).map_err(|_| too_long())?;
    let duration = Duration::from_nanos(total);
    if duration > DURATION_MAX { Err(too_long()) } else { Ok(duration) }
}

/// `4096`, `512B`, `64KiB`, `1MiB`, `10GiB`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let bytes: u128 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "K" | "KB" | "kB" | "k" | "kb" | "Ki" | "kib" => {
            return Err(format!("write {number}KiB for units of 1024 bytes"));
        }
        "M" | "MB" | "m" | "mb" | "Mi" | "mib" => {
            return Err(format!("write {number}MiB for units of 1024 KiB"));
        }
        "G" | "GB" | "g" | "gb" | "Gi" | "gib" => {
            return Err(format!("write {number}GiB for units of 1024 MiB"));
        }
        _ => return Err("a size is a number of bytes, or has a unit: 4096, 64KiB, 1MiB, 10GiB".into()),
    };
    let number = decimal(number, 0).ok_or("a size is a whole number and a unit: 4096, 64KiB, 1MiB, 10GiB")?;
    u64::try_from(number * bytes)
        .ok()
        .filter(|it| *it <= 1 << 50)
        .ok_or_else(|| "a size is at most 1024TiB".into())
}

/// `5%`, `0.25%` as a weight.
pub fn weight(text: &str) -> Result<Weight, String> {
    let points = percent(text, 2).map_err(|it| match it {
        NotPercent::TooFine => "a share of traffic has at most two decimals: 0.01% is the least".to_string(),
        other => other.into(),
    })?;
    let points = u32::try_from(points).map_err(|_| "a share is at most 100%".to_string())?;
    Weight::from_basis_points(points).map_err(|_| "a share is at most 100%".into())
}

/// `1%`, `0.01%` as a number from 0 to 1, with up to six decimals.
pub(super) fn ratio(text: &str) -> Result<f64, String> {
    let millionths_of_percent = percent(text, 6).map_err(String::from)?;
    if millionths_of_percent > 100_000_000 {
        return Err("a share is at most 100%".into());
    }
    Ok(millionths_of_percent as f64 / 1e8)
}

/// Why a text is not a percentage.
enum NotPercent {
    NoSign(String),
    TooFine,
    NotANumber,
}

impl From<NotPercent> for String {
    fn from(it: NotPercent) -> Self {
        match it {
            NotPercent::NoSign(number) => format!("a share needs a percent sign: {number}%"),
            NotPercent::TooFine => "too many decimals".into(),
            NotPercent::NotANumber => "a share is a number and a percent sign: 5%, 0.25%".into(),
        }
    }
}

/// The number before the sign, times ten to the power of `decimals`.
fn percent(text: &str, decimals: u32) -> Result<u128, NotPercent> {
    let Some(number) = text.strip_suffix('%').map(str::trim_end) else {
        return Err(if is_number(text) { NotPercent::NoSign(text.into()) } else { NotPercent::NotANumber });
    };
    match decimal(number, decimals) {
        Some(it) => Ok(it),
        None if is_number(number) => Err(NotPercent::TooFine),
        None => Err(NotPercent::NotANumber),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && text.starts_with(|c: char| c.is_ascii_digit())
}

/// A decimal number without sign or exponent, times ten to the power of `decimals`; `None` when it has
/// more decimals or more than 15 digits in front.
fn decimal(text: &str, decimals: u32) -> Option<u128> {
    let (whole, part) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(it) => it,
        None => (text, ""),
    };
    let digits = |it: &str| it.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 15
        || !digits(whole)
        || !digits(part)
        || part.len() > decimals as usize
    {
        return None;
    }
    let scale = 10u128.pow(decimals - part.len() as u32);
    format!("{whole}{part}").parse::<u128>().ok().map(|it| it * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("500ms", 500),
            ("1s", 1_000),
            ("1.5s", 1_500),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
            ("0.5ms", 0),
            ("10 s", 10_000),
        ] {
            assert_eq!(duration(text).unwrap().as_millis(), ms, "{text}");
        }
        for text in [
            "5",
            "5.",
            "s",
            "",
            "-1s",
            "1e3s",
            "5 min",
            "1h30m",
            "99999999999999999999s",
            "400d",
            "NaNs",
            "1.0001s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(duration("5").unwrap_err(), "a duration needs a unit: 5s, 5ms, 5m");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512B", 512),
            ("64KiB", 65_536),
            ("1MiB", 1 << 20),
            ("10GiB", 10 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["64KB", "1.5MiB", "-1", "1e3", "KiB", "", "9999999999999999999TiB", "2000000TiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_weight_is_read_as_it_is_written() {
        for points in 0..=10_000 {
            let it = Weight::from_basis_points(points).unwrap();
            assert_eq!(weight(&it.to_string()), Ok(it));
        }
    }

    #[test]
    fn shares() {
        for (text, points) in
            [("5%", 500), ("0.25%", 25), ("0.01%", 1), ("100%", 10_000), ("0%", 0), ("12.5 %", 1250)]
        {
            assert_eq!(weight(text).unwrap().basis_points(), points, "{text}");
        }
        for text in ["5", "0.001%", "101%", "-5%", "%", "", "5%%", "+5%", "1e1%"] {
            assert!(weight(text).is_err(), "{text}");
        }
        assert_eq!(ratio("0.01%"), Ok(1e-4));
        assert_eq!(ratio("0.000001%"), Ok(1e-8));
        assert!(ratio("0.0000001%").is_err());
        assert!(ratio("101%").is_err());
    }
}
