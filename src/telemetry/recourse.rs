//! What was done about answers that did not come, for each version.

use super::cell::Count;

macro_rules! troubles {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why a request was tried again, or answered by another version.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Trouble {
            $($(#[$doc])* $name,)*
        }

        impl Trouble {
            /// Every reason, in the order of declaration.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$name),*];

            /// The word used as label.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

troubles! {
    /// A kept connection turned out to be closed.
    Closed = "closed",
    /// No connection could be made.
    Connect = "connect",
    /// The connection ended before the answer.
    Reset = "reset",
    /// There was no answer in time.
    Timeout = "timeout",
    /// The answer broke the rules of HTTP.
    Protocol = "protocol",
    /// The answer's status said that the version had failed.
    Status = "status",
    /// There was no place under a limit that is set here.
    Limit = "limit",
}

/// What came of a copy of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mirrored {
    /// It was answered.
    Answered,
    /// It was answered with a status of 500 or above.
    Failed,
    /// There was no answer, or not in time.
    NoAnswer,
    /// It was not sent, because too many were under way.
    Dropped,
    /// It was not sent, because its body was too large.
    TooLarge,
}

impl Mirrored {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 5] = [Self::Answered, Self::Failed, Self::NoAnswer, Self::Dropped, Self::TooLarge];

    /// The word used as label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::NoAnswer => "no_answer",
            Self::Dropped => "dropped",
            Self::TooLarge => "too_large",
        }
    }
}

/// One worker's counts of one version.
#[derive(Debug, Default)]
pub struct RecourseCells {
    retries: [Count; Trouble::ALL.len()],
    retries_denied: Count,
    shielded: [Count; Trouble::ALL.len()],
    shields_denied: Count,
    mirrored: [Count; Mirrored::ALL.len()],
}

impl RecourseCells {
    /// A request that the version failed is answered by the stable one.
    pub fn shielded(&self, why: Trouble) {
        self.shielded[why as usize].add(1);
    }

    /// It would have been, but for the budget.
    pub fn shield_denied(&self) {
        self.shields_denied.add(1);
    }

    /// A request is tried again within the version.
    pub fn retry(&self, why: Trouble) {
        self.retries[why as usize].add(1);
    }

    /// It would have been, but for the budget.
    pub fn retry_denied(&self) {
        self.retries_denied.add(1);
    }

    /// A copy of a request that another version was given.
    pub fn mirrored(&self, outcome: Mirrored) {
        self.mirrored[outcome as usize].add(1);
    }

    pub(super) fn add_to(&self, sum: &mut RecourseCounts) {
        sum.retries.iter_mut().zip(&self.retries).for_each(|(into, from)| *into += from.get());
        sum.retries_denied += self.retries_denied.get();
        sum.shielded.iter_mut().zip(&self.shielded).for_each(|(into, from)| *into += from.get());
        sum.shields_denied += self.shields_denied.get();
        sum.mirrored.iter_mut().zip(&self.mirrored).for_each(|(into, from)| *into += from.get());
    }
}

/// The counts of one version, added up over the workers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecourseCounts {
    /// Further tries in the order of [`Trouble::ALL`].
    pub retries: [u64; Trouble::ALL.len()],
    /// Further tries that the budget did not allow.
    pub retries_denied: u64,
    /// Requests that the stable version answered for it, in the order of [`Trouble::ALL`].
    pub shielded: [u64; Trouble::ALL.len()],
    /// Requests that it would have answered but for the budget.
    pub shields_denied: u64,
    /// Copies of requests in the order of [`Mirrored::ALL`].
    pub mirrored: [u64; Mirrored::ALL.len()],
}
