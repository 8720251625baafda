//! What one call answered.

use crate::side::Outcome;

/// The result of a call and what it wrote to its caller's buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The return value, cut to the width of its type; or the trap.
    pub(crate) outcome: Outcome,
    /// What an output parameter holds; none where the caller does not look at it.
    pub(crate) output: Option<u64>,
}

impl Answer {
    /// The answer of a function that returns nothing.
    pub(crate) fn void(outcome: Outcome) -> Self {
        Self {
            outcome: outcome.map(|_| 0),
            output: None,
        }
    }

    /// The answer of a function that returns an `int`.
    pub(crate) fn int(outcome: Outcome) -> Self {
        Self {
            outcome: outcome.map(|value| value & 0xffff_ffff),
            output: None,
        }
    }

    /// The answer of a function that returns a `bool`.
    pub(crate) fn bool(outcome: Outcome) -> Self {
        Self {
            outcome: outcome.map(|value| value & 0xff),
            output: None,
        }
    }
}
