//! IOMMUs of VT-d: the registers that interrupt remapping uses, and the tables (VT-d, sections
//! 11.4.4 and 11.4.44).

use anyhow::Result;
use xen_sys as sys;

use super::table::Table;

/// Where the registers of the first IOMMU are, and how far those of the next.
const REGISTERS: usize = 0xffff_82c0_0020_0000;
pub(crate) const SPAN: usize = 0x2000;
/// Where the first table is in physical memory, and how far the next.
const TABLES: u64 = 0x23_4560_0000;
const TABLE_SPAN: u64 = 0x40_0000;
/// The most IOMMUs of a world.
pub(crate) const MOST: usize = 3;

/// Bits of the status that follow the command's as long as that has them.
pub(crate) const LEVELS: u32 = TRANSLATION | QUEUE | REMAPPING | COMPATIBILITY;
const TRANSLATION: u32 = 1 << 31;
/// Invalidation goes through the queue.
pub(crate) const QUEUE: u32 = 1 << 26;
/// Interrupts are remapped.
pub(crate) const REMAPPING: u32 = 1 << 25;
pub(crate) const TABLE_POINTER: u32 = 1 << 24;
/// Messages in compatibility format pass.
pub(crate) const COMPATIBILITY: u32 = 1 << 23;
const ROOT_POINTER: u32 = 1 << 30;
/// Bits that a status can have.
pub(crate) const STATUS: u32 = LEVELS | TABLE_POINTER | ROOT_POINTER;
/// The bit of the table's address that says that destinations have 32 bits.
pub(crate) const EXTENDED_MODE: u64 = 1 << 11;

/// How the hardware answers during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// After this many reads.
    After(u32),
    /// Never.
    Never,
}

/// The registers of an IOMMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    /// Global status.
    pub(crate) status: u32,
    /// Address of the interrupt remapping table.
    pub(crate) table: u64,
    /// What the registers will be, and after how many reads.
    coming: Option<(u32, u32, u64)>,
}

impl Registers {
    /// Clears bits of the status, now and when the last command is carried out.
    pub(crate) fn clear_status(&mut self, bits: u32) {
        self.status &= !bits;
        if let Some((_, status, _)) = &mut self.coming {
            *status &= !bits;
        }
    }
}

/// All IOMMUs of a side.
pub(crate) struct Vtd {
    /// The registers of each.
    pub(crate) registers: Vec<Registers>,
    /// Xen's structure of each.
    pub(crate) iommus: Vec<*mut sys::vtd_iommu>,
    tables: Vec<Table>,
    allocated: usize,
    /// Pages that are mapped at the moment.
    pub(crate) mapped: usize,
    /// How the hardware answers.
    pub(crate) pace: Pace,
    /// Whether remapping was switched on since this was set.
    pub(crate) switched_on: bool,
    /// Nanoseconds.
    clock: i64,
}

impl Vtd {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            registers: Vec::new(),
            iommus: Vec::new(),
            tables: (0..MOST).map(|_| Table::new()).collect::<Result<_>>()?,
            allocated: 0,
            mapped: 0,
            pace: Pace::After(0),
            switched_on: false,
            clock: 0,
        })
    }

    pub(super) fn clear(&mut self) {
        self.registers.clear();
        self.iommus.clear();
        self.tables[..self.allocated]
            .iter_mut()
            .for_each(Table::clear);
        self.allocated = 0;
        self.mapped = 0;
        self.pace = Pace::After(0);
        self.switched_on = false;
        self.clock = 0;
    }

    /// Adds an IOMMU as firmware left it; returns where its registers are.
    pub(crate) fn add(&mut self, iommu: *mut sys::vtd_iommu, status: u32, table: u64) -> usize {
        self.registers.push(Registers {
            status,
            table,
            coming: None,
        });
        self.iommus.push(iommu);
        REGISTERS + (self.registers.len() - 1) * SPAN
    }

    /// The time. Where hardware does not answer, it passes faster.
    pub(crate) fn time(&mut self) -> i64 {
        self.clock += match self.pace {
            Pace::After(_) => 1_000,
            Pace::Never => 300_000_000,
        };
        self.clock
    }

    /// Gives memory to a table; zero where there is none.
    pub(crate) fn allocate(&mut self) -> u64 {
        if self.allocated == self.tables.len() {
            return 0;
        }
        self.allocated += 1;
        TABLES + (self.allocated - 1) as u64 * TABLE_SPAN
    }

    /// The number of the table at an address, and the offset in there.
    fn table_at(&self, address: u64) -> Option<(usize, usize)> {
        let offset = address.checked_sub(TABLES)?;
        let number = (offset / TABLE_SPAN) as usize;
        (number < self.allocated).then_some((number, (offset % TABLE_SPAN) as usize))
    }

    /// The table that an IOMMU was given.
    pub(crate) fn table(&mut self, address: u64) -> Option<&mut Table> {
        let (number, offset) = self.table_at(address)?;
        (offset == 0).then(|| &mut self.tables[number])
    }

    /// Maps a page of a table.
    pub(crate) fn map(&mut self, address: u64) -> Option<usize> {
        let (number, offset) = self.table_at(address)?;
        let mapped = self.tables[number].map(offset)?;
        self.mapped += 1;
        Some(mapped)
    }

    /// The number of the table and the offset in there that mapped memory stands for.
    pub(crate) fn offset(&self, address: usize) -> Option<(usize, usize)> {
        let mut tables = self.tables[..self.allocated].iter().enumerate();
        tables.find_map(|(number, table)| Some((number, table.offset(address)?)))
    }

    /// A table by its number.
    pub(crate) fn table_by_number(&mut self, number: usize) -> &mut Table {
        &mut self.tables[number]
    }

    pub(super) fn locate(&self, address: usize) -> Option<(usize, u32)> {
        let offset = address.checked_sub(REGISTERS)?;
        let number = offset / SPAN;
        (number < self.registers.len()).then_some((number, (offset % SPAN) as u32))
    }

    pub(super) fn read(
        &mut self,
        (number, offset): (usize, u32),
        width: usize,
    ) -> Result<u64, String> {
        let registers = &mut self.registers[number];
        match registers.coming {
            Some((0, status, table)) => {
                *registers = Registers {
                    status,
                    table,
                    coming: None,
                };
            }
            Some((reads, status, table)) => registers.coming = Some((reads - 1, status, table)),
            None => {}
        }
        match (offset, width) {
            (sys::DMAR_GSTS_REG, 4) => Ok(registers.status.into()),
            (sys::DMAR_IRTA_REG, 4) => Ok(registers.table & 0xffff_ffff),
            _ => Err(format!("{width} bytes read at {offset:#x} of an IOMMU")),
        }
    }

    pub(super) fn write(
        &mut self,
        (number, offset): (usize, u32),
        width: usize,
        value: u64,
    ) -> Result<(), String> {
        let registers = &mut self.registers[number];
        let old = *registers;
        match (offset, width) {
            (sys::DMAR_GCMD_REG, 4) => {
                let command = value as u32;
                self.switched_on |= command & REMAPPING != 0;
                let status = command & STATUS | old.status & (TABLE_POINTER | ROOT_POINTER);
                // The table's address is taken over again.
                registers.status &= !(command & TABLE_POINTER);
                registers.coming = match self.pace {
                    Pace::After(reads) => Some((reads, status, old.table)),
                    Pace::Never => None,
                };
            }
            (sys::DMAR_IRTA_REG, 8) => registers.table = value,
            (sys::DMAR_IRTA_REG, 4) => {
                let table = old.table & !0xffff_ffff | value;
                registers.coming = match self.pace {
                    Pace::After(reads) => Some((reads, old.status, table)),
                    Pace::Never => None,
                };
            }
            _ => return Err(format!("{width} bytes written at {offset:#x} of an IOMMU")),
        }
        Ok(())
    }
}
