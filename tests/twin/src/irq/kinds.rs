//! The kinds of controllers.

/// How an IRQ's controller is told what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message that can be masked, or whose controller cannot move it.
    Message,
    Fixed,
    Pic,
    /// A message that cannot be masked: its EOI ends it.
    Unmaskable,
    Edge,
    /// A pin that is masked until it is ended, or whose EOI ends it.
    Masked,
    Level,
}

impl Kind {
    /// Whether it is told that a handler has returned.
    pub(super) fn has_end(self) -> bool {
        matches!(
            self,
            Self::Pic | Self::Unmaskable | Self::Masked | Self::Level
        )
    }

    /// Whether a guest has to answer on the CPU that the interrupt arrived on.
    pub(super) fn needs_eoi(self) -> bool {
        matches!(self, Self::Unmaskable | Self::Level)
    }
}

/// All of them, by the numbers of the handlers.
pub(super) const KINDS: [(Kind, &std::ffi::CStr); 7] = [
    (Kind::Message, c"PCI-MSI/-maskable"),
    (Kind::Fixed, c"PCI-MSI"),
    (Kind::Pic, c"XT-PIC"),
    (Kind::Unmaskable, c"PCI-MSI"),
    (Kind::Edge, c"IO-APIC-edge"),
    (Kind::Masked, c"IO-APIC-level"),
    (Kind::Level, c"IO-APIC-level"),
];
