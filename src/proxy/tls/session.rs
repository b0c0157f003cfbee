//! One side of a TLS connection without its socket: records in, content out, and back.

use std::io::IoSlice;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedConnectionCommon,
    UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

use super::room::{Output, RECORD_BYTES, SEAL_BYTES};

/// Either side.
pub enum Session {
    /// We were called.
    Server(UnbufferedServerConnection),
    /// We call.
    Client(UnbufferedClientConnection),
}

/// How far records were understood.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opened {
    /// Bytes of the input that are done with. The rest is the beginning of a record.
    pub used: usize,
    /// Whether the other side says that nothing more will come.
    pub ended: bool,
}

impl Session {
    /// What was agreed.
    pub fn state(&self) -> &CommonState {
        match self {
            Self::Server(it) => it,
            Self::Client(it) => it,
        }
    }

    /// Opens the records in `input`. Content goes to `content`, what must be sent in return to `out`, an
    /// alert about an error too.
    pub fn open(
        &mut self,
        input: &mut [u8],
        out: &mut Output,
        content: &mut dyn FnMut(&[u8]),
    ) -> Result<Opened, Error> {
        match self {
            Self::Server(it) => open(&mut **it, input, out, content),
            Self::Client(it) => open(&mut **it, input, out, content),
        }
    }

    /// Seals as much of `parts` as goes at once into `out`; returns how many bytes that are. What is small
    /// leaves in one record, whatever it is made of. `held` is what [`Session::open`] has left.
    pub fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        held: &mut Vec<u8>,
        joined: &mut [u8],
        out: &mut Output,
    ) -> Result<usize, Error> {
        match self {
            Self::Server(it) => {
                when_ready(&mut **it, held, out, |traffic, out| seal(traffic, parts, joined, out))
            }
            Self::Client(it) => {
                when_ready(&mut **it, held, out, |traffic, out| seal(traffic, parts, joined, out))
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn close(&mut self, held: &mut Vec<u8>, out: &mut Output) -> Result<(), Error> {
        match self {
            Self::Server(it) => when_ready(&mut **it, held, out, close),
            Self::Client(it) => when_ready(&mut **it, held, out, close),
        }
    }
}

/// What the two kinds of connections have in common, and rustls has no name for.
trait Records {
    type Data;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    /// Whether records are ready that must be sent.
    fn has_more_to_send(&self) -> bool;
}

impl Records for UnbufferedConnectionCommon<ServerConnectionData> {
    type Data = ServerConnectionData;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
    fn has_more_to_send(&self) -> bool {
        self.wants_write()
    }
}

impl Records for UnbufferedConnectionCommon<ClientConnectionData> {
    type Data = ClientConnectionData;
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }
    fn has_more_to_send(&self) -> bool {
        self.wants_write()
    }
}

fn open<R: Records>(
    records: &mut R,
    input: &mut [u8],
    out: &mut Output,
    content: &mut dyn FnMut(&[u8]),
) -> Result<Opened, Error> {
    let mut opened = Opened::default();
    loop {
        let UnbufferedStatus { mut discard, state } = records.process(&mut input[opened.used..]);
        let mut done = false;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    content(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(|room| data.encode(room), out)?,
            // It leaves before anything else that is sealed later: `out` is sent in its order.
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => opened.ended = true,
            Ok(ConnectionState::Closed) => (opened.ended, done) = (true, true),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => done = true,
            // Early data is never taken, and no other state exists.
            Ok(_) => return Err(Error::General("a state that was never asked for".into())),
            Err(error) => {
                alert(records, &mut input[opened.used + discard..], out);
                if is_unknown_name(&error) {
                    name_alert(out);
                }
                return Err(error);
            }
        }
        opened.used += discard;
        if done {
            return Ok(opened);
        }
    }
}

/// The last words of a connection that failed.
fn alert<R: Records>(records: &mut R, input: &mut [u8], out: &mut Output) {
    // As long as there is something to send, the input is not looked at.
    while records.has_more_to_send()
        && let Ok(ConnectionState::EncodeTlsData(mut data)) = records.process(input).state
        && encode(|room| data.encode(room), out).is_ok()
    {}
}

/// Whether no certificate was chosen for a client.
pub fn is_unknown_name(error: &Error) -> bool {
    matches!(error, Error::General(why) if why == "no server certificate chain resolved")
}

/// Says "unrecognized_name" (RFC 6066 section 3) where rustls says "access_denied". Nothing is encrypted yet.
fn name_alert(out: &mut Output) {
    if let [.., 21, 3, _, 0, 2, 2, description @ 49] = out.filled_mut() {
        *description = 112;
    }
}

fn encode(
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
    out: &mut Output,
) -> Result<(), Error> {
    let needed = match encode(&mut []) {
        Ok(_) | Err(EncodeError::AlreadyEncoded) => return Ok(()),
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => required_size,
    };
    match encode(out.room(needed)) {
        Ok(count) => out.used(count),
        Err(error) => return Err(Error::General(error.to_string())),
    }
    Ok(())
}

/// Goes on as soon as content may be sent, behind whatever else must leave before it. The input that is
/// held must be there each time: a message that has begun in it is remembered by its place.
fn when_ready<R: Records, T>(
    records: &mut R,
    held: &mut Vec<u8>,
    out: &mut Output,
    then: impl FnOnce(&mut WriteTraffic<'_, R::Data>, &mut Output) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let UnbufferedStatus { discard, state } = records.process(held);
        match state? {
            ConnectionState::EncodeTlsData(mut data) => encode(|room| data.encode(room), out)?,
            ConnectionState::TransmitTlsData(data) => data.done(),
            // Nothing more will come. What we have to say may still be said.
            ConnectionState::PeerClosed => {}
            ConnectionState::WriteTraffic(mut traffic) => {
                let done = then(&mut traffic, out);
                held.drain(..discard);
                return done;
            }
            _ => return Err(Error::General("nothing can be sent now".into())),
        }
        held.drain(..discard);
    }
}

fn seal<D>(
    traffic: &mut WriteTraffic<'_, D>,
    parts: &[IoSlice<'_>],
    joined: &mut [u8],
    out: &mut Output,
) -> Result<usize, Error> {
    let mut sealed = 0;
    let mut rest = parts.iter().map(|it| &**it).filter(|it| !it.is_empty()).peekable();
    let mut part: &[u8] = rest.next().unwrap_or_default();
    while !part.is_empty() && sealed < SEAL_BYTES {
        if part.len() >= RECORD_BYTES || rest.peek().is_none() {
            // As it is, in whole records; a last one may be shorter.
            let most = SEAL_BYTES - sealed;
            let count = if part.len() <= most { part.len() } else { most };
            let count = if rest.peek().is_some() { count - count % RECORD_BYTES } else { count };
            encrypt(traffic, &part[..count], out)?;
            (sealed, part) = (sealed + count, &part[count..]);
        } else {
            let mut count = 0;
            while !part.is_empty() && count < joined.len() {
                let taken = part.len().min(joined.len() - count);
                joined[count..count + taken].copy_from_slice(&part[..taken]);
                (count, part) = (count + taken, &part[taken..]);
                if part.is_empty() {
                    part = rest.next().unwrap_or_default();
                }
            }
            encrypt(traffic, &joined[..count], out)?;
            sealed += count;
        }
        if part.is_empty() {
            part = rest.next().unwrap_or_default();
        }
    }
    Ok(sealed)
}

/// More than a record of any suite adds to its content.
const RECORD_OVERHEAD: usize = 64;

fn encrypt<D>(traffic: &mut WriteTraffic<'_, D>, content: &[u8], out: &mut Output) -> Result<(), Error> {
    let needed = content.len() + (content.len() / RECORD_BYTES + 1) * RECORD_OVERHEAD;
    with_size(needed, out, |room| traffic.encrypt(content, room))
}

fn close<D>(traffic: &mut WriteTraffic<'_, D>, out: &mut Output) -> Result<(), Error> {
    with_size(RECORD_OVERHEAD, out, |room| traffic.queue_close_notify(room))
}

/// Tries with `needed` bytes of room, and with what it takes if something else has to leave first.
fn with_size(
    needed: usize,
    out: &mut Output,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let written = match write(out.room(needed)) {
        Err(EncryptError::InsufficientSize(it)) => write(out.room(it.required_size)),
        written => written,
    };
    match written {
        Ok(count) => out.used(count),
        Err(_) => return Err(Error::EncryptError),
    }
    Ok(())
}
