//! How often configuration space is read while interrupts move.
//!
//! The emulator says each read. A kernel of ours marks the time that counts by reading a register
//! that nothing else reads; another register marks a time in which each move comes after a write to
//! configuration space.

use super::protocol::Event;

/// The emulator's options for it.
pub(super) const OPTIONS: &[&str] = &["-trace", "pci_cfg_read"];

/// What the number is called.
pub(super) const NAME: &str = "config-reads-while-moving";

/// What the number of those that Xen does after writes is called.
pub(super) const AFTER_WRITES: &str = "config-reads-after-writes";

/// The registers that begin and end a time: the last ones of the device at 00:06.0.
const MARK: &str = " 00:06.0 @0xfc ";
const OTHER_MARK: &str = " 00:06.0 @0xf8 ";

/// The register that the kernel reads itself in the second time.
const COMMAND: &str = " @0x4 ";

/// How many reads the emulator says between the first mark of a kind and the last, for each kind of
/// which there are two.
pub(super) fn between_marks(messages: &str) -> Vec<Event> {
    let count = |mark, name: &str, is_xens: fn(&&str) -> bool| {
        let (_, behind) = messages.split_once(mark)?;
        let (between, _) = behind.rsplit_once(mark)?;
        let lines = between.lines();
        // The last line is the beginning of the mark's.
        let reads = lines.filter(|line| line.contains("pci_cfg_read ") && line.contains(" @"));
        Some(Event::Count {
            name: name.to_owned(),
            number: reads.filter(is_xens).count() as u64,
        })
    };
    let moving = count(MARK, NAME, |_| true);
    let written = count(OTHER_MARK, AFTER_WRITES, |line| !line.contains(COMMAND));
    moving.into_iter().chain(written).collect()
}

/// The emulator's option that has it say which accesses to memory nothing answers.
pub(super) const UNANSWERED: &[&str] = &["-d", "invalid_mem"];

/// What the number of writes is called that a guest makes beside its device's table, and that the
/// emulator does not say.
pub(super) const BESIDE_THE_TABLE: &str = "lost-writes-beside-the-table";

/// Where the guest `pending-bits` writes in the table's page, and how many bytes.
const WRITES: [(&str, &str); 4] = [("c00", "1"), ("c02", "2"), ("c04", "4"), ("c08", "8")];

/// How many of the guest's writes beside a table did not reach the device; none where nothing is
/// said of any access.
pub(super) fn beside_the_table(messages: &str) -> Option<Event> {
    let said = |(place, size): (&str, &str)| {
        let place = format!("{place}, size {size},");
        let mut lines = messages.lines().map(str::to_ascii_lowercase);
        lines.any(|line| line.contains("invalid write at addr 0x") && line.contains(&place))
    };
    let number = WRITES.into_iter().filter(|write| !said(*write)).count() as u64;
    messages.contains("Invalid ").then(|| Event::Count {
        name: BESIDE_THE_TABLE.to_owned(),
        number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_beside_the_table_are_counted() {
        let said = "Invalid write at addr 0xFEBF3C00, size 1, region '(null)', reason: rejected\n\
            Invalid write at addr 0xFEBF3C02, size 2, region '(null)', reason: rejected\n\
            Invalid read at addr 0xFEBF3C04, size 4, region '(null)', reason: rejected\n\
            Invalid write at addr 0xFEBF3C08, size 4, region '(null)', reason: rejected\n";
        let count = |number| Event::Count {
            name: BESIDE_THE_TABLE.to_owned(),
            number,
        };
        assert_eq!(beside_the_table(said), Some(count(2)));
        assert_eq!(beside_the_table("something else\n"), None);
    }

    #[test]
    fn reads_are_counted_between_the_marks() {
        let said = "pci_cfg_read nvme 00:05.0 @0x0 -> 0x10\n\
            pci_cfg_read edu 00:06.0 @0xfc -> 0x0\n\
            pci_cfg_read e1000e 00:04.0 @0xa2 -> 0x8004\n\
            qemu: something else @ all\n\
            pci_cfg_read e1000e 00:04.0 @0x4 -> 0x107\n\
            pci_cfg_read edu 00:06.0 @0xfc -> 0x0\n\
            pci_cfg_read e1000e 00:04.0 @0x4 -> 0x107\n";
        let count = |number| Event::Count {
            name: NAME.to_owned(),
            number,
        };
        assert_eq!(between_marks(said), [count(2)]);
        let quiet =
            "pci_cfg_read edu 00:06.0 @0xfc -> 0x0\npci_cfg_read edu 00:06.0 @0xfc -> 0x0\n";
        assert_eq!(between_marks(quiet), [count(0)]);
        let one = "pci_cfg_read edu 00:06.0 @0xfc -> 0x0\n";
        assert_eq!(between_marks(one), []);
        let written = "pci_cfg_read edu 00:06.0 @0xf8 -> 0x0\n\
            pci_cfg_read edu 00:06.0 @0x4 -> 0x107\n\
            pci_cfg_read edu 00:06.0 @0x42 -> 0x1\n\
            pci_cfg_read edu 00:06.0 @0xf8 -> 0x0\n";
        let after = Event::Count {
            name: AFTER_WRITES.to_owned(),
            number: 1,
        };
        assert_eq!(
            between_marks(&format!("{quiet}{written}")),
            [count(0), after]
        );
    }
}
