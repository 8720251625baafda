//! Wrong ACPI tables: IVRS or DMAR is edited in the machine's memory after firmware has made it and
//! before Xen reads it. The emulator stops at Xen's first instruction for that.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::gdb::Machine;

/// What is wrong with a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableFault {
    /// IVRS has no entry for the IO-APIC.
    NoIoApic,
    /// IVRS has the IO-APIC's device, and does not say that it is one.
    UnmarkedIoApic,
    /// It names an IO-APIC that does not exist.
    WrongIoApic,
    /// It names the IO-APIC twice, as the same device.
    IoApicTwice,
    /// It names the IO-APIC twice, as two devices.
    IoApicConflict,
    /// An alias of a device is beyond the last ID.
    AliasBeyond,
    /// An alias of a device is the ID of no other.
    AliasUnlisted,
    /// A range of devices has no end.
    OpenRange,
    /// DMAR names no IO-APIC.
    NoIoApicScope,
}

/// Where a table's length is.
const LENGTH: usize = 4;

impl TableFault {
    /// The table that is wrong.
    const fn signature(self) -> &'static [u8; 4] {
        match self {
            Self::NoIoApicScope => b"DMAR",
            _ => b"IVRS",
        }
    }

    /// Makes a table wrong and its checksum right. `None` where the table has no entry to change.
    fn apply(self, table: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::NoIoApicScope => cut_io_apic_scope(table)?,
            Self::NoIoApic => {
                let entry = io_apic(table)?;
                // Eight bytes of padding.
                table[entry] = 0x40;
            }
            Self::UnmarkedIoApic => {
                // The device stays in the table, selected alone, with four bytes of padding.
                let entry = io_apic(table)?;
                let [flags, low, high] = [3, 5, 6].map(|at| table[entry + at]);
                table[entry..entry + 8].copy_from_slice(&[0x02, low, high, flags, 0, 0, 0, 0]);
            }
            Self::WrongIoApic => {
                let entry = io_apic(table)?;
                table[entry + 4] ^= 0x55;
            }
            Self::IoApicTwice | Self::IoApicConflict => {
                let (entry, pair) = (io_apic(table)?, two_selected(table)?);
                table.copy_within(entry..entry + 8, pair);
                if self == Self::IoApicConflict {
                    // The device's function.
                    table[pair + 5] ^= 1;
                }
            }
            Self::AliasBeyond => {
                let pair = two_selected(table)?;
                let [low, high] = [table[pair + 1], table[pair + 2]];
                table[pair..pair + 8].copy_from_slice(&[0x42, low, high, 0, 0, 0xff, 0xff, 0]);
            }
            Self::AliasUnlisted => {
                let pair = two_selected(table)?;
                let [low, high] = [table[pair + 1], table[pair + 2]];
                // The last function of the same device.
                table[pair..pair + 8].copy_from_slice(&[0x42, low, high, 0, 0, low | 7, high, 0]);
            }
            Self::OpenRange => {
                let pair = two_selected(table)?;
                table[pair] = 0x03;
            }
        }
        let sum = table.iter().copied().fold(0u8, u8::wrapping_add);
        table[9] = table[9].wrapping_sub(sum);
        Some(())
    }
}

/// Cuts the scope of an IO-APIC out of DMAR.
fn cut_io_apic_scope(table: &mut Vec<u8>) -> Option<()> {
    let (unit, scope) = io_apic_scope(table)?;
    let len = table[scope + 1];
    table.drain(scope..scope + usize::from(len));
    let lengths = [(unit + 2, 2), (LENGTH, 4)];
    for (at, size) in lengths {
        let mut word = [0; 4];
        word[..size].copy_from_slice(&table[at..at + size]);
        let word = (u32::from_le_bytes(word) - u32::from(len)).to_le_bytes();
        table[at..at + size].copy_from_slice(&word[..size]);
    }
    Some(())
}

/// The device entries of IVRS: offset and length of each (AMD I/O Virtualization Technology
/// Specification, 48882, section 5.2.2).
fn device_entries(table: &[u8]) -> Vec<(usize, usize)> {
    let mut entries = Vec::new();
    let mut block = 48;
    while let Some(&[kind, _, low, high]) = table.get(block..block + 4) {
        let end = block + usize::from(u16::from_le_bytes([low, high]));
        if end <= block || end > table.len() {
            break;
        }
        let mut entry = match kind {
            0x10 => block + 24,
            0x11 | 0x40 => block + 40,
            _ => end,
        };
        while entry < end {
            let length = 4 << (table[entry] >> 6);
            entries.push((entry, length));
            entry += length;
        }
        block = end;
    }
    entries
}

/// The first scope of an IO-APIC in DMAR, and the remapping unit that it is of (VT-d, sections 8.3
/// and 8.3.1).
fn io_apic_scope(table: &[u8]) -> Option<(usize, usize)> {
    let mut unit = 48;
    while let Some(&[kind_low, kind_high, low, high]) = table.get(unit..unit + 4) {
        let end = unit + usize::from(u16::from_le_bytes([low, high]));
        let mut scope = unit + 16;
        while [kind_low, kind_high] == [0, 0] && scope + 1 < end.min(table.len()) {
            if table[scope] == 3 {
                return Some((unit, scope));
            }
            scope += usize::from(table[scope + 1]).max(2);
        }
        unit = end.max(unit + 4);
    }
    None
}

/// The special entry of the IO-APIC, in the last block: that is of the newest type, which Xen
/// reads.
fn io_apic(table: &[u8]) -> Option<usize> {
    let mut entries = device_entries(table).into_iter().rev();
    entries.find_map(|(at, _)| (table[at] == 0x48 && table.get(at + 7) == Some(&1)).then_some(at))
}

/// The last two entries in a row that select one device each: eight bytes together.
fn two_selected(table: &[u8]) -> Option<usize> {
    let entries = device_entries(table);
    let mut pairs = entries.windows(2).rev();
    pairs.find_map(|pair| {
        let both = table[pair[0].0] == 2 && table[pair[1].0] == 2;
        (both && pair[1].0 == pair[0].0 + 4).then_some(pair[0].0)
    })
}

/// Lets the machine behind the debugger port `socket` run to the first instruction of `xen`, makes
/// a table wrong, and lets it run on.
pub(super) fn edit(socket: &Path, xen: &Path, fault: TableFault) -> Result<()> {
    let mut machine = Machine::connect(socket)?;
    machine.run_to(entry_point(xen)?)?;
    let (address, mut table) = find(&mut machine, fault.signature())?;
    fault
        .apply(&mut table)
        .with_context(|| format!("the table has no entry for {fault:?}"))?;
    machine.write(address, &table)?;
    machine.detach()
}

/// The entry point of a 32-bit ELF file.
fn entry_point(file: &Path) -> Result<u32> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let entry = bytes.get(24..28).context("no ELF file")?;
    Ok(u32::from_le_bytes(entry.try_into().expect("four bytes")))
}

/// An ACPI table by its signature: its address, and its bytes (ACPI specification, section 5.2.5).
fn find(machine: &mut Machine, signature: &[u8; 4]) -> Result<(u32, Vec<u8>)> {
    const BIOS: u32 = 0xe_0000;
    let area = machine.read(BIOS, 0x2_0000)?;
    let pointer = area
        .chunks(16)
        .position(|bytes| bytes.starts_with(b"RSD PTR "))
        .context("firmware has no ACPI tables")?;
    let root = machine.word(BIOS + pointer as u32 * 16 + 16)?;
    let end = machine.word(root + 4)?;
    for entry in (36..end).step_by(4) {
        let address = machine.word(root + entry)?;
        if machine.read(address, 4)? == signature {
            let len = machine.word(address + LENGTH as u32)?;
            return Ok((address, machine.read(address, len as usize)?));
        }
    }
    bail!("firmware has no table {}", signature.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(table: &[u8]) -> u8 {
        table.iter().copied().fold(0, u8::wrapping_add)
    }

    /// IVRS with one block: two devices, the IO-APIC, the HPET.
    fn ivrs() -> Vec<u8> {
        let mut table = vec![0; 48];
        table[..4].copy_from_slice(b"IVRS");
        let entries = [
            &[0x02, 0x20, 0, 0][..],
            &[0x02, 0x28, 0, 0],
            &[0x48, 0, 0, 0, 0, 0xa0, 0, 1],
            &[0x48, 0, 0, 0, 0, 0xa0, 0, 2],
        ];
        let entries = entries.concat();
        table.extend([0x10, 0, (24 + entries.len()) as u8, 0]);
        table.extend([0; 20]);
        table.extend(entries);
        table
    }

    #[test]
    fn each_fault_changes_what_it_names_and_the_checksum_is_right() {
        let at = 48 + 24;
        for (fault, changed) in [
            (TableFault::NoIoApic, vec![at + 8]),
            (
                TableFault::UnmarkedIoApic,
                vec![at + 8, at + 9, at + 13, at + 15],
            ),
            (TableFault::WrongIoApic, vec![at + 12]),
            (
                TableFault::IoApicTwice,
                vec![at, at + 1, at + 4, at + 5, at + 7],
            ),
            (
                TableFault::IoApicConflict,
                vec![at, at + 1, at + 4, at + 5, at + 7],
            ),
            (TableFault::AliasBeyond, vec![at, at + 4, at + 5, at + 6]),
            (TableFault::AliasUnlisted, vec![at, at + 4, at + 5]),
            (TableFault::OpenRange, vec![at]),
        ] {
            let before = ivrs();
            let mut after = before.clone();
            fault.apply(&mut after).unwrap();
            assert_eq!(sum(&after), 0, "{fault:?}");
            let differs = (0..before.len()).filter(|i| before[*i] != after[*i] && *i != 9);
            assert_eq!(differs.collect::<Vec<_>>(), changed, "{fault:?}");
        }
    }

    /// DMAR with two units: a function's, and one with the IO-APIC behind a function.
    fn dmar() -> Vec<u8> {
        let scope =
            |kind, len: u8| [&[kind, len, 0, 0, 0, 0][..], &vec![0; len as usize - 6]].concat();
        let unit = |scopes: &[Vec<u8>]| {
            let scopes = scopes.concat();
            [&[0, 0, 16 + scopes.len() as u8, 0][..], &[0; 12], &scopes].concat()
        };
        let units = [unit(&[scope(1, 8)]), unit(&[scope(1, 10), scope(3, 8)])].concat();
        let mut table = vec![0; 48];
        table[..4].copy_from_slice(b"DMAR");
        table[LENGTH] = (48 + units.len()) as u8;
        table.extend(units);
        table
    }

    #[test]
    fn the_scope_of_the_io_apic_is_cut_out() {
        let before = dmar();
        let mut after = before.clone();
        TableFault::NoIoApicScope.apply(&mut after).unwrap();
        assert_eq!(sum(&after), 0);
        assert_eq!(after.len(), before.len() - 8);
        assert_eq!(usize::from(after[LENGTH]), after.len());
        assert_eq!(usize::from(after[48 + 24 + 2]), 16 + 10);
        assert_eq!(TableFault::NoIoApicScope.apply(&mut after), None);
    }

    #[test]
    fn a_table_without_the_entry_is_refused() {
        let mut table = ivrs();
        TableFault::NoIoApic.apply(&mut table).unwrap();
        assert_eq!(TableFault::NoIoApic.apply(&mut table), None);
    }
}
