//! The MSI message of x86 (Intel SDM volume 3, sections 12.11.1 and 12.11.2; AMD APM volume 2,
//! section 16.13).

/// The address of a message, as a guest writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(u64);

impl Address {
    /// Takes an address as it stands in a capability or a table.
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The address itself.
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether bits 63:20 say that this is a local APIC's address at all.
    pub const fn is_interrupt(self) -> bool {
        self.0 & !0xf_ffff == 0xfee0_0000
    }

    /// Bits 19:12: destination ID.
    pub const fn destination(self) -> u8 {
        (self.0 >> 12) as u8
    }

    /// Bit 3: redirection hint, set when one processor of several may be chosen.
    pub const fn redirection_hint(self) -> bool {
        self.0 & 1 << 3 != 0
    }

    /// Bit 2: destination mode, set when the destination ID is a logical one.
    pub const fn logical(self) -> bool {
        self.0 & 1 << 2 != 0
    }

    /// The address of the local APIC with ID 0, or of all that a logical ID of 0 means; one of
    /// several processors may be chosen where the hint is set.
    pub const fn interrupt(logical: bool, redirection_hint: bool) -> Self {
        Self(0xfee0_0000 | (redirection_hint as u64) << 3 | (logical as u64) << 2)
    }

    /// Returns the address with another [`Self::destination`].
    #[must_use]
    pub const fn with_destination(self, destination: u8) -> Self {
        Self(self.0 & !(0xff << 12) | (destination as u64) << 12)
    }

    /// Returns the address with destination ID 0, physical: what it is where an entry of a
    /// remapping table says both.
    #[must_use]
    pub const fn without_destination(self) -> Self {
        Self(self.0 & !(0xff << 12 | 1 << 2))
    }
}

/// The data of a message, as a guest writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data(u32);

impl Data {
    /// Takes data as it stands in a capability or a table.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// Those of an edge-triggered interrupt with vector 0, fixed or for the processor of lowest
    /// priority. They assert, as chipsets want.
    pub const fn edge(lowest_priority: bool) -> Self {
        Self(1 << 14 | (lowest_priority as u32) << 8)
    }

    /// Returns them with another [`Self::vector`].
    #[must_use]
    pub const fn with_vector(self, vector: u8) -> Self {
        Self(self.0 & !0xff | vector as u32)
    }

    /// The data themselves.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Bits 7:0: vector.
    pub const fn vector(self) -> u8 {
        self.0 as u8
    }

    /// Bits 10:8: delivery mode.
    pub const fn delivery_mode(self) -> u8 {
        (self.0 >> 8) as u8 & 7
    }

    /// Bit 14: level, set to assert; it matters for level-triggered messages only.
    pub const fn asserts(self) -> bool {
        self.0 & 1 << 14 != 0
    }

    /// Bit 15: trigger mode, set for level.
    pub const fn level_triggered(self) -> bool {
        self.0 & 1 << 15 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of an address's fields change when one bit is set.
    fn address_fields(raw: u64) -> (bool, u8, bool, bool) {
        let a = Address::new(raw);
        (
            a.is_interrupt(),
            a.destination(),
            a.redirection_hint(),
            a.logical(),
        )
    }

    #[test]
    fn every_address_bit_belongs_to_one_field_or_none() {
        const BASE: u64 = 0xfee0_0000;
        for bit in 0..64 {
            let fields = address_fields(BASE ^ 1 << bit);
            let expected = match bit {
                2 => (true, 0, false, true),
                3 => (true, 0, true, false),
                12..=19 => (true, 1 << (bit - 12), false, false),
                20..=63 => (false, 0, false, false),
                _ => (true, 0, false, false),
            };
            assert_eq!(fields, expected, "bit {bit}");
        }
    }

    #[test]
    fn all_but_the_destination_stays() {
        let address = Address::new(u64::MAX).without_destination();
        assert_eq!(address.raw(), 0xffff_ffff_fff0_0ffb);
        assert_eq!((address.destination(), address.logical()), (0, false));
    }

    #[test]
    fn every_data_bit_belongs_to_one_field_or_none() {
        for bit in 0..32 {
            let d = Data::new(1 << bit);
            let fields = (
                d.vector(),
                d.delivery_mode(),
                d.asserts(),
                d.level_triggered(),
            );
            let expected = match bit {
                0..=7 => (1 << bit, 0, false, false),
                8..=10 => (0, 1 << (bit - 8), false, false),
                14 => (0, 0, true, false),
                15 => (0, 0, false, true),
                _ => (0, 0, false, false),
            };
            assert_eq!(fields, expected, "bit {bit}");
        }
    }
}
