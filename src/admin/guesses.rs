//! Who has shown wrong tokens, and for how long nobody looks at what they show.
//!
//! A token of 128 bits is not guessed; but somebody who tries should neither cost anything nor fill the log.
//! The same wrong token again is no new guess: a scraper that was not told of a new one locks nobody out.
//!
//! While an address is locked out no token from there is looked at, a good one neither: else the lock would
//! tell good from bad all the same. Everybody else, and the Unix socket, is served as ever.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::config::TokenHash;
use crate::model::Timestamp;

/// The last guesses, by address.
#[derive(Debug, Default)]
pub(super) struct Guesses(Vec<Guesser>);

/// An address that has shown a wrong token.
#[derive(Debug)]
struct Guesser {
    address: IpAddr,
    /// The last one.
    shown: TokenHash,
    /// When counting began.
    since: Timestamp,
    wrong: u32,
    locked_until: Option<Timestamp>,
}

/// What a wrong token led to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counted {
    /// The same as the last one.
    Known,
    /// A new one.
    New,
    /// One too many.
    Locked,
}

impl Guesses {
    /// How long nobody looks at a token from there; `None` if somebody does.
    pub(super) fn locked(&self, from: IpAddr, now: Timestamp) -> Option<Duration> {
        let from = network(from);
        let until = self.0.iter().find(|it| it.address == from)?.locked_until.filter(|it| *it > now)?;
        Some(Duration::from_micros(until.0 - now.0))
    }

    /// A wrong token came from there.
    pub(super) fn wrong(&mut self, from: IpAddr, shown: TokenHash, now: Timestamp) -> Counted {
        let at = self.entry(network(from), now);
        let it = &mut self.0[at];
        if it.wrong > 0 && it.shown == shown {
            return Counted::Known;
        }
        (it.shown, it.wrong) = (shown, it.wrong + 1);
        if it.wrong < WRONG_MAX {
            return Counted::New;
        }
        it.locked_until = Some(now + LOCKED);
        Counted::Locked
    }

    /// Where an address is counted; what is over is forgotten.
    fn entry(&mut self, address: IpAddr, now: Timestamp) -> usize {
        self.0.retain(|it| now < it.since + WINDOW || it.locked_until.is_some_and(|until| now < until));
        if let Some(at) = self.0.iter().position(|it| it.address == address) {
            return at;
        }
        if self.0.len() >= GUESSERS_MAX {
            // Whoever has so many addresses is not kept out by counting them.
            self.0.remove(0);
        }
        let shown = TokenHash::of(b"");
        self.0.push(Guesser { address, shown, since: now, wrong: 0, locked_until: None });
        self.0.len() - 1
    }
}

/// Who has one address of IPv6 has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(it) => Ipv6Addr::from(u128::from(it) & !u128::from(u64::MAX)).into(),
        it => it,
    }
}

/// Wrong tokens before an address is locked out. A person mistypes less often.
const WRONG_MAX: u32 = 10;
/// Time within which they are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Time for which it is.
const LOCKED: Duration = Duration::from_secs(60);
/// Addresses that are counted; the oldest is forgotten for a new one. Some 100 KiB.
const GUESSERS_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp((1_000 + seconds) * 1_000_000)
    }

    fn guess(number: u32) -> TokenHash {
        TokenHash::of(&number.to_le_bytes())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_guesses_lock_one_address_for_a_minute() {
        let (mut guesses, eve) = (Guesses::default(), address("10.0.0.1"));
        for number in 1..10 {
            assert_eq!(guesses.wrong(eve, guess(number), at(0)), Counted::New);
            assert_eq!(guesses.locked(eve, at(0)), None);
        }
        assert_eq!(guesses.wrong(eve, guess(10), at(5)), Counted::Locked);
        assert_eq!(guesses.locked(eve, at(5)), Some(Duration::from_secs(60)));
        assert_eq!(guesses.locked(address("::ffff:10.0.0.1"), at(64)), Some(Duration::from_secs(1)));
        assert_eq!(guesses.locked(address("10.0.0.2"), at(5)), None);
        assert_eq!(guesses.locked(eve, at(65)), None);
        assert_eq!(guesses.wrong(eve, guess(11), at(66)), Counted::New, "all is forgotten");
    }

    #[test]
    fn slow_guesses_and_one_token_again_and_again_lock_nobody() {
        let (mut guesses, bob) = (Guesses::default(), address("10.0.0.1"));
        for number in 0..1_000 {
            let counted = guesses.wrong(bob, guess(0), at(number / 100));
            assert_eq!(counted, if number == 0 { Counted::New } else { Counted::Known });
        }
        let eve = address("10.0.0.2");
        for number in 0..100 {
            assert_eq!(guesses.wrong(eve, guess(number), at(7 * u64::from(number))), Counted::New);
        }
    }

    #[test]
    fn a_network_of_ipv6_is_one_guesser() {
        let mut guesses = Guesses::default();
        for number in 0..10_u32 {
            guesses.wrong(address(&format!("2001:db8::{number:x}")), guess(number), at(0));
        }
        assert!(guesses.locked(address("2001:db8::ffff"), at(0)).is_some());
        assert!(guesses.locked(address("2001:db8:0:1::1"), at(0)).is_none());
    }

    #[test]
    fn the_table_is_bounded() {
        let mut guesses = Guesses::default();
        for number in 0..10_000_u32 {
            guesses.wrong(std::net::Ipv4Addr::from(number).into(), guess(number), at(0));
        }
        assert_eq!(guesses.0.len(), GUESSERS_MAX);
        guesses.wrong(address("10.0.0.1"), guess(0), at(61));
        assert_eq!(guesses.0.len(), 1, "what is over takes no room");
    }
}
