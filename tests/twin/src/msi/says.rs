//! What an answer says of a step beside its result: bits of the output.

/// Says in an answer that a set-up failed before anything was set up.
pub(super) const FAILED: u64 = 1 << 32;

/// Says that something was left.
pub(super) const LEFT: u64 = 1 << 33;

/// Says that it is not known what was left: MSI and MSI-X of the function took turns.
pub(super) const UNKNOWN: u64 = 1 << 34;

/// Where an answer has a digest of what was left: two sides that are built from C leave the same.
pub(super) const DIGEST: u64 = !0 << 48;

/// Says in an answer that a page that the table shares with other registers is not the one that is
/// mapped for it.
pub(super) const MISMAPPED: u64 = 1 << 35;

/// Says that memory was read of a function that does not decode it, of which Xen knows.
pub(super) const BLIND: u64 = 1 << 36;

/// Says in an answer that an interrupt that another CPU has masked may come.
pub(super) const UNDONE: u64 = 1 << 37;

/// Says in an answer that another CPU has acted while something was done.
pub(super) const ACTED: u64 = 1 << 38;

/// Says that Xen notes from this step on that the host masks all messages of a function, which
/// were masked already.
pub(super) const KEPT: u64 = 1 << 39;

/// Says in an answer that a mask register of MSI is not what Xen's own state asks for, where it had
/// been lost.
pub(super) const WRONG: u64 = 1 << 40;

/// Says that such a register was written, and put right if it was wrong.
pub(super) const SETTLED: u64 = 1 << 41;

/// Says that an entry that is not set up is not masked, where Xen has enabled MSI-X.
pub(super) const UNMASKED: u64 = 1 << 42;

/// Says that some guest's masks were not what dom0 had written; [`DIGEST`] says which.
pub(super) const GUEST_WRONG: u64 = 1 << 43;

/// Says that a function that was restored did not mask all messages though the guest wants that,
/// and was put right.
pub(super) const LIFTED: u64 = 1 << 44;

/// Says that an entry was set up that lies in two pages.
pub(super) const CROSSED: u64 = 1 << 45;

/// Says that Xen has noted whether an interrupt is masked, and the device did not take it.
pub(super) const IN_VAIN: u64 = 1 << 46;

/// Says that an entry did not take what was written to its mask bit: its function had ceased to
/// decode memory.
pub(super) const STOPPED: u64 = 1 << 47;
