//! What an entry of an interrupt remapping table says, in both makers' formats.

use irq_hw::amd::{Irte32, Irte128};
use irq_hw::ioapic::Pin;
use irq_hw::vtd::{Posted, Remapped, Source};

/// An interrupt as a local APIC takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// Vector.
    pub vector: u8,
    /// Delivery mode, three bits.
    pub delivery_mode: u8,
    /// Whether the destination is a logical one.
    pub logical: bool,
    /// Whether it is level-triggered.
    pub level_triggered: bool,
    /// APIC ID, or logical ID.
    pub destination: u32,
}

/// How the local APICs are addressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apic {
    /// By 8 bits.
    X,
    /// By 32 bits.
    X2,
}

/// How long AMD's entries are, of one table alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 32 bits, with destinations of 8.
    Narrow,
    /// 128 bits, with destinations of 32.
    Wide,
}

impl Format {
    /// Bytes of an entry.
    pub const fn size(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 16,
        }
    }
}

const LOWEST_PRIORITY: u8 = 1;

/// An entry of VT-d's table that is present, and that messages of one source may use and no others.
///
/// There is no other way to make one than with a [`Source`], and the table of VT-d takes nothing
/// else:
///
/// ```compile_fail
/// irq_core::remap::entry::Verified([1, 0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified([u64; 2]);

impl Verified {
    /// The entry as it stands in memory.
    pub const fn raw(self) -> [u64; 2] {
        self.0
    }
}

impl From<Verified> for [u64; 2] {
    fn from(entry: Verified) -> Self {
        entry.0
    }
}

impl Interrupt {
    /// The interrupt that an IO-APIC's entry asks for, which has a destination of 32 bits where the
    /// APICs do.
    #[doc(alias = "get_full_dest")]
    pub const fn of_pin(pin: Pin, apic: Apic) -> Self {
        Self {
            vector: pin.vector(),
            delivery_mode: pin.delivery_mode(),
            logical: pin.logical(),
            level_triggered: pin.level_triggered(),
            destination: match apic {
                Apic::X => pin.destination() as u32,
                Apic::X2 => pin.upper(),
            },
        }
    }

    /// Puts the interrupt into an IO-APIC's entry: the inverse of [`Self::of_pin`]. What else is in
    /// the entry stays.
    pub const fn in_pin(self, pin: Pin, apic: Apic) -> Pin {
        let pin = pin
            .with_vector(self.vector)
            .with_delivery_mode(self.delivery_mode)
            .with_logical(self.logical)
            .with_level_triggered(self.level_triggered);
        match apic {
            Apic::X => pin.with_upper(0).with_destination(self.destination as u8),
            Apic::X2 => pin.with_upper(self.destination),
        }
    }

    /// The destination in an entry with 8 bits for it. `None` where they cannot name it.
    ///
    /// As a physical ID of 8 bits, 255 means all CPUs (SDM, volume 3, section 12.6.2.1), as it does
    /// in xAPIC mode. In x2APIC mode it is the ID of one CPU.
    #[inline(always)]
    const fn short_destination(self, apic: Apic) -> Option<u8> {
        let last = match apic {
            Apic::X2 if !self.logical => u8::MAX as u32 - 1,
            Apic::X | Apic::X2 => u8::MAX as u32,
        };
        if self.destination > last {
            return None;
        }
        Some(self.destination as u8)
    }

    /// The entry of VT-d that delivers the interrupt, for messages of this source, where the local
    /// APICs are addressed as `apic` says. `None` where an entry of the format cannot name the
    /// destination.
    ///
    /// The redirection hint goes with lowest-priority delivery, which hardware demands (VT-d,
    /// section 9.9).
    #[inline(always)]
    pub const fn remapped(self, apic: Apic, format: Apic, source: Source) -> Option<Verified> {
        let entry = Remapped::new([0, 0])
            .with_present(true)
            .with_logical(self.logical)
            .with_redirection_hint(self.delivery_mode == LOWEST_PRIORITY)
            .with_level_triggered(self.level_triggered)
            .with_delivery_mode(self.delivery_mode)
            .with_vector(self.vector)
            .with_source(source);
        let entry = match format {
            Apic::X => match self.short_destination(apic) {
                Some(destination) => entry.with_xapic_destination(destination),
                None => return None,
            },
            Apic::X2 => entry.with_destination(self.destination),
        };
        Some(Verified(entry.raw()))
    }

    /// AMD's entry of 32 bits, where the local APICs are addressed as `apic` says. It does not say
    /// how the interrupt is triggered; the message or the pin does. `None` where the entry cannot
    /// name the destination.
    pub const fn irte32(self, apic: Apic) -> Option<Irte32> {
        let Some(destination) = self.short_destination(apic) else {
            return None;
        };
        Some(
            Irte32::new([0])
                .with_enabled(true)
                .with_delivery_mode(self.delivery_mode)
                .with_logical(self.logical)
                .with_destination(destination)
                .with_vector(self.vector),
        )
    }

    /// AMD's entry of 128 bits.
    pub const fn irte128(self) -> Irte128 {
        Irte128::new([0, 0])
            .with_enabled(true)
            .with_delivery_mode(self.delivery_mode)
            .with_logical(self.logical)
            .with_destination(self.destination)
            .with_vector(self.vector)
    }
}

/// The entry of VT-d that posts an interrupt to the descriptor at a physical address, for messages
/// of this source. `None` where no descriptor can be at that address.
pub const fn posting(virtual_vector: u8, descriptor: u64, source: Source) -> Option<Verified> {
    if !descriptor.is_multiple_of(Posted::DESCRIPTOR_ALIGN) {
        return None;
    }
    let entry = Posted::new([0, 0])
        .with_present(true)
        .with_posted(true)
        .with_virtual_vector(virtual_vector)
        .with_descriptor(descriptor)
        .with_source(source);
    Some(Verified(entry.raw()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SOURCE: Source = Source::requester(0x0520);

    impl Interrupt {
        /// The interrupt that an entry of VT-d delivers. `None` where it delivers none itself: it
        /// is not present, or posts.
        const fn of_remapped(entry: Remapped, format: Apic) -> Option<Self> {
            if !entry.present() || entry.posted() {
                return None;
            }
            Some(Self {
                vector: entry.vector(),
                delivery_mode: entry.delivery_mode(),
                logical: entry.logical(),
                level_triggered: entry.level_triggered(),
                destination: match format {
                    Apic::X => entry.xapic_destination() as u32,
                    Apic::X2 => entry.destination(),
                },
            })
        }

        /// The interrupt that AMD's entry of 32 bits delivers; `None` where the entry is not valid.
        fn of_irte32(entry: Irte32) -> Option<Self> {
            entry.enabled().then(|| Self {
                destination: entry.destination().into(),
                ..Self::of_amd(entry.vector(), entry.delivery_mode(), entry.logical())
            })
        }

        /// The interrupt that AMD's entry of 128 bits delivers, as with [`Self::of_irte32`].
        fn of_irte128(entry: Irte128) -> Option<Self> {
            entry.enabled().then(|| Self {
                destination: entry.destination(),
                ..Self::of_amd(entry.vector(), entry.delivery_mode(), entry.logical())
            })
        }

        /// What both of AMD's formats have. How an interrupt is triggered they do not say: the
        /// result says that it is not level-triggered.
        const fn of_amd(vector: u8, delivery_mode: u8, logical: bool) -> Self {
            Self {
                vector,
                delivery_mode,
                logical,
                level_triggered: false,
                destination: 0,
            }
        }
    }

    prop_compose! {
        fn interrupt(widest: u32)(
            vector: u8,
            delivery_mode in 0u8..8,
            logical: bool,
            level_triggered: bool,
            destination in 0..=widest,
        ) -> Interrupt {
            Interrupt { vector, delivery_mode, logical, level_triggered, destination }
        }
    }

    proptest! {
        #[test]
        fn an_interrupt_is_found_in_its_entry(narrow in interrupt(0xff), wide in interrupt(u32::MAX)) {
            for (interrupt, apic) in [(narrow, Apic::X), (wide, Apic::X2)] {
                let entry = interrupt.remapped(apic, apic, SOURCE).expect("it can be addressed");
                let entry = Remapped::new(entry.raw());
                prop_assert_eq!(Interrupt::of_remapped(entry, apic), Some(interrupt));
                prop_assert_eq!(entry.source_id(), 0x0520);
                prop_assert_eq!(Source::of(entry.raw()), Some(SOURCE));
                prop_assert_eq!(Source::of(entry.with_present(false).raw()), None);
                prop_assert_eq!(Source::of(entry.with_source_validation(0).raw()), None);
                prop_assert_eq!(Source::of(entry.with_source_validation(3).raw()), None);
                prop_assert_eq!(entry.redirection_hint(), interrupt.delivery_mode == 1);
                prop_assert!(!entry.fault_processing_disabled());
            }
        }

        #[test]
        fn an_interrupt_is_found_in_its_pin(narrow in interrupt(0xff), wide in interrupt(u32::MAX), raw: u64) {
            for (interrupt, apic) in [(narrow, Apic::X), (wide, Apic::X2)] {
                let pin = interrupt.in_pin(Pin::new([raw]), apic);
                prop_assert_eq!(Interrupt::of_pin(pin, apic), interrupt);
                let kept = |pin: Pin| (pin.delivery_status(), pin.active_low(), pin.remote_irr(), pin.masked());
                prop_assert_eq!(kept(pin), kept(Pin::new([raw])));
            }
        }

        #[test]
        fn amds_entries_say_the_same(interrupt in interrupt(u32::MAX)) {
            let wide = interrupt.irte128();
            prop_assert!(wide.enabled() && !wide.guest_mode());
            prop_assert_eq!(
                (wide.vector(), wide.delivery_mode(), wide.logical(), wide.destination()),
                (interrupt.vector, interrupt.delivery_mode, interrupt.logical, interrupt.destination)
            );
            let narrow = Interrupt { destination: interrupt.destination & 0xff, ..interrupt };
            let entry = narrow.irte32(Apic::X).expect("8 bits");
            prop_assert!(entry.enabled() && !entry.guest_mode());
            prop_assert_eq!(
                (entry.vector(), entry.delivery_mode(), entry.logical(), u32::from(entry.destination())),
                (narrow.vector, narrow.delivery_mode, narrow.logical, narrow.destination)
            );
        }

        #[test]
        fn an_interrupt_is_found_in_amds_entry(interrupt in interrupt(u32::MAX)) {
            let edge = Interrupt { level_triggered: false, ..interrupt };
            prop_assert_eq!(Interrupt::of_irte128(interrupt.irte128()), Some(edge));

            let edge = Interrupt { destination: interrupt.destination & 0xff, ..edge };
            let entry = edge.irte32(Apic::X).expect("8 bits");
            prop_assert_eq!(Interrupt::of_irte32(entry), Some(edge));
            prop_assert!(entry.raw()[0] <= u32::MAX.into());
        }

        #[test]
        fn a_posting_entry_names_its_descriptor(vector: u8, address: u64) {
            let aligned = address & !63;
            let entry = Posted::new(posting(vector, aligned, SOURCE).expect("an aligned descriptor").raw());
            prop_assert_eq!(Source::of(entry.raw()), Some(SOURCE));
            prop_assert_eq!((entry.virtual_vector(), entry.descriptor()), (vector, aligned));
            prop_assert_eq!(Interrupt::of_remapped(Remapped::new(entry.raw()), Apic::X2), None);
            prop_assert_eq!(posting(vector, address, SOURCE).is_some(), address == aligned);
        }
    }

    #[test]
    fn destination_of_more_than_8_bits_needs_the_long_format() {
        for (destination, fits) in [(0, true), (0xfe, true), (0x100, false), (u32::MAX, false)] {
            let interrupt = to(destination, false);
            for apic in [Apic::X, Apic::X2] {
                let short = interrupt.remapped(apic, Apic::X, SOURCE);
                assert_eq!(short.is_some(), fits);
                assert!(interrupt.remapped(apic, Apic::X2, SOURCE).is_some());
                assert_eq!(interrupt.irte32(apic).is_some(), fits);
            }
        }
    }

    /// In x2APIC mode 255 is one CPU's ID, or a set of CPUs; in 8 bits the ID means all CPUs, as
    /// it does in xAPIC mode.
    #[test]
    fn id_255_needs_the_long_format_in_x2apic_mode() {
        for (apic, logical, fits) in [
            (Apic::X2, false, false),
            (Apic::X2, true, true),
            (Apic::X, false, true),
            (Apic::X, true, true),
        ] {
            let interrupt = to(0xff, logical);
            let short = interrupt.remapped(apic, Apic::X, SOURCE);
            assert_eq!(short.is_some(), fits, "{apic:?} {logical}");
            assert_eq!(interrupt.irte32(apic).is_some(), fits, "{apic:?} {logical}");
            assert!(interrupt.remapped(apic, Apic::X2, SOURCE).is_some());
        }
    }

    fn to(destination: u32, logical: bool) -> Interrupt {
        Interrupt {
            vector: 0x31,
            delivery_mode: 0,
            logical,
            level_triggered: false,
            destination,
        }
    }

    #[test]
    fn what_is_not_present_delivers_nothing() {
        assert_eq!(Interrupt::of_remapped(Remapped::new([0, 0]), Apic::X), None);
        assert_eq!(Interrupt::of_irte32(Irte32::new([!1])), None);
        assert_eq!(Interrupt::of_irte128(Irte128::new([!1, u64::MAX])), None);
    }
}
