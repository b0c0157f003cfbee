//! Whether a request that the version on trial has failed is answered by the stable one instead. Pure:
//! [`super::course`] says what it knows and does what it is told.
//!
//! The version on trial is charged with the failure all the same: what is spared is the user, not the
//! version. But a limit that is set here says nothing about a version: what finds no place goes to stable and
//! is held against nobody. It goes one way only: what stable fails to answer is never given to a version on
//! trial.

use crate::message::MethodKind;
use crate::routing::{Covers, Shield};
use crate::telemetry::Trouble;

use super::failure::Failure;
use super::retry::{Loss, Tried, is_idempotent, is_safe};

/// What the shield does about a failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cover {
    /// Nothing.
    No,
    /// The stable version answers. Nothing was sent, and there was nobody to send it to, so this is but the
    /// share of the traffic that stable had before.
    Free,
    /// The same, if the budget allows it: the request was work for both.
    Budgeted,
}

/// What is done about this `loss`.
pub fn cover(shield: &Shield, tried: &Tried, loss: Loss) -> Cover {
    let nobody = matches!(
        loss,
        Loss::Failed(
            Failure::Connect
                | Failure::ConnectTimeout
                | Failure::Tls
                | Failure::NoneReady
                | Failure::Limited
                | Failure::NoPort
        )
    );
    // Wherever it went, it came to nobody.
    let unbegun = loss == Loss::Failed(Failure::Unbegun);
    if !tried.waits || !tried.whole || loss.trouble().is_none() || shield.covers == Covers::Nothing {
        Cover::No
    } else if (nobody && tried.unsent) || unbegun {
        Cover::Free
    } else if covers(shield, tried.kind) && is_failure(loss) {
        Cover::Budgeted
    } else {
        Cover::No
    }
}

/// Whether requests of this method are asked again at the stable version.
pub fn covers(shield: &Shield, kind: MethodKind) -> bool {
    match shield.covers {
        Covers::Nothing => false,
        Covers::Safe => is_safe(kind),
        Covers::Idempotent => is_idempotent(kind),
    }
}

fn is_failure(loss: Loss) -> bool {
    match loss {
        Loss::Answered(status) | Loss::Failed(Failure::Injected(status)) => (500..600).contains(&status),
        Loss::Failed(_) => loss.trouble() != Some(Trouble::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Tried =
        Tried { kind: MethodKind::Get, unsent: false, whole: true, waits: true, elsewhere: false, again: 0 };
    const REFUSED: Loss = Loss::Failed(Failure::Connect);

    #[test]
    fn users_are_spared_what_can_be_asked_twice() {
        let kind = |kind| Tried { kind, ..GET };
        for (tried, loss, safe, idempotent) in [
            (GET, Loss::Answered(500), Cover::Budgeted, Cover::Budgeted),
            (kind(MethodKind::Head), Loss::Answered(599), Cover::Budgeted, Cover::Budgeted),
            (kind(MethodKind::Options), Loss::Failed(Failure::Reset), Cover::Budgeted, Cover::Budgeted),
            (GET, Loss::Failed(Failure::Timeout), Cover::Budgeted, Cover::Budgeted),
            (GET, Loss::Failed(Failure::Protocol), Cover::Budgeted, Cover::Budgeted),
            (kind(MethodKind::Put), Loss::Answered(503), Cover::No, Cover::Budgeted),
            (kind(MethodKind::Delete), Loss::Answered(503), Cover::No, Cover::Budgeted),
            (kind(MethodKind::Post), Loss::Answered(503), Cover::No, Cover::No),
            (kind(MethodKind::Post), Loss::Failed(Failure::Reset), Cover::No, Cover::No),
            (GET, Loss::Answered(404), Cover::No, Cover::No),
            (GET, Loss::Failed(Failure::ClientGone), Cover::No, Cover::No),
            (GET, Loss::Failed(Failure::Race), Cover::No, Cover::No),
            (Tried { whole: false, ..GET }, Loss::Answered(500), Cover::No, Cover::No),
            (Tried { waits: false, ..GET }, Loss::Answered(500), Cover::No, Cover::No),
        ] {
            assert_eq!(with(Covers::Safe, tried, loss), safe, "{tried:?} {loss:?}");
            assert_eq!(with(Covers::Idempotent, tried, loss), idempotent, "{tried:?} {loss:?}");
            assert_eq!(with(Covers::Nothing, tried, loss), Cover::No, "{tried:?} {loss:?}");
        }
    }

    #[test]
    fn whoever_was_sent_to_nobody_goes_to_stable() {
        let post = Tried { kind: MethodKind::Post, unsent: true, ..GET };
        for failure in
            [Failure::Connect, Failure::ConnectTimeout, Failure::Tls, Failure::Limited, Failure::NoPort]
        {
            let loss = Loss::Failed(failure);
            assert_eq!(with(Covers::Safe, post, loss), Cover::Free);
            assert_eq!(with(Covers::Nothing, post, loss), Cover::No);
        }
        assert_eq!(with(Covers::Safe, Tried { unsent: false, ..post }, REFUSED), Cover::No);
        let unbegun = Loss::Failed(Failure::Unbegun);
        assert_eq!(with(Covers::Safe, Tried { unsent: false, ..post }, unbegun), Cover::Free);
        assert_eq!(with(Covers::Safe, Tried { whole: false, ..post }, unbegun), Cover::No);
    }

    fn with(covers: Covers, tried: Tried, loss: Loss) -> Cover {
        cover(&Shield { covers, ..Shield::default() }, &tried, loss)
    }
}
