//! Lines of our own that an answer carries back: the request's id, and where its time went.

use crate::message::{Field, OwnLine};

use super::connection::Client;

/// Text of both lines, on the stack.
pub struct Returned {
    id: [u8; 128],
    id_len: usize,
    timing: [u8; 96],
    timing_len: usize,
}

/// Where a request's time went, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Since it was read.
    pub total_us: u64,
    /// From sending it to the version's answer.
    pub upstream_us: u64,
    /// Waiting for a place under the version's limits.
    pub queued_us: u64,
}

impl Returned {
    /// What goes back to this client; usually nothing.
    pub fn to(client: &Client, spent: Option<Spent>) -> Option<Self> {
        let with_id = client.spec.request_id.is_some_and(|it| it.respond);
        if !with_id && spent.is_none() {
            return None;
        }
        let mut it = Self { id: [0; 128], id_len: 0, timing: [0; 96], timing_len: 0 };
        if with_id {
            it.id_len = client.trail.copy_id(&mut it.id);
        }
        if let Some(spent) = spent {
            it.push(b"total;dur=");
            it.push_millis(spent.total_us);
            it.push(b", upstream;dur=");
            it.push_millis(spent.upstream_us);
            if spent.queued_us > 0 {
                it.push(b", queue;dur=");
                it.push_millis(spent.queued_us);
            }
        }
        Some(it)
    }

    /// The lines.
    pub fn lines(&self) -> [OwnLine<'_>; 2] {
        let id = &self.id[..self.id_len];
        let timing = &self.timing[..self.timing_len];
        [
            if id.is_empty() {
                OwnLine::NONE
            } else {
                OwnLine { field: Field::XRequestId, name: "x-request-id", value: id }
            },
            OwnLine { field: Field::Other, name: "server-timing", value: timing },
        ]
    }

    fn push(&mut self, text: &[u8]) {
        self.timing[self.timing_len..][..text.len()].copy_from_slice(text);
        self.timing_len += text.len();
    }

    fn push_millis(&mut self, us: u64) {
        // A day and more is a tunnel or a stuck clock.
        let us = us.min(99_999_999_999);
        let mut digits = [b'0'; 12];
        let (mut rest, mut at) = (us, digits.len());
        while rest > 0 || digits.len() - at < 5 {
            at -= 1;
            if digits.len() - at == 4 {
                digits[at] = b'.';
                continue;
            }
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.push(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds() {
        for (us, expected) in [
            (0, "0.000"),
            (7, "0.007"),
            (1_000, "1.000"),
            (12_345, "12.345"),
            (99_999_999_999, "99999999.999"),
            (u64::MAX, "99999999.999"),
        ] {
            let mut it = Returned { id: [0; 128], id_len: 0, timing: [0; 96], timing_len: 0 };
            it.push_millis(us);
            assert_eq!(std::str::from_utf8(it.lines()[1].value), Ok(expected));
        }
    }
}
