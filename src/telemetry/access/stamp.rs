//! Moments as logs write them. The part that changes once a second is kept.

use jiff::Timestamp;

/// The last second that was written.
#[derive(Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    text: String,
}

impl Stamp {
    /// `2026-01-31T09:30:04.125000Z`.
    pub(super) fn rfc_3339(&mut self, at_us: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.second(at_us, "%Y-%m-%dT%H:%M:%S").as_bytes());
        out.push(b'.');
        let mut digits = [b'0'; 6];
        let mut rest = at_us % 1_000_000;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
        out.push(b'Z');
    }

    /// `31/Jan/2026:09:30:04 +0000`, as web servers have written it since the nineties.
    pub(super) fn common(&mut self, at_us: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(self.second(at_us, "%d/%b/%Y:%H:%M:%S +0000").as_bytes());
    }

    /// A stamp is used with one form only.
    fn second(&mut self, at_us: u64, form: &str) -> &str {
        let second = at_us / 1_000_000;
        if self.second != Some(second) {
            let at = i64::try_from(second).ok().and_then(|it| Timestamp::from_second(it).ok());
            let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
            self.text = at.strftime(form).to_string();
            self.second = Some(second);
        }
        &self.text
    }
}
