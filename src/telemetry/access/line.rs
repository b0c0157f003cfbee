//! From a record to a line. Nothing that a client sends can end the line, leave its quotes, or reach a
//! terminal as anything but text.

use std::io::Write as _;

use super::record::{Lane, Part, Record};
use super::stamp::Stamp;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// One JSON object.
    #[default]
    Json,
    /// Apache's combined format.
    Combined,
}

/// Writes lines of one format.
pub(super) struct Lines {
    format: Format,
    stamp: Stamp,
}

/// What the status of a client that went away is called, as nginx taught everybody.
const GONE: u16 = 499;

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self { format, stamp: Stamp::default() }
    }

    /// Appends one line.
    pub(super) fn write(&mut self, record: &Record, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => self.json(record, out),
            Format::Combined => self.combined(record, out),
        }
        out.push(b'\n');
    }

    fn json(&mut self, it: &Record, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        self.stamp.rfc_3339(it.facts.at_us, out);
        out.push(b'"');
        let mut object = Object { out };
        object.part("listener", it, Part::Listener);
        object.part("client", it, Part::Client);
        object.part("method", it, Part::Method);
        object.part("host", it, Part::Host);
        object.part("path", it, Part::Path);
        object.word("protocol", it.facts.protocol);
        object.word("tls", it.facts.tls);
        object.number("status", it.facts.status.unwrap_or(GONE).into());
        object.word("error", it.facts.error);
        object.millis("duration_ms", it.facts.total_us);
        if let Some(us) = it.facts.upstream_us {
            object.millis("upstream_ms", us);
        }
        if it.facts.queued_us > 0 {
            object.millis("queued_ms", it.facts.queued_us);
        }
        object.number("bytes_in", it.facts.request_bytes);
        object.number("bytes_out", it.facts.response_bytes);
        object.part("route", it, Part::Route);
        object.part("service", it, Part::Service);
        object.part("version", it, Part::Version);
        match it.facts.lane {
            Lane::None => {}
            Lane::Stable => object.word("lane", "stable"),
            Lane::Canary => object.word("lane", "canary"),
        }
        if it.facts.lane != Lane::None {
            object.truth("judged", it.facts.judged);
            object.part("endpoint", it, Part::Endpoint);
            object.number("attempts", it.facts.attempts.into());
        }
        object.part("request_id", it, Part::RequestId);
        if let Some(trace) = it.facts.trace {
            object.name("trace_id");
            let _ = write!(object.out, "\"{:016x}{:016x}\"", trace.trace[0], trace.trace[1]);
            object.name("span_id");
            let _ = write!(object.out, "\"{:016x}\"", trace.span);
        }
        object.part("user_agent", it, Part::UserAgent);
        if it.cut {
            object.truth("cut", true);
        }
        object.out.push(b'}');
    }

    fn combined(&mut self, it: &Record, out: &mut Vec<u8>) {
        let or_dash = |text: &[u8], out: &mut Vec<u8>| match text {
            b"" => out.push(b'-'),
            text => push_hex_escaped(text, out),
        };
        or_dash(it.get(Part::Client), out);
        out.extend_from_slice(b" - - [");
        self.stamp.common(it.facts.at_us, out);
        out.extend_from_slice(b"] \"");
        for (part, after) in [(Part::Method, " "), (Part::Path, " ")] {
            or_dash(it.get(part), out);
            out.extend_from_slice(after.as_bytes());
        }
        out.extend_from_slice(if it.facts.protocol.is_empty() { b"-" } else { it.facts.protocol.as_bytes() });
        // Writing to memory does not fail.
        let _ = write!(out, "\" {} {} \"", it.facts.status.unwrap_or(GONE), it.facts.response_bytes);
        or_dash(it.get(Part::Referer), out);
        out.extend_from_slice(b"\" \"");
        or_dash(it.get(Part::UserAgent), out);
        out.push(b'"');
    }
}

/// The rest of a JSON object that has a first member.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A text that may be anything; left out if it is empty.
    fn part(&mut self, name: &str, record: &Record, part: Part) {
        let text = record.get(part);
        if !text.is_empty() {
            self.name(name);
            self.out.push(b'"');
            push_json(text, self.out);
            self.out.push(b'"');
        }
    }

    /// A word of the program; left out if it is empty.
    fn word(&mut self, name: &str, word: &str) {
        if !word.is_empty() {
            self.name(name);
            self.out.push(b'"');
            self.out.extend_from_slice(word.as_bytes());
            self.out.push(b'"');
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        let _ = write!(self.out, "{number}");
    }

    fn millis(&mut self, name: &str, us: u64) {
        self.name(name);
        let _ = write!(self.out, "{}.{:03}", us / 1000, us % 1000);
    }

    fn truth(&mut self, name: &str, it: bool) {
        self.name(name);
        self.out.extend_from_slice(if it { b"true" } else { b"false" });
    }
}

/// Appends `text` as the inside of a JSON string of printable characters. Bytes that are no UTF-8 become
/// U+FFFD; whatever moves a cursor, ends a line or turns the direction of writing is escaped.
fn push_json(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                ' '..='~' => out.push(c as u8),
                c if is_inert(c) => {
                    let mut bytes = [0; 4];
                    out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
                }
                c => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn is_inert(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    !c.is_control() && !turns && !matches!(c, '\u{61c}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Appends `text` with every byte that is not printable ASCII, a quote or a backslash as `\xHH`, as Apache
/// does.
fn push_hex_escaped(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            byte => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::Facts;
    use super::*;

    fn line(format: Format, record: &Record) -> String {
        let mut out = Vec::new();
        Lines::new(format).write(record, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn sample() -> Record {
        let mut it = Record::default();
        it.facts = Facts {
            at_us: 1_769_851_804_125_250,
            total_us: 12_345,
            status: Some(200),
            protocol: "HTTP/1.1",
            response_bytes: 42,
            ..Facts::default()
        };
        for (part, text) in [
            (Part::Listener, "http"),
            (Part::Client, "192.0.2.7"),
            (Part::Method, "GET"),
            (Part::Host, "shop.test"),
            (Part::Path, "/a"),
            (Part::UserAgent, "curl/8"),
        ] {
            it.put(part, text.as_bytes());
        }
        it
    }

    #[test]
    fn a_refused_request_and_a_forwarded_one() {
        let mut it = sample();
        assert_eq!(
            line(Format::Json, &it),
            "{\"time\":\"2026-01-31T09:30:04.125250Z\",\"listener\":\"http\",\"client\":\"192.0.2.7\",\
             \"method\":\"GET\",\"host\":\"shop.test\",\"path\":\"/a\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
             \"duration_ms\":12.345,\"bytes_in\":0,\"bytes_out\":42,\"user_agent\":\"curl/8\"}\n"
        );
        assert_eq!(
            line(Format::Combined, &it),
            "192.0.2.7 - - [31/Jan/2026:09:30:04 +0000] \"GET /a HTTP/1.1\" 200 42 \"-\" \"curl/8\"\n"
        );
        it.facts = Facts {
            lane: Lane::Canary,
            judged: true,
            attempts: 2,
            upstream_us: Some(9),
            status: None,
            error: "client_abort",
            ..it.facts
        };
        it.cut = true;
        let json: serde_json::Value = serde_json::from_str(&line(Format::Json, &it)).unwrap();
        assert_eq!((&json["status"], &json["error"]), (&499.into(), &"client_abort".into()));
        assert_eq!((&json["lane"], &json["upstream_ms"]), (&"canary".into(), &0.009.into()));
        assert_eq!((&json["cut"], &json["attempts"]), (&true.into(), &2.into()));
    }

    #[test]
    fn hostile_texts_stay_texts() {
        for (text, expected) in [
            ("a\r\nb\x1b[2J\"\\\0\x7f", "a\\u000d\\u000ab\\u001b[2J\\\"\\\\\\u0000\\u007f"),
            ("caf\u{e9} \u{1f600}", "caf\u{e9} \u{1f600}"),
            ("\u{9b}2J\u{202e}\u{2028}\u{feff}\u{e0041}", "\\u009b2J\\u202e\\u2028\\ufeff\\udb40\\udc41"),
        ] {
            let mut out = Vec::new();
            push_json(text.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        push_json(b"\xff\xfea\xc3", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "\u{fffd}\u{fffd}a\u{fffd}");
        let mut out = Vec::new();
        push_hex_escaped(b"a\n\"\xff\x1b", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "a\\x0a\\\"\\xff\\x1b");
    }

    proptest! {
        #[test]
        fn every_record_is_one_line(host in proptest::collection::vec(any::<u8>(), 0..300),
                                    path in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut it = sample();
            it.put(Part::Host, &host);
            it.put(Part::Path, &path);
            it.put(Part::Referer, &host);
            let json = line(Format::Json, &it);
            prop_assert_eq!(json.matches('\n').count(), 1);
            prop_assert!(!json.trim_end().contains(char::is_control));
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            let kept = String::from_utf8_lossy(it.get(Part::Path)).into_owned();
            prop_assert_eq!(read.get("path").and_then(|it| it.as_str()).unwrap_or(""), kept);
            let combined = line(Format::Combined, &it);
            prop_assert!(combined.trim_end().bytes().all(|it| (b' '..=b'~').contains(&it)));
        }
    }
}
