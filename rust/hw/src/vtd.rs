//! Interrupt remapping of VT-d (Intel Virtualization Technology for Directed I/O, revision 4.1,
//! sections 5.1 and 9.9 to 9.10).

use crate::bits::bits;

bits! {
    /// An interrupt remapping table entry in remapped format (section 9.9).
    pub struct Remapped([u64; 2]) {
        /// P: present.
        0:0 present/with_present: bool,
        /// FPD: faults are not recorded.
        1:1 fault_processing_disabled/with_fault_processing_disabled: bool,
        /// DM: destination mode, set for logical.
        2:2 logical/with_logical: bool,
        /// RH: redirection hint.
        3:3 redirection_hint/with_redirection_hint: bool,
        /// TM: trigger mode, set for level.
        4:4 level_triggered/with_level_triggered: bool,
        /// DLM: delivery mode.
        7:5 delivery_mode/with_delivery_mode: u8,
        /// AVAIL: free for software.
        11:8 available/with_available: u8,
        /// IM: entry mode; clear in this format.
        15:15 posted/with_posted: bool,
        /// V: vector.
        23:16 vector/with_vector: u8,
        /// DST: destination; without extended interrupt mode bits 47:40 alone, see
        /// [`Remapped::xapic_destination`].
        63:32 destination/with_destination: u32,
        /// SID: source identifier.
        79:64 source_id/with_source_id: u16,
        /// SQ: which bits of the source identifier are compared.
        81:80 source_qualifier/with_source_qualifier: u8,
        /// SVT: what is verified of the source.
        83:82 source_validation/with_source_validation: u8,
    }
}

bits! {
    /// An interrupt remapping table entry in posted format (section 9.10).
    pub struct Posted([u64; 2]) {
        /// P: present.
        0:0 present/with_present: bool,
        /// FPD: faults are not recorded.
        1:1 fault_processing_disabled/with_fault_processing_disabled: bool,
        /// AVAIL: free for software.
        11:8 available/with_available: u8,
        /// URG: urgent; the notification is sent even while it is suppressed.
        14:14 urgent/with_urgent: bool,
        /// IM: entry mode; set in this format.
        15:15 posted/with_posted: bool,
        /// VV: virtual vector.
        23:16 virtual_vector/with_virtual_vector: u8,
        /// PDAL: bits 31:6 of the posted-interrupt descriptor's address.
        63:38 descriptor_low/with_descriptor_low: u32,
        /// SID: source identifier.
        79:64 source_id/with_source_id: u16,
        /// SQ: which bits of the source identifier are compared.
        81:80 source_qualifier/with_source_qualifier: u8,
        /// SVT: what is verified of the source.
        83:82 source_validation/with_source_validation: u8,
        /// PDAH: bits 63:32 of the posted-interrupt descriptor's address.
        127:96 descriptor_high/with_descriptor_high: u32,
    }
}

impl Remapped {
    /// Puts an 8-bit APIC ID where it belongs without extended interrupt mode.
    #[must_use]
    pub const fn with_xapic_destination(self, id: u8) -> Self {
        self.with_destination((id as u32) << 8)
    }

    /// The 8-bit APIC ID without extended interrupt mode.
    pub const fn xapic_destination(self) -> u8 {
        (self.destination() >> 8) as u8
    }

    /// Returns the entry with another source.
    #[must_use]
    pub const fn with_source(self, source: Source) -> Self {
        let [low, high] = self.raw();
        Self::new([low, source.into_half(high)])
    }
}

impl Posted {
    /// Bytes to which the posted-interrupt descriptor is aligned (section 9.11).
    pub const DESCRIPTOR_ALIGN: u64 = 64;

    /// Physical address of the posted-interrupt descriptor.
    pub const fn descriptor(self) -> u64 {
        (self.descriptor_high() as u64) << 32 | (self.descriptor_low() as u64) << 6
    }

    /// Returns the entry with another descriptor, which loses the bits below
    /// [`Self::DESCRIPTOR_ALIGN`].
    #[must_use]
    pub const fn with_descriptor(self, address: u64) -> Self {
        self.with_descriptor_low((address >> 6) as u32 & 0x3ff_ffff)
            .with_descriptor_high((address >> 32) as u32)
    }

    /// Returns the entry with another source.
    #[must_use]
    pub const fn with_source(self, source: Source) -> Self {
        let [low, high] = self.raw();
        Self::new([low, source.into_half(high)])
    }
}

/// Who may use an entry (section 9.9, SVT, SQ and SID).
///
/// Validation type 0, which lets every device use it, has no value of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(
    /// Bits 83:64 of an entry.
    u32,
);

/// How many bits of the function number are not compared, from bit 2 downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Bit 2.
    One,
    /// Bits 2:1.
    Two,
    /// Bits 2:0.
    Three,
}

impl Source {
    const REQUESTER: u32 = 1;
    const BUSES: u32 = 2;
    const MASK: u64 = 0xf_ffff;

    const fn new(id: u16, qualifier: u32, validation: u32) -> Self {
        Self(id as u32 | qualifier << 16 | validation << 18)
    }

    /// The requester with this ID: bus in bits 15:8, device in bits 7:3, function in bits 2:0.
    pub const fn requester(id: u16) -> Self {
        Self::new(id, 0, Self::REQUESTER)
    }

    /// A requester and those phantom functions of its device that differ from it in the ignored
    /// bits alone.
    pub const fn with_phantoms(id: u16, ignored: Ignored) -> Self {
        let qualifier = match ignored {
            Ignored::One => 1,
            Ignored::Two => 2,
            Ignored::Three => 3,
        };
        Self::new(id, qualifier, Self::REQUESTER)
    }

    /// Every requester on the buses from `first` to `last`: what lies behind a bridge from PCI
    /// Express to PCI. `None` where `last` comes before `first`, which no request would match.
    pub const fn buses(first: u8, last: u8) -> Option<Self> {
        if first > last {
            return None;
        }
        Some(Self::new((first as u16) << 8 | last as u16, 0, Self::BUSES))
    }

    /// That of an entry, in either format. `None` where the entry is not present, or any device may
    /// use it.
    pub const fn of([low, high]: [u64; 2]) -> Option<Self> {
        let source = Self((high & Self::MASK) as u32);
        match (low & 1, source.0 >> 18) {
            (1, Self::REQUESTER | Self::BUSES) => Some(source),
            _ => None,
        }
    }

    /// Puts it into the second half of an entry.
    #[doc(alias = "set_ire_sid")]
    const fn into_half(self, half: u64) -> u64 {
        half & !Self::MASK | self.0 as u64
    }

    /// Returns whether a request with this ID passes.
    pub const fn allows(self, request: u16) -> bool {
        let id = self.0 as u16;
        if self.0 >> 18 == Self::BUSES {
            let bus = request >> 8;
            return id >> 8 <= bus && bus <= id & 0xff;
        }
        let ignored = match self.0 >> 16 & 3 {
            0 => 0,
            1 => 0b100,
            2 => 0b110,
            _ => 0b111,
        };
        (id ^ request) & !ignored == 0
    }
}

bits! {
    /// The global command and the global status register (sections 11.4.4.1 and 11.4.4.2); a
    /// command's bit is the status's.
    pub struct Global([u64; 1]) {
        /// CFI, CFIS: messages in compatibility format pass.
        23:23 compatibility_format/with_compatibility_format: bool,
        /// SIRTP, IRTPS: the address of the remapping table is taken over.
        24:24 table_pointer/with_table_pointer: bool,
        /// IRE, IRES: interrupts are remapped.
        25:25 interrupt_remapping/with_interrupt_remapping: bool,
        /// QIE, QIES: invalidation goes through the queue.
        26:26 queued_invalidation/with_queued_invalidation: bool,
    }
}

impl Global {
    /// TES, AFLS, QIES, IRES, CFIS: what stays as the last command set it. The other bits of the
    /// status say that something was done once (RTPS, FLS, WBFS, IRTPS), or are reserved.
    const PERSISTENT: u64 = 1 << 31 | 1 << 28 | 1 << 26 | 1 << 25 | 1 << 23;

    /// The command that changes nothing of this status: software sets or clears one bit more and
    /// writes that (section 11.4.4.1). A status that is written as it is would have the IOMMU take
    /// over the root table's address, say, again.
    pub const fn unchanged(self) -> Self {
        let [status] = self.raw();
        Self::new([status & Self::PERSISTENT])
    }
}

bits! {
    /// The extended capability register (section 11.4.3).
    pub struct ExtendedCapability([u64; 1]) {
        /// QI: invalidation may go through a queue.
        1:1 queued_invalidation/with_queued_invalidation: bool,
        /// IR: interrupts can be remapped.
        3:3 interrupt_remapping/with_interrupt_remapping: bool,
        /// EIM: destinations may have 32 bits.
        4:4 extended_mode/with_extended_mode: bool,
        /// MHMV: the logarithm of the largest block of entries that one command invalidates.
        23:20 largest_handle_mask/with_largest_handle_mask: u8,
    }
}

bits! {
    /// The interrupt remapping table address register (section 11.4.44).
    pub struct TableAddress([u64; 1]) {
        /// S: the table has two to the power of this, plus one, entries.
        3:0 size/with_size: u8,
        /// EIME: destinations have 32 bits.
        11:11 extended_mode/with_extended_mode: bool,
        /// IRTA: the table's page frame number.
        63:12 frame/with_frame: u64,
    }
}

bits! {
    /// The address of an MSI in remappable format (section 5.1.2.2).
    pub struct RemappableAddress([u64; 1]) {
        /// Bit 15 of the handle.
        2:2 handle_high/with_handle_high: bool,
        /// SHV: data holds a subhandle that is added to the handle.
        3:3 subhandle_valid/with_subhandle_valid: bool,
        /// Interrupt format; set in this one.
        4:4 remappable/with_remappable: bool,
        /// Bits 14:0 of the handle.
        19:5 handle_low/with_handle_low: u16,
        /// 0xfee.
        31:20 prefix/with_prefix: u16,
    }
}

impl RemappableAddress {
    /// The address that names an entry of the table. With `block`, the message's data is the number
    /// of an entry in a block that begins there.
    pub const fn of(handle: u16, block: bool) -> Self {
        Self::new([0])
            .with_prefix(0xfee)
            .with_remappable(true)
            .with_subhandle_valid(block)
            .with_handle_low(handle & 0x7fff)
            .with_handle_high(handle >> 15 != 0)
    }

    /// The entry of the table, or the first of a block.
    pub const fn handle(self) -> u16 {
        (self.handle_high() as u16) << 15 | self.handle_low()
    }
}

bits! {
    /// A redirection entry of an IO-APIC in remappable format (section 5.1.5.1).
    pub struct RemappablePin([u64; 1]) {
        /// The vector of the entry, which the IO-APIC compares with an EOI's.
        7:0 vector/with_vector: u8,
        /// Bit 15 of the index.
        11:11 index_high/with_index_high: bool,
        /// Delivery status.
        12:12 delivery_status/with_delivery_status: bool,
        /// Polarity, set for active low.
        13:13 active_low/with_active_low: bool,
        /// Remote IRR.
        14:14 remote_irr/with_remote_irr: bool,
        /// Trigger mode, set for level.
        15:15 level_triggered/with_level_triggered: bool,
        /// Mask.
        16:16 masked/with_masked: bool,
        /// Interrupt format; set in this one.
        48:48 remappable/with_remappable: bool,
        /// Bits 14:0 of the index.
        63:49 index_low/with_index_low: u16,
    }
}

impl RemappablePin {
    /// The entry of the table.
    pub const fn index(self) -> u16 {
        (self.index_high() as u16) << 15 | self.index_low()
    }

    /// Returns the pin with another entry of the table, in remappable format.
    #[must_use]
    pub const fn with_index(self, index: u16) -> Self {
        self.with_remappable(true)
            .with_index_low(index & 0x7fff)
            .with_index_high(index >> 15 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::walk;

    #[test]
    fn every_bit_belongs_to_one_field_or_none() {
        walk(|raw| Remapped::new(raw).fields());
        walk(|raw| Posted::new(raw).fields());
        walk(|raw| RemappableAddress::new(raw).fields());
        walk(|raw| RemappablePin::new(raw).fields());
        walk(|raw| Global::new(raw).fields());
        walk(|raw| ExtendedCapability::new(raw).fields());
        walk(|raw| TableAddress::new(raw).fields());
    }

    #[test]
    fn a_source_allows_its_requesters_and_no_others() {
        let id = 0x12a5;
        let sources = [
            (Source::requester(id), 0),
            (Source::with_phantoms(id, Ignored::One), 0b100),
            (Source::with_phantoms(id, Ignored::Two), 0b110),
            (Source::with_phantoms(id, Ignored::Three), 0b111),
        ];
        for (source, ignored) in sources {
            for request in 0..=u16::MAX {
                assert_eq!(source.allows(request), request & !ignored == id & !ignored);
            }
        }
        let buses = Source::buses(3, 5).unwrap();
        for request in 0..=u16::MAX {
            assert_eq!(buses.allows(request), (3..=5).contains(&(request >> 8)));
        }
        assert_eq!(Source::buses(5, 3), None);
    }

    #[test]
    fn no_entry_has_an_unverified_source() {
        let sources = (0..=u16::MAX).flat_map(|id| {
            let phantoms = [Ignored::One, Ignored::Two, Ignored::Three];
            let [high, low] = id.to_be_bytes();
            phantoms
                .map(|ignored| Some(Source::with_phantoms(id, ignored)))
                .into_iter()
                .chain([Some(Source::requester(id)), Source::buses(high, low)])
                .flatten()
        });
        for source in sources {
            let remapped = Remapped::new([0, 0]).with_source(source);
            let posted = Posted::new([0, 0]).with_source(source);
            assert!(
                (1..=2).contains(&remapped.source_validation()),
                "{source:?}"
            );
            assert_eq!(remapped.raw()[1], posted.raw()[1]);
            // Nothing but the source changes.
            let ones = Remapped::new([u64::MAX; 2]).with_source(source);
            assert_eq!(ones.raw(), [u64::MAX, !0xf_ffff | remapped.raw()[1]]);
        }
    }

    #[test]
    fn the_first_bus_is_the_upper_byte() {
        let entry = Remapped::new([0, 0]).with_source(Source::buses(3, 5).unwrap());
        assert_eq!(entry.source_id(), 0x0305);
    }

    #[test]
    fn split_fields_are_put_together() {
        let address = 0xfedc_ba98_7654_3240;
        let entry = Posted::new([0, 0]).with_descriptor(address);
        assert_eq!(entry.descriptor(), address);
        assert_eq!(entry.raw(), [0x7654_3240 << 32, 0xfedc_ba98 << 32]);
        assert_eq!(
            Remapped::new([0, 0]).with_xapic_destination(0xa5).raw(),
            [0xa5 << 40, 0]
        );
        for handle in [0, 1, 0x7fff, 0x8000, 0xffff] {
            assert_eq!(RemappableAddress::of(handle, true).handle(), handle);
            assert_eq!(RemappablePin::new([0]).with_index(handle).index(), handle);
        }
        assert_eq!(RemappableAddress::of(0x8001, true).raw(), [0xfee0_003c]);
        assert_eq!(
            RemappablePin::new([0]).with_index(0x8001).raw(),
            [3 << 48 | 1 << 11]
        );
    }
}
