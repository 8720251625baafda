//! What Xen must not do: each flaw leaves one thing out, or does it too late.

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    None,
    /// A write to the table is not read back.
    NoReadBack,
    /// It is read back, and what is read is taken for what was written.
    ReadBackIgnored,
    /// An entry is written without a look at it before.
    NotReadBefore,
    /// A function that turned out not to be ready is still taken for ready.
    StillBelieved,
    /// That the host wants all masked is not noted.
    MaskAllForgotten,
    /// That the host does not want it any more is not noted.
    MaskAllStays,
    /// The owner's writes of message control do not keep what the host wants.
    MaskAllOverwritten,
    /// All are not masked while a disabled function is enabled for the time of a write.
    EnabledOpen,
    /// All are not masked where the entry cannot be reached.
    ControlOpen,
    /// Memory is taken to be decoded.
    DecodeUnchecked,
    /// The guest's mask is left out.
    GuestForgotten,
    /// What was known stays so for ever.
    KnownKept,
    /// What was known before the machine slept is known afterwards.
    SleepForgotten,
    /// The generation is asked for after configuration space has been read.
    AskedLate,
    /// The owner's writes are not announced.
    NotAnnounced,
    /// They are announced when they have been carried out.
    AnnouncedLate,
    /// They count as carried out before they have been.
    EndedEarly,
    /// The function's own bits of vector control are taken for zero.
    OwnBitsCleared,
    /// Nothing is known ever.
    KnownForgotten,
}
