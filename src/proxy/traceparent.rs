//! `traceparent`: which trace a request belongs to (W3C Trace Context).
//!
//! A sound one is passed on with our own span as the parent, everything else is replaced by a new trace.
//! Whether a trace is recorded was decided where it began, and is respected.

use crate::telemetry::TraceContext;

/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`
pub const LEN: usize = 55;

/// How traces are begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceRule {
    /// Of the traces that begin here, so many in 10 000 are recorded.
    pub sample: u16,
}

/// The trace and the span that a line names, and whether it is recorded. `None` if it is not sound.
pub fn parse(value: &[u8]) -> Option<([u64; 2], u64, bool)> {
    if value.len() < LEN || [2, 35, 52].iter().any(|it| value[*it] != b'-') {
        return None;
    }
    // Later versions may say more behind what we know; the first one may not.
    let version = number(&value[..2])?;
    let known = match version {
        0 => value.len() == LEN,
        0xff => false,
        _ => value.len() == LEN || value[LEN] == b'-',
    };
    let trace = [number(&value[3..19])?, number(&value[19..35])?];
    let (span, flags) = (number(&value[36..52])?, number(&value[53..LEN])?);
    (known && trace != [0, 0] && span != 0).then_some((trace, span, flags & 1 == 1))
}

/// What follows on a line that came along, or on none.
pub fn follow(value: Option<&[u8]>, rule: TraceRule, mut bits: impl FnMut() -> u64) -> (TraceContext, bool) {
    // A zero would mean that there is none; one in 2^64 draws is.
    let span = bits().max(1);
    if let Some((trace, parent, sampled)) = value.and_then(parse) {
        return (TraceContext { trace, span, parent, sampled }, true);
    }
    let trace = [bits(), bits().max(1)];
    let sampled = bits() % 10_000 < u64::from(rule.sample);
    (TraceContext { trace, span, parent: 0, sampled }, false)
}

/// The line that goes on.
pub fn write(context: &TraceContext) -> [u8; LEN] {
    let mut line = [b'-'; LEN];
    line[..2].copy_from_slice(b"00");
    line[3..35].copy_from_slice(&super::marks::hex::<32>(&context.trace));
    line[36..52].copy_from_slice(&super::marks::hex::<16>(&[context.span]));
    line[53..].copy_from_slice(if context.sampled { b"01" } else { b"00" });
    line
}

/// Digits in lower case only, as the recommendation has it.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number: u64, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn followed(value: &str) -> Option<String> {
        let (context, sound) = follow(Some(value.as_bytes()), TraceRule { sample: 0 }, || 0xabc);
        assert_eq!(context.parent != 0, sound);
        sound.then(|| String::from_utf8(write(&context).to_vec()).unwrap())
    }

    #[test]
    fn a_sound_trace_goes_on_with_our_span() {
        let expected = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01";
        assert_eq!(followed(SOUND).as_deref(), Some(expected));
        let later = SOUND.replacen("00", "cc", 1);
        assert_eq!(followed(&later).as_deref(), Some(expected));
        assert_eq!(followed(&format!("{later}-more")).as_deref(), Some(expected));
        let unsampled = SOUND.strip_suffix("01").unwrap();
        assert!(followed(&format!("{unsampled}00")).unwrap().ends_with("-00"));
        assert!(followed(&format!("{unsampled}fe")).unwrap().ends_with("-00"));
        assert!(followed(&format!("{unsampled}ff")).unwrap().ends_with("-01"));
    }

    #[test]
    fn whatever_is_not_sound_is_not_followed() {
        for value in [
            String::new(),
            SOUND.to_uppercase(),
            SOUND.replacen("00", "ff", 1),
            format!("{SOUND}-more"),
            format!("{SOUND}0"),
            SOUND.replace('-', "_"),
            SOUND.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            SOUND.replace("00f067aa0ba902b7", &"0".repeat(16)),
            SOUND.replace("-01", "-0g"),
            SOUND[1..].to_owned(),
            SOUND.replacen("00", "cc", 1) + ".more",
        ] {
            assert_eq!(followed(&value), None, "{value}");
        }
    }

    #[test]
    fn a_share_of_new_traces_is_recorded() {
        let draws = |sample: u16| {
            let mut at = 0;
            let new = (0..10_000).map(|_| {
                follow(None, TraceRule { sample }, || {
                    at += 1;
                    at / 4
                })
                .0
            });
            new.filter(|it| it.sampled).count()
        };
        assert_eq!((draws(0), draws(10_000)), (0, 10_000));
        assert!((990..=1_010).contains(&draws(1_000)), "{}", draws(1_000));
    }
}
