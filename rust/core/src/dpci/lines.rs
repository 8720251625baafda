//! INTx pins of devices in a guest, the lines that they assert, and when the machine's interrupt
//! that stands behind them may be ended.

/// How many lines lead from pins to the router for ISA interrupts.
pub const LINKS: usize = 4;

/// The first GSI that pins lead to.
const FIRST_GSI: u32 = 16;

/// How many GSIs pins lead to.
const GSIS: u32 = 32;

/// An INTx pin of a device in a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The device's bus, which no line depends on.
    pub bus: u8,
    /// The device.
    pub device: u8,
    /// 0 for INTA.
    pub intx: u8,
}

impl Pin {
    /// The GSI that it leads to.
    pub const fn gsi(self) -> u8 {
        let (device, intx) = (self.device as u32, self.intx as u32);
        (((device << 2) + (device >> 3) + intx) % GSIS + FIRST_GSI) as u8
    }

    /// The line to the router for ISA interrupts.
    pub const fn link(self) -> usize {
        (self.device as usize + self.intx as usize) % LINKS
    }
}

/// How many lines a machine's interrupt has asserted that the guest has not ended.
///
/// A guest may end a line that the interrupt has not asserted: another device may share it. Where
/// the interrupt has asserted none, that counts for nothing; else it counts as one of those, and
/// the interrupt may be ended early, as upstream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending(u16);

impl Pending {
    /// Takes a count.
    pub const fn new(count: u16) -> Self {
        Self(count)
    }

    /// The count.
    pub const fn count(self) -> u16 {
        self.0
    }

    /// A line is asserted.
    #[must_use]
    pub const fn assert(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The guest has ended a line. Returns whether it was the last one that was asserted: then the
    /// machine's interrupt is ended, too.
    #[must_use]
    pub const fn end(self) -> (Self, bool) {
        (Self(self.0.saturating_sub(1)), self.0 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn pin(device: u8, intx: u8) -> Pin {
        Pin {
            bus: 0,
            device,
            intx,
        }
    }

    #[test]
    fn the_pins_of_32_devices_lead_to_each_gsi_four_times() {
        let mut counts = [0; 48];
        let mut links = [0; LINKS];
        for device in 0..32 {
            for intx in 0..4 {
                counts[usize::from(pin(device, intx).gsi())] += 1;
                links[pin(device, intx).link()] += 1;
            }
        }
        assert!(counts[..16].iter().all(|count| *count == 0));
        assert!(counts[16..].iter().all(|count| *count == 4));
        assert_eq!(links, [32; LINKS]);
        // As QEMU and hvmloader know them.
        assert_eq!(
            (pin(1, 0).gsi(), pin(4, 0).gsi(), pin(8, 1).gsi()),
            (20, 32, 18)
        );
        assert_eq!((pin(3, 0).link(), pin(3, 1).link()), (3, 0));
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// The machine's interrupt arrives, and asserts all lines.
        Arrive,
        /// The guest ends a line.
        End(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![Just(Step::Arrive), (0usize..4).prop_map(Step::End)];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        /// As long as each line is ended once for each time that it was asserted, the interrupt is
        /// ended when none is left; and a line that nothing asserted ends nothing.
        #[test]
        fn an_interrupt_is_ended_with_the_last_of_its_lines(lines in 1usize..4, steps in steps()) {
            let mut naive = std::vec![0u32; lines];
            let mut pending = Pending::default();
            for step in steps {
                match step {
                    Step::Arrive => {
                        for line in &mut naive {
                            *line += 1;
                            pending = pending.assert();
                        }
                    }
                    Step::End(line) => {
                        let outstanding: u32 = naive.iter().sum();
                        let asserted = naive.get(line).is_some_and(|line| *line != 0);
                        // A guest that ends more than it got is known by the sum alone.
                        if !asserted && outstanding != 0 {
                            continue;
                        }
                        if asserted {
                            naive[line] -= 1;
                        }
                        let (left, last) = pending.end();
                        pending = left;
                        prop_assert_eq!(last, asserted && outstanding == 1);
                    }
                }
                prop_assert_eq!(u32::from(pending.count()), naive.iter().sum::<u32>());
            }
        }
    }

    #[test]
    fn the_count_does_not_wrap() {
        assert_eq!(Pending::new(0).end(), (Pending::new(0), false));
        assert_eq!(Pending::new(u16::MAX).assert(), Pending::new(u16::MAX));
    }
}
