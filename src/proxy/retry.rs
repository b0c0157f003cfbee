//! What may be done about a try that came to nothing. Pure: [`super::course`] says what it knows and does
//! what it is told.
//!
//! A request may go out again if nothing of it was sent, or if its method is idempotent (RFC 9110 section
//! 9.2.2) and the whole of it is still at hand; and only as long as its client has seen nothing of an
//! answer. How much of that there may be is a matter of the [budget](super::budget).

use crate::message::MethodKind;
use crate::routing::{Retry, RetryReason};
use crate::telemetry::Trouble;

use super::failure::Failure;

/// How a try came to nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Loss {
    /// There is no answer.
    Failed(Failure),
    /// There is one, of this status.
    Answered(u16),
}

impl Loss {
    /// What it is counted as when another version makes it good; `None` if that is not for this one.
    pub fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Answered(_) | Self::Failed(Failure::Injected(_)) => Some(Trouble::Status),
            Self::Failed(Failure::Connect | Failure::ConnectTimeout | Failure::Tls | Failure::NoneReady) => {
                Some(Trouble::Connect)
            }
            Self::Failed(Failure::Limited | Failure::NoPort) => Some(Trouble::Limit),
            Self::Failed(Failure::Reset | Failure::Unbegun) => Some(Trouble::Reset),
            Self::Failed(Failure::Timeout) => Some(Trouble::Timeout),
            Self::Failed(Failure::Protocol) => Some(Trouble::Protocol),
            Self::Failed(
                // Whether the version has acted upon it is not known, or somebody else is to blame.
                Failure::Race
                | Failure::NoDescriptor
                | Failure::NoUpgrade
                | Failure::Late
                | Failure::Idle
                | Failure::BadBody
                | Failure::BodyTooLarge
                | Failure::BodyTimeout
                | Failure::BodyRate
                | Failure::WriteTimeout
                | Failure::ClientGone
                | Failure::Retired
                | Failure::Ending,
            ) => None,
        }
    }

    fn reason(self) -> Option<RetryReason> {
        match self {
            Self::Answered(status) | Self::Failed(Failure::Injected(status)) => {
                RetryReason::of_status(status)
            }
            // What was tried and refused went to every endpoint already.
            Self::Failed(Failure::Reset) => Some(RetryReason::Reset),
            Self::Failed(Failure::Timeout) => Some(RetryReason::Timeout),
            Self::Failed(_) => None,
        }
    }
}

/// What is known of a request when a try has come to nothing.
#[derive(Clone, Copy, Debug)]
pub struct Tried {
    /// Its method.
    pub kind: MethodKind,
    /// Whether nothing of it was sent.
    pub unsent: bool,
    /// Whether all of it is still at hand.
    pub whole: bool,
    /// Whether its client has seen nothing of an answer, and has time for another try.
    pub waits: bool,
    /// Whether the version has an endpoint that it was not sent to.
    pub elsewhere: bool,
    /// Further tries so far.
    pub again: u32,
}

/// Whether it is tried once more within its version, budget permitting.
pub fn may_retry(retry: &Retry, tried: &Tried, loss: Loss) -> bool {
    let wanted = loss.reason().is_some_and(|it| retry.on.has(it));
    // An endpoint that said no would say it again.
    let somewhere = tried.elsewhere || !matches!(loss, Loss::Answered(_));
    let safe = tried.unsent || is_idempotent(tried.kind);
    wanted && somewhere && safe && tried.whole && tried.waits && tried.again < retry.attempts
}

/// Whether it makes no difference how often it is asked.
pub fn is_idempotent(kind: MethodKind) -> bool {
    is_safe(kind) || matches!(kind, MethodKind::Put | MethodKind::Delete)
}

/// Whether asking changes nothing.
pub fn is_safe(kind: MethodKind) -> bool {
    matches!(kind, MethodKind::Get | MethodKind::Head | MethodKind::Options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::RetryOn;

    const GET: Tried =
        Tried { kind: MethodKind::Get, unsent: false, whole: true, waits: true, elsewhere: true, again: 0 };
    const RESET: Loss = Loss::Failed(Failure::Reset);

    #[test]
    fn only_what_is_safe_is_tried_again() {
        let post = Tried { kind: MethodKind::Post, ..GET };
        for (tried, loss, expected) in [
            (GET, RESET, true),
            (Tried { kind: MethodKind::Delete, ..GET }, RESET, true),
            (post, RESET, false),
            (Tried { unsent: true, ..post }, RESET, true),
            (Tried { whole: false, ..GET }, RESET, false),
            (Tried { waits: false, ..GET }, RESET, false),
            (Tried { again: 1, ..GET }, RESET, false),
            (GET, Loss::Answered(503), true),
            (GET, Loss::Answered(500), false),
            (post, Loss::Answered(503), false),
            (Tried { elsewhere: false, ..GET }, Loss::Answered(503), false),
            (Tried { elsewhere: false, ..GET }, RESET, true),
            (GET, Loss::Failed(Failure::Timeout), false),
            (GET, Loss::Failed(Failure::Race), false),
            (GET, Loss::Failed(Failure::ClientGone), false),
            (GET, Loss::Failed(Failure::Protocol), false),
        ] {
            assert_eq!(may_retry(&Retry::default(), &tried, loss), expected, "{tried:?} {loss:?}");
        }
    }

    #[test]
    fn only_what_was_asked_for_is_tried_again() {
        let timeout = Loss::Failed(Failure::Timeout);
        let on = RetryOn::of(&[RetryReason::Timeout]);
        let retry = Retry { on, ..Retry::default() };
        assert!(may_retry(&retry, &GET, timeout) && !may_retry(&retry, &GET, RESET));
        assert!(!may_retry(&Retry { attempts: 0, ..retry }, &GET, timeout));
        let thrice = Retry { attempts: 3, ..retry };
        assert!(may_retry(&thrice, &Tried { again: 2, ..GET }, timeout));
    }
}
