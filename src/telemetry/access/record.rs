//! What is known of one request: numbers, and texts cut to a bound. A copy of it is one stretch of memory.

use crate::telemetry::TraceContext;

/// A text of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "each variant is the text of that name")]
pub enum Part {
    Listener,
    Client,
    Method,
    Host,
    Path,
    Route,
    Service,
    Version,
    Endpoint,
    RequestId,
    UserAgent,
    Referer,
}

const PARTS: usize = Part::Referer as usize + 1;

/// Room for all texts together. Names have at most 63 bytes each; what clients send has the bounds below.
const TEXT_BYTES: usize = 1024;

impl Part {
    /// Most bytes that are kept; more are cut off.
    fn bytes_max(self) -> usize {
        match self {
            Self::Method => 32,
            Self::Client => 48,
            Self::Listener | Self::Service | Self::Version | Self::Endpoint => 64,
            Self::Route => 96,
            Self::Host | Self::RequestId | Self::UserAgent | Self::Referer => 128,
            Self::Path => 256,
        }
    }
}

/// Which side of a release a request was on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lane {
    /// It was not given to a version.
    #[default]
    None,
    /// The version that has proven itself.
    Stable,
    /// The version that is being released.
    Canary,
}

/// The numbers and words of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// When it was read, in microseconds since 1970.
    pub at_us: u64,
    /// From then to its end.
    pub total_us: u64,
    /// From sending it to the head of the version's answer.
    pub upstream_us: Option<u64>,
    /// How long it waited for a place under the limits of its version; 0 if it did not.
    pub queued_us: u64,
    /// What the client was sent; `None` if it was gone before.
    pub status: Option<u16>,
    /// The word of `x-tidegate-error`, also if the answer had begun; empty if nothing failed here.
    pub error: &'static str,
    /// Content received.
    pub request_bytes: u64,
    /// Content sent.
    pub response_bytes: u64,
    /// How often it was sent to an endpoint.
    pub attempts: u16,
    /// Which side of a release it was on.
    pub lane: Lane,
    /// Whether it is evidence about its version.
    pub judged: bool,
    /// `HTTP/1.1`; empty if it was not understood.
    pub protocol: &'static str,
    /// `TLSv1.3`; empty without TLS.
    pub tls: &'static str,
    /// Its place in its trace, if requests take part in traces.
    pub trace: Option<TraceContext>,
}

/// What is known of one request.
#[derive(Clone, Debug)]
pub struct Record {
    /// Numbers and words.
    pub facts: Facts,
    /// Whether a text was cut.
    pub cut: bool,
    parts: [(u16, u16); PARTS],
    used: u16,
    text: [u8; TEXT_BYTES],
}

impl Default for Record {
    fn default() -> Self {
        Self { facts: Facts::default(), cut: false, parts: [(0, 0); PARTS], used: 0, text: [0; TEXT_BYTES] }
    }
}

impl Record {
    /// Forgets everything. The texts stay where they are, and nothing points at them.
    pub fn clear(&mut self) {
        (self.facts, self.cut, self.used) = (Facts::default(), false, 0);
        self.parts = [(0, 0); PARTS];
    }

    /// Copies a text, or what fits of it. One that was there already is replaced.
    pub fn put(&mut self, part: Part, text: &[u8]) {
        let used = usize::from(self.used);
        let (start, room) = match self.parts[part as usize] {
            // The place that it had will do.
            (start, len) if text.len() <= usize::from(len) => (usize::from(start), usize::from(len)),
            _ => (used, TEXT_BYTES - used),
        };
        let kept = text.len().min(part.bytes_max()).min(room);
        self.cut |= kept < text.len();
        self.text[start..start + kept].copy_from_slice(&text[..kept]);
        self.parts[part as usize] = (start as u16, kept as u16);
        self.used = (start + kept).max(used) as u16;
    }

    /// A text; empty if there is none.
    pub fn get(&self, part: Part) -> &[u8] {
        let (start, len) = self.parts[part as usize];
        &self.text[usize::from(start)..][..usize::from(len)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kept_replaced_and_cut() {
        let mut it = Record::default();
        it.put(Part::Service, b"shop");
        it.put(Part::Endpoint, b"10.0.0.1:80");
        it.put(Part::Version, b"v1");
        it.put(Part::Endpoint, b"10.0.0.2:8");
        assert_eq!((it.get(Part::Endpoint), it.get(Part::Service)), (&b"10.0.0.2:8"[..], &b"shop"[..]));
        it.put(Part::Version, b"v1-next");
        assert_eq!((it.get(Part::Version), it.get(Part::Host), it.cut), (&b"v1-next"[..], &b""[..], false));
        it.put(Part::Path, &[b'x'; 300]);
        assert_eq!((it.get(Part::Path).len(), it.cut), (256, true));
        it.clear();
        assert_eq!((it.get(Part::Path), it.cut), (&b""[..], false));
    }

    #[test]
    fn however_much_is_put_nothing_overflows() {
        let mut it = Record::default();
        for turn in 0..50_usize {
            for part in [Part::Path, Part::UserAgent, Part::RequestId, Part::Host, Part::Route] {
                it.put(part, &vec![b'a'; 1000 - turn]);
                assert!(it.get(part).len() <= part.bytes_max());
            }
        }
    }
}
