//! How often configuration space is read while interrupts move.
//!
//! The emulator says each read. A kernel of ours marks the time that counts by reading a register that nobody else reads.

use super::protocol::Event;

/// The emulator's options for it.
pub(super) const OPTIONS: &[&str] = &["-trace", "pci_cfg_read"];

/// What the number is called.
pub(super) const NAME: &str = "config-reads-while-moving";

/// The register that begins and ends the time: the last of the device at 00:06.0.
const MARK: &str = " 00:06.0 @0xfc ";

/// How many reads the emulator says between the first mark and the last; none where there are no two.
pub(super) fn between_marks(messages: &str) -> Option<Event> {
    let (_, behind) = messages.split_once(MARK)?;
    let (between, _) = behind.rsplit_once(MARK)?;
    let reads = between
        .lines()
        .filter(|line| line.contains("pci_cfg_read "));
    // The last line is the beginning of the mark's.
    let number = reads.filter(|line| line.contains(" @")).count() as u64;
    Some(Event::Count {
        name: NAME.to_owned(),
        number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(between_marks(said), Some(count(2)));
        let quiet =
            "pci_cfg_read edu 00:06.0 @0xfc -> 0x0\npci_cfg_read edu 00:06.0 @0xfc -> 0x0\n";
        assert_eq!(between_marks(quiet), Some(count(0)));
        assert_eq!(
            between_marks("pci_cfg_read edu 00:06.0 @0xfc -> 0x0\n"),
            None
        );
    }
}
