//! How long an exchange may take: what it waits for, since when, and for how much longer.
//!
//! Every pass over an exchange notes what it ended up waiting for; the earliest of those limits is
//! the one deadline of the connection.
//!
//! The limit for the whole exchange is the only one that goes on while now the one side is waited for and now
//! the other. Whoever asks can be as slow as they like, so it is held against the version only if that was
//! waited for in the end and for half of the limit at least, in this one try: what was lost by the client, by
//! waiting for a place or by another try is not its own.

use std::time::Duration;

use crate::config::ListenerSpec;
use crate::routing::Timeouts;

use super::failure::Failure;

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait {
    /// The client's body.
    ClientSends,
    /// The version, to take the request.
    UpstreamTakes,
    /// The head of the answer.
    Head,
    /// The body of the answer.
    Body,
    /// The client, to take the answer.
    ClientTakes,
    /// Either side of a tunnel.
    Tunnel,
    /// Either side of a call in which both speak when they have something to say.
    Talk,
}

/// What only the client can do something about. When it is among what is waited for, the version is excused:
/// it may well answer as fast as it is asked.
const OF_CLIENT: u8 = bit(Wait::ClientSends) | bit(Wait::ClientTakes) | bit(Wait::Talk);

/// What only the version can do something about.
const OF_VERSION: u8 = bit(Wait::UpstreamTakes) | bit(Wait::Head) | bit(Wait::Body);

const fn bit(wait: Wait) -> u8 {
    1 << wait as u8
}

/// The rate of a body is judged over stretches of this length.
const RATE_STRETCH_MS: u64 = 10_000;

/// What a slow client must take to be given its time anew. A window that is opened byte by byte would
/// otherwise hold an answer, and the version's connection, for as long as the client likes.
const TAKEN_BYTES_MIN: u64 = 1024;

/// Limits of one exchange and what counts against them. All times are milliseconds of the worker.
pub struct Patience {
    head_ms: u64,
    idle_ms: u64,
    client_body_ms: u64,
    client_takes_ms: u64,
    bytes_per_stretch: u64,
    /// End of the whole exchange.
    end_ms: u64,
    /// Whoever was waited for so long is to blame for that: half of the time for the whole exchange.
    share_ms: u64,
    /// The last pass.
    pass_ms: u64,
    /// For how long the version alone was waited for, in this try.
    version_ms: u64,
    /// For how long the client was waited for, in all tries.
    client_ms: u64,
    /// What the client was waited for last.
    client_waits: u8,
    /// The request, as far as it may be sent now, was sent.
    sent_ms: u64,
    /// The request moved last.
    upload_ms: u64,
    /// The answer moved last.
    answer_ms: u64,
    stretch_ms: u64,
    stretch_bytes: u64,
    waits: u8,
    /// Whether the last pass ended up waiting for the client to take the answer.
    client_was_late: bool,
    /// Bytes of the answer that counted for nothing yet.
    taken_bytes: u64,
}

impl Patience {
    /// For an exchange that begins now.
    pub fn new(timeouts: &Timeouts, listener: &ListenerSpec, now_ms: u64) -> Self {
        let ms = |it: Duration| it.as_millis() as u64;
        Self {
            head_ms: ms(timeouts.head),
            idle_ms: ms(timeouts.idle),
            client_body_ms: ms(listener.timeouts.body),
            client_takes_ms: ms(listener.timeouts.write),
            bytes_per_stretch: listener.limits.body_rate.saturating_mul(RATE_STRETCH_MS / 1000),
            end_ms: timeouts.request.map_or(u64::MAX, |it| now_ms.saturating_add(ms(it))),
            share_ms: timeouts.request.map_or(u64::MAX, |it| ms(it) / 2),
            pass_ms: now_ms,
            version_ms: 0,
            client_ms: 0,
            client_waits: 0,
            sent_ms: now_ms,
            upload_ms: now_ms,
            answer_ms: now_ms,
            stretch_ms: now_ms,
            stretch_bytes: 0,
            waits: 0,
            client_was_late: false,
            taken_bytes: 0,
        }
    }

    /// A new pass begins: it waits for nothing yet.
    pub fn quiet(&mut self, now_ms: u64) {
        let waited_ms = now_ms.saturating_sub(std::mem::replace(&mut self.pass_ms, now_ms));
        if self.waits & OF_CLIENT != 0 {
            self.client_ms += waited_ms;
            self.client_waits = self.waits & OF_CLIENT;
        } else if self.waits & OF_VERSION != 0 {
            self.version_ms += waited_ms;
        }
        self.client_was_late = self.waits & bit(Wait::ClientTakes) != 0;
        self.waits = 0;
    }

    /// The version has kept the exchange for so long before it was sent anything: its connection took that long
    /// to be opened, or it is made to take longer.
    pub fn version_took(&mut self, ms: u64) {
        self.version_ms += ms;
    }

    /// What was held back goes on: nobody has to say that it may.
    pub fn held_for_nobody(&mut self) {
        self.version_ms = 0;
    }

    /// There will be another try, and what comes until then is no part of it.
    pub fn again(&mut self) {
        (self.version_ms, self.waits) = (0, 0);
    }

    /// The pass ends up waiting for this.
    pub fn wait(&mut self, wait: Wait) {
        self.waits |= bit(wait);
    }

    /// The request was sent, or as much of it as may be sent now.
    pub fn sent(&mut self, now_ms: u64) {
        (self.sent_ms, self.upload_ms) = (now_ms, now_ms);
    }

    /// Some of the request's body was passed on.
    pub fn upload_moved(&mut self, bytes: u64, now_ms: u64) {
        self.upload_ms = now_ms;
        self.stretch_bytes += bytes;
    }

    /// The head of the answer was received.
    pub fn answered(&mut self, now_ms: u64) {
        self.answer_ms = now_ms;
    }

    /// Some of the answer was passed on. A client that was waited for must take more than a drop at a time
    /// to be waited for anew.
    pub fn answer_moved(&mut self, bytes: u64, now_ms: u64) {
        self.taken_bytes += bytes;
        if !self.client_was_late || self.taken_bytes >= TAKEN_BYTES_MIN {
            (self.answer_ms, self.taken_bytes) = (now_ms, 0);
        }
    }

    /// From now on both sides may talk for as long as they like.
    pub fn open_end(&mut self) {
        self.end_ms = u64::MAX;
    }

    /// Whether the time for the whole exchange is over.
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms >= self.end_ms
    }

    /// When the first of the limits is reached.
    pub fn until_ms(&self) -> u64 {
        let mut until_ms = self.end_ms;
        for (wait, at_ms, _) in self.limits() {
            if self.waits & bit(wait) != 0 {
                until_ms = until_ms.min(at_ms);
            }
        }
        if self.judges_rate() { until_ms.min(self.stretch_ms + RATE_STRETCH_MS) } else { until_ms }
    }

    /// The limit that is reached, if any.
    pub fn exhausted(&mut self, now_ms: u64) -> Option<Failure> {
        if now_ms >= self.end_ms {
            return Some(self.late());
        }
        for (wait, at_ms, failure) in self.limits() {
            if self.waits & bit(wait) != 0 && now_ms >= at_ms {
                return Some(failure);
            }
        }
        if now_ms < self.stretch_ms + RATE_STRETCH_MS {
            return None;
        }
        let slow = self.judges_rate() && self.stretch_bytes < self.bytes_per_stretch;
        (self.stretch_ms, self.stretch_bytes) = (now_ms, 0);
        slow.then_some(Failure::BodyRate)
    }

    /// Who is to blame for an exchange that takes longer than it may.
    fn late(&self) -> Failure {
        let now = self.waits & OF_CLIENT;
        let waits = if now == 0 { self.client_waits } else { now };
        // One that neither sends nor takes is told, if it can be, what it has to send.
        let sends = waits & !bit(Wait::ClientTakes) != 0;
        let client = if sends { Failure::BodyTimeout } else { Failure::WriteTimeout };
        if now != 0 {
            client
        } else if self.waits & OF_VERSION != 0 && self.version_ms >= self.share_ms {
            Failure::Timeout
        } else if self.client_ms >= self.share_ms {
            client
        } else {
            Failure::Late
        }
    }

    /// Only a client that is being waited for can be too slow.
    fn judges_rate(&self) -> bool {
        self.bytes_per_stretch > 0 && self.waits & bit(Wait::ClientSends) != 0
    }

    fn limits(&self) -> [(Wait, u64, Failure); 7] {
        let tunnel_ms = self.upload_ms.max(self.answer_ms);
        [
            (Wait::ClientSends, self.upload_ms.saturating_add(self.client_body_ms), Failure::BodyTimeout),
            (Wait::UpstreamTakes, self.upload_ms.saturating_add(self.idle_ms), Failure::Timeout),
            (Wait::Head, self.sent_ms.saturating_add(self.head_ms), Failure::Timeout),
            (Wait::Body, self.answer_ms.saturating_add(self.idle_ms), Failure::Timeout),
            (Wait::ClientTakes, self.answer_ms.saturating_add(self.client_takes_ms), Failure::WriteTimeout),
            (Wait::Tunnel, tunnel_ms.saturating_add(self.idle_ms), Failure::Idle),
            (Wait::Talk, tunnel_ms.saturating_add(self.idle_ms), Failure::BodyTimeout),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> Patience {
        let timeouts = Timeouts { request: Some(Duration::from_secs(90)), ..Timeouts::default() };
        let listener = ListenerSpec {
            name: "http".parse().unwrap(),
            address: ([127, 0, 0, 1], 0).into(),
            h2c: false,
            tls: None,
            redirect: None,
            trust: Vec::new(),
            timeouts: Default::default(),
            limits: Default::default(),
            underscores: Default::default(),
            escaped_slashes: Default::default(),
            merge_slashes: false,
            request_id: None,
            server_timing: false,
            proxy_protocol: false,
        };
        Patience::new(&timeouts, &listener, 1000)
    }

    #[test]
    fn each_wait_has_its_own_limit() {
        for (wait, after_ms, failure) in [
            (Wait::UpstreamTakes, 60_000, Failure::Timeout),
            (Wait::Head, 60_000, Failure::Timeout),
            (Wait::Body, 60_000, Failure::Timeout),
            (Wait::ClientTakes, 30_000, Failure::WriteTimeout),
            (Wait::Tunnel, 60_000, Failure::Idle),
            (Wait::Talk, 60_000, Failure::BodyTimeout),
        ] {
            let mut it = patience();
            it.wait(wait);
            assert_eq!(it.until_ms(), 1000 + after_ms, "{wait:?}");
            assert_eq!(it.exhausted(1000 + after_ms - 1), None, "{wait:?}");
            assert_eq!(it.exhausted(1000 + after_ms), Some(failure), "{wait:?}");
        }
    }

    #[test]
    fn the_whole_exchange_has_an_end() {
        let mut it = patience();
        assert_eq!(it.exhausted(90_999), None);
        assert_eq!(it.exhausted(91_000), Some(Failure::Late));
        it.open_end();
        assert_eq!(it.exhausted(u64::MAX - 1), None);
    }

    #[test]
    fn whoever_was_waited_for_answers_for_the_end_of_it() {
        use Wait::{Body, ClientSends, ClientTakes, Head, Talk, UpstreamTakes};
        type Passes = &'static [(&'static [Wait], u64)];
        let cases: &[(Passes, Failure)] = &[
            // The version alone.
            (&[(&[Head], 90)], Failure::Timeout),
            (&[(&[UpstreamTakes], 30), (&[Head], 30), (&[Body], 30)], Failure::Timeout),
            (&[(&[ClientSends], 45), (&[Head], 45)], Failure::Timeout),
            // The client alone, while it sends and while it takes.
            (&[(&[ClientSends], 90)], Failure::BodyTimeout),
            (&[(&[Talk], 90)], Failure::BodyTimeout),
            (&[(&[Head], 1), (&[ClientTakes], 89)], Failure::WriteTimeout),
            // The version is the last, and has had no time.
            (&[(&[ClientSends], 81), (&[Head], 9)], Failure::BodyTimeout),
            (&[(&[ClientSends], 46), (&[Head], 44)], Failure::BodyTimeout),
            (&[(&[Head], 9), (&[ClientTakes], 80), (&[Body], 1)], Failure::WriteTimeout),
            // The version was slow, but the client is the last.
            (&[(&[Head], 80), (&[ClientTakes], 10)], Failure::WriteTimeout),
            (&[(&[UpstreamTakes], 80), (&[ClientSends], 10)], Failure::BodyTimeout),
            // An answer that begins before the request ends may need the rest of it, and one that is not taken
            // may keep the version from taking more.
            (&[(&[ClientSends, Body], 90)], Failure::BodyTimeout),
            (&[(&[Talk, Body], 90)], Failure::BodyTimeout),
            (&[(&[UpstreamTakes, ClientTakes], 90)], Failure::WriteTimeout),
            (&[(&[ClientSends, ClientTakes], 90)], Failure::BodyTimeout),
            // Neither had half of the time: the rest went by before there was anybody to wait for.
            (&[(&[], 60), (&[Head], 30)], Failure::Late),
            (&[(&[], 10), (&[ClientSends], 40), (&[Head], 40)], Failure::Late),
        ];
        for (passes, failure) in cases {
            let (mut it, mut now_ms) = (patience(), 1000);
            for (waits, seconds) in *passes {
                it.quiet(now_ms);
                // Everything moves, so that no other limit is reached.
                it.sent(now_ms);
                it.answered(now_ms);
                waits.iter().for_each(|wait| it.wait(*wait));
                now_ms += seconds * 1000;
            }
            let waits = it.waits;
            it.quiet(now_ms);
            it.waits = waits;
            assert_eq!(it.exhausted(now_ms), Some(*failure), "{passes:?}");
        }
    }

    #[test]
    fn a_try_answers_for_its_own_time() {
        let mut it = patience();
        it.wait(Wait::Head);
        it.quiet(81_000);
        it.again();
        it.wait(Wait::Head);
        it.quiet(91_000);
        it.wait(Wait::Head);
        assert_eq!(it.exhausted(91_000), Some(Failure::Late), "the other try had most of it");
        it.version_took(35_000);
        assert_eq!(it.exhausted(91_000), Some(Failure::Timeout), "opening its connection is its own time");
    }

    #[test]
    fn a_body_must_keep_its_rate() {
        let mut it = patience();
        it.wait(Wait::ClientSends);
        it.upload_moved(5_000, 10_000);
        assert_eq!(it.exhausted(11_000), None, "500 B/s is enough");
        it.upload_moved(4_999, 20_000);
        assert_eq!(it.exhausted(21_000), Some(Failure::BodyRate));
    }

    #[test]
    fn a_client_must_take_more_than_drops() {
        let mut it = patience();
        it.answer_moved(1, 2000);
        it.wait(Wait::ClientTakes);
        assert_eq!(it.until_ms(), 32_000);
        for second in 3..20 {
            it.quiet(0);
            it.answer_moved(1, second * 1000);
            it.wait(Wait::ClientTakes);
        }
        assert_eq!(it.until_ms(), 32_000, "drops do not count");
        it.quiet(0);
        it.answer_moved(TAKEN_BYTES_MIN, 20_000);
        it.wait(Wait::ClientTakes);
        assert_eq!(it.until_ms(), 50_000);
    }

    #[test]
    fn a_client_that_cannot_send_is_not_slow() {
        let mut it = patience();
        it.wait(Wait::UpstreamTakes);
        assert_eq!(it.exhausted(12_000), None);
        it.quiet(0);
        it.wait(Wait::ClientSends);
        it.upload_moved(1, 12_001);
        assert_eq!(it.exhausted(20_000), None, "a new stretch has begun");
    }
}
