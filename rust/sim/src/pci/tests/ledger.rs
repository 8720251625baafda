//! What each message may do, told from what was asked for and what was answered to it alone:
//! neither from the function's registers nor from what Xen keeps.

use irq_core::msi::mask::{Masks, Outcome};

/// How something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// A message came that was masked.
    Escaped,
    /// A message came while the owner had MSI-X disabled.
    Disabled,
    /// A message does not come although nobody masks it any more.
    Lost,
    /// Another function was written to.
    Trampled,
    /// The function was accessed more often than need be.
    Costly,
    /// Bits of vector control were overwritten that are the function's own.
    Overwritten,
    /// What Xen keeps is not what was asked.
    WrongState,
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Whether it is masked; `None` where either may be.
    masked: Option<bool>,
    /// An interrupt was raised, and its message has not come.
    owed: bool,
}

/// What was asked for, and what came of it.
#[derive(Debug)]
pub(super) struct Ledger {
    lines: Vec<Line>,
    /// Who wants all masked.
    all: Masks,
    /// The owner has MSI-X enabled.
    enabled: bool,
    /// The function has disabled MSI-X by itself since the owner last wrote that.
    disabled_itself: bool,
    /// The function has not lost what it was told.
    in_sync: bool,
    /// The violations, in order.
    pub(super) violations: Vec<Violation>,
    /// Messages that came.
    pub(super) delivered: usize,
    /// Interrupts that were raised while masked.
    pub(super) held_back: usize,
}

impl Ledger {
    /// Begins with a function that has been reset.
    pub(super) fn new(entries: usize) -> Self {
        let mut ledger = Self {
            lines: Vec::new(),
            all: NOBODY,
            enabled: false,
            disabled_itself: false,
            in_sync: false,
            violations: Vec::new(),
            delivered: 0,
            held_back: 0,
        };
        ledger.reassign(entries);
        ledger
    }

    /// The function has been reset for another owner.
    pub(super) fn reassign(&mut self, entries: usize) {
        self.lost_all();
        self.all = NOBODY;
        self.lines = vec![
            Line {
                masked: Some(true),
                owed: false,
            };
            entries
        ];
    }

    /// The function has lost what it was told.
    pub(super) fn lost_all(&mut self) {
        self.enabled = false;
        self.in_sync = false;
        for line in &mut self.lines {
            line.owed = false;
        }
    }

    /// The function has disabled MSI-X by itself: what is pending waits until the owner enables it.
    pub(super) fn disabled_itself(&mut self) {
        self.disabled_itself = true;
    }

    /// It has been told everything anew.
    pub(super) fn restored(&mut self) {
        self.in_sync = true;
    }

    /// The owner has written message control.
    pub(super) fn control(&mut self, enabled: bool, mask_all: bool) {
        self.enabled = enabled;
        self.disabled_itself = false;
        self.all.guest = mask_all;
        for line in &mut self.lines {
            line.owed &= enabled;
        }
    }

    /// An interrupt has been raised; it will come, now or later.
    pub(super) fn raised(&mut self, index: usize) {
        self.lines[index].owed = true;
        let masked = self.lines[index].masked == Some(true) || self.all.any();
        self.held_back += usize::from(masked);
    }

    /// A message has come.
    pub(super) fn came(&mut self, index: usize) {
        self.delivered += 1;
        self.lines[index].owed = false;
        if self.lines[index].masked == Some(true) || self.all.any() {
            self.violations.push(Violation::Escaped);
        }
        if !self.enabled {
            self.violations.push(Violation::Disabled);
        }
    }

    /// An entry is about to be masked or unmasked. Returns what it was.
    pub(super) fn begin(&mut self, index: usize) -> Option<bool> {
        self.lines[index].masked.take()
    }

    /// It has been. `torn` says that the function was changed meanwhile.
    pub(super) fn end(
        &mut self,
        index: usize,
        before: Option<bool>,
        asked: Masks,
        outcome: Outcome,
        torn: bool,
    ) {
        let masked = match outcome {
            _ if torn => None,
            Outcome::Done => Some(asked.any()),
            Outcome::Unreachable => before,
            // Where the owner alone masks all, it may cease to at any time; see `limits`.
            Outcome::AllMasked { newly } => (newly || self.all.host).then_some(true),
        };
        self.lines[index].masked = masked;
        self.all.host |= outcome == Outcome::AllMasked { newly: true };
    }

    /// Nothing is on its way: what is not masked has come.
    pub(super) fn quiet(&mut self) {
        let open = self.enabled && !self.disabled_itself && self.in_sync && !self.all.any();
        let lost = |line: &&mut Line| open && line.owed && line.masked == Some(false);
        for line in self.lines.iter_mut().filter(lost) {
            line.owed = false;
            self.violations.push(Violation::Lost);
        }
    }
}

/// Nobody wants it masked.
pub(super) const NOBODY: Masks = Masks {
    host: false,
    guest: false,
};
