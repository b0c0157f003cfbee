//! Frames (RFC 9113 section 4): their heads, types, flags and codes.

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = 9;

/// Where the flags stand in it.
pub const FLAGS_AT: usize = 4;

/// Largest payload that we take, and the largest that we send: what every side allows that says nothing.
pub const PAYLOAD_MAX: usize = 16_384;

/// Largest window there is.
pub const WINDOW_MAX: i64 = (1 << 31) - 1;

/// What both sides may send before anything else was said about it.
pub const WINDOW_USUAL: i64 = 65_535;

/// Types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "RFC 9113 section 6 has these names")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "RFC 9113 section 6 has these names")]
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;
    pub const PRIORITY: u8 = 0x20;
}

/// Names of settings.
pub mod setting {
    #![allow(missing_docs, reason = "RFC 9113 section 6.5.2 has these names")]
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// Why a stream or a connection ends (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Code(pub u32);

#[allow(missing_docs, reason = "RFC 9113 section 7 has these names")]
impl Code {
    pub const NO_ERROR: Self = Self(0);
    pub const PROTOCOL_ERROR: Self = Self(1);
    pub const INTERNAL_ERROR: Self = Self(2);
    pub const FLOW_CONTROL_ERROR: Self = Self(3);
    pub const STREAM_CLOSED: Self = Self(5);
    pub const FRAME_SIZE_ERROR: Self = Self(6);
    pub const REFUSED_STREAM: Self = Self(7);
    pub const CANCEL: Self = Self(8);
    pub const COMPRESSION_ERROR: Self = Self(9);
    pub const ENHANCE_YOUR_CALM: Self = Self(11);
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Bytes of the payload.
    pub len: usize,
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream; 0 is the connection.
    pub stream: u32,
}

impl Head {
    /// Reads a head if all of it is there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, kind, flags, rest @ ..] = bytes.first_chunk::<HEAD_BYTES>()?;
        // The highest bit of the stream means nothing.
        Some(Self {
            len: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(rest) & 0x7fff_ffff,
        })
    }

    /// Whether a flag is set.
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Appends it.
    pub fn write(self, out: &mut Vec<u8>) {
        let [_, a, b, c] = (self.len as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        out.extend_from_slice(&[a, b, c, self.kind, self.flags, d, e, f, g]);
    }
}

/// Appends a frame.
pub fn write(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    Head { len: payload.len(), kind, flags, stream }.write(out);
    out.extend_from_slice(payload);
}

/// Appends a frame that carries one number: WINDOW_UPDATE, RST_STREAM.
pub fn write_number(kind: u8, stream: u32, number: u32, out: &mut Vec<u8>) {
    write(kind, 0, stream, &number.to_be_bytes(), out);
}

/// A number of four bytes.
pub fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|it| u32::from_be_bytes(*it))
}

/// The payload without its padding, if it has any. `None` if there is more padding than payload.
pub fn unpadded(head: Head, payload: &[u8]) -> Option<&[u8]> {
    if !head.has(flag::PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    rest.len().checked_sub(usize::from(padding)).map(|len| &rest[..len])
}
