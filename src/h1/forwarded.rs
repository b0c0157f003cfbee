//! Who asked, as told to the upstream: `X-Forwarded-For/Proto/Host/Port`, `X-Real-IP` and `Forwarded` (RFC 7239).
//!
//! From a peer that is not trusted nothing of the kind is believed: its lines are dropped and ours say what
//! we saw. A trusted peer's chain is kept, without the entries that are no addresses, and the peer is
//! appended to it. `X-Real-IP` is always the one address that everything here goes by ([`said_client`]).

use std::net::IpAddr;

use crate::message::{Field, RequestHead};

use super::syntax::{authority, decimal, is_token, list, push_decimal, trim};

/// What the proxy knows of the client's side.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardedInfo<'a> {
    /// The peer's address as text, an IPv6 address without brackets.
    pub peer: &'a str,
    /// `http` or `https`.
    pub proto: &'a str,
    /// The address that the client connected to, for `by=`; usually left out.
    pub by: Option<&'a str>,
    /// Whether the peer may tell who it asks for. Then its chain is kept and we are appended;
    /// otherwise whatever it says of that kind is removed.
    pub trusted_peer: bool,
}

/// Somebody for whom a trusted peer says that it asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Said<'a> {
    /// Address.
    pub address: IpAddr,
    /// The same as the peer wrote it, without port and brackets.
    pub text: &'a [u8],
}

/// For whom a trusted peer says that it asks: the last entry of `X-Forwarded-For`, which is the one that the peer
/// itself has appended; all before it is hearsay. `X-Real-IP` is asked only where there is no such line, because
/// who appends to the one often passes the other on as some client wrote it. What is no address says nothing.
pub fn said_client<'a>(head: &'a RequestHead, buf: &'a [u8]) -> Option<Said<'a>> {
    let entry = match head.values(buf, "x-forwarded-for").last() {
        Some(chain) => trim(chain.rsplit(|byte| *byte == b',').next()?),
        None => head.values(buf, "x-real-ip").last()?,
    };
    let text = without_port(entry);
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Said { address: address.to_canonical(), text })
}

/// Most entries of a chain, ours included. The oldest are dropped: they are the least certain.
const CHAIN_MAX: usize = 50;

/// Whether the line may be copied as it is. Chains may not: they are joined and appended to. Nor may
/// `X-Real-IP`, which says who asks as we take it.
pub(super) fn passes(field: Field, value: &[u8], info: &ForwardedInfo<'_>) -> bool {
    info.trusted_peer
        && match field {
            Field::XForwardedFor | Field::Forwarded | Field::XRealIp => false,
            Field::XForwardedProto => is_proto(value),
            Field::XForwardedHost => authority(value).is_some(),
            Field::XForwardedPort => decimal(value).is_some_and(|it| (1..=65_535).contains(&it)),
            _ => true,
        }
}

fn usual_port(proto: &str) -> u16 {
    if proto == "https" { 443 } else { 80 }
}

fn is_proto(value: &[u8]) -> bool {
    ["http", "https", "ws", "wss"].iter().any(|it| value.eq_ignore_ascii_case(it.as_bytes()))
}

/// Appends our lines. `wanted` says whether a line of that name is to be written at all.
pub(super) fn write(
    head: &RequestHead,
    buf: &[u8],
    info: &ForwardedInfo<'_>,
    wanted: impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) {
    let host = head.host.whole.of(buf);
    // What a trusted peer says was copied with the other lines.
    let told = |field: Field| {
        info.trusted_peer
            && head.lines.iter().any(|it| it.field == field && passes(field, it.value.of(buf), info))
    };
    if wanted("x-forwarded-for") {
        out.extend_from_slice(b"x-forwarded-for: ");
        if info.trusted_peer {
            write_chain(|visit| addresses(head, buf, visit), out);
        }
        push(out, [info.peer, "\r\n"]);
    }
    if wanted("x-forwarded-proto") && !told(Field::XForwardedProto) {
        push(out, ["x-forwarded-proto: ", info.proto, "\r\n"]);
    }
    if wanted("x-forwarded-host") && !told(Field::XForwardedHost) && !host.is_empty() {
        out.extend_from_slice(b"x-forwarded-host: ");
        out.extend_from_slice(host);
        out.extend_from_slice(b"\r\n");
    }
    if wanted("x-forwarded-port") && !told(Field::XForwardedPort) {
        out.extend_from_slice(b"x-forwarded-port: ");
        push_decimal(out, head.host.port.unwrap_or(usual_port(info.proto)).into());
        out.extend_from_slice(b"\r\n");
    }
    if wanted("x-real-ip") {
        out.extend_from_slice(b"x-real-ip: ");
        let said = if info.trusted_peer { said_client(head, buf) } else { None };
        out.extend_from_slice(said.map_or(info.peer.as_bytes(), |it| it.text));
        out.extend_from_slice(b"\r\n");
    }
    if wanted("forwarded") {
        out.extend_from_slice(b"forwarded: ");
        if info.trusted_peer {
            write_chain(|visit| elements(head, buf, visit), out);
        }
        write_element(info, host, out);
    }
}

/// Our own element of a `Forwarded` line, and the end of the line.
fn write_element(info: &ForwardedInfo<'_>, host: &[u8], out: &mut Vec<u8>) {
    let node = |name: &str, address: &str, out: &mut Vec<u8>| {
        let (open, close) = if address.contains(':') { ("\"[", "]\"") } else { ("", "") };
        push(out, [name, open, address, close]);
    };
    node("for=", info.peer, out);
    if let Some(by) = info.by {
        node(";by=", by, out);
    }
    if !host.is_empty() {
        let quote: &[u8] = if is_token(host) { b"" } else { b"\"" };
        for part in [b";host=", quote, host, quote] {
            out.extend_from_slice(part);
        }
    }
    push(out, [";proto=", info.proto, "\r\n"]);
}

/// Appends the newest entries, each with a comma behind it, and leaves room for one more.
fn write_chain<'b>(each: impl Fn(&mut dyn FnMut(&'b [u8])), out: &mut Vec<u8>) {
    let mut count = 0_usize;
    each(&mut |_| count += 1);
    let mut surplus = (count + 1).saturating_sub(CHAIN_MAX);
    each(&mut |entry| {
        if surplus > 0 {
            surplus -= 1;
        } else {
            out.extend_from_slice(entry);
            out.extend_from_slice(b", ");
        }
    });
}

/// Calls `visit` with the entries of all `X-Forwarded-For` lines that are addresses.
fn addresses<'b>(head: &RequestHead, buf: &'b [u8], visit: &mut dyn FnMut(&'b [u8])) {
    for line in head.lines.iter().filter(|it| it.field == Field::XForwardedFor) {
        list(line.value.of(buf)).filter(|it| is_address(it)).for_each(&mut *visit);
    }
}

/// An address, with or without a port.
fn is_address(entry: &[u8]) -> bool {
    let parses = |it: &[u8]| std::str::from_utf8(it).is_ok_and(|it| it.parse::<IpAddr>().is_ok());
    parses(entry) || authority(entry).is_some_and(|(name, _)| entry[0] == b'[' || parses(&entry[..name]))
}

/// The address of an entry, if [`is_address`] holds for it.
fn without_port(entry: &[u8]) -> &[u8] {
    match authority(entry) {
        Some((name, _)) if entry[0] == b'[' => &entry[1..name - 1],
        Some((name, Some(_))) if !entry[..name].contains(&b':') => &entry[..name],
        _ => entry,
    }
}

/// Calls `visit` with the elements of all sound `Forwarded` lines.
fn elements<'b>(head: &RequestHead, buf: &'b [u8], visit: &mut dyn FnMut(&'b [u8])) {
    for line in head.lines.iter().filter(|it| it.field == Field::Forwarded) {
        let value = line.value.of(buf);
        if is_sound(value) {
            split_unquoted(value, &mut |element| {
                if !element.is_empty() {
                    visit(element);
                }
            });
        }
    }
}

/// Whether what we append to it would be read as an element of its own: quotes are closed, and every
/// element is made of pairs.
fn is_sound(value: &[u8]) -> bool {
    let mut sound = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let closed = split_unquoted(value, &mut |element| sound &= element.is_empty() || element.contains(&b'='));
    sound && closed
}

/// Splits at commas outside of quotes; whether all quotes were closed.
fn split_unquoted<'b>(value: &'b [u8], visit: &mut dyn FnMut(&'b [u8])) -> bool {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, &byte) in value.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                visit(trim(&value[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    visit(trim(&value[start..]));
    !quoted
}

fn push<const N: usize>(out: &mut Vec<u8>, parts: [&str; N]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}
