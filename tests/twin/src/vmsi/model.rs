//! What the driver knows by itself: the address and data words that each table was written with.
//!
//! C keeps the first three entries of a table, Rust keeps all. A read that C hands to the device model for that
//! reason alone must be answered by Rust, with the value that was written last. Every other answer must be the same.

use std::collections::HashMap;

use xen_sys as sys;

use super::op::Op;
use super::world::{Kind, Spec, World, guest_masked};
use crate::answer::Answer;
use crate::xen::get;

const ENTRY: u64 = 16;
/// Entries whose words C keeps.
const KEPT_BY_C: u64 = 3;
const PAGE: u64 = 4096;

/// A registered table.
struct Table {
    device: usize,
    start: u64,
    len: u64,
    bindings: i64,
    words: HashMap<(u64, u64), u32>,
}

/// The tables of the two domains, the last registered first.
pub(crate) struct Model {
    tables: [Vec<Table>; 2],
}

impl Model {
    pub(super) fn new(_spec: &Spec) -> Self {
        Self {
            tables: [Vec::new(), Vec::new()],
        }
    }

    /// Follows the step, and decides whether two answers agree.
    pub(super) fn judge(
        &mut self,
        world: &World,
        op: &Op,
        c: &Answer,
        rust: &Answer,
    ) -> Result<(), String> {
        let gain = match *op {
            Op::Read {
                domain,
                address,
                len,
                ..
            } => self.improvement(world, domain % 2, address, len),
            _ => None,
        };
        if let Some(value) = gain {
            let refused = c.outcome == Ok(u64::from(sys::X86EMUL_UNHANDLEABLE));
            let served =
                rust.outcome == Ok(u64::from(sys::X86EMUL_OKAY)) && rust.output == Some(value);
            return if refused && served {
                Ok(())
            } else {
                Err(format!(
                    "Rust should read {value:#x}, which the guest wrote, and C should not answer"
                ))
            };
        }
        if c != rust {
            return Err("the answers differ".to_owned());
        }
        match *op {
            Op::Register {
                pirq,
                domain,
                gtable,
            } if c.outcome == Ok(0) => {
                self.register(world, pirq, domain % 2, gtable);
            }
            Op::Unregister { pirq, domain } => self.unregister(world, pirq, domain % 2),
            Op::Cleanup { domain } => self.tables[domain % 2].clear(),
            Op::Write {
                domain,
                address,
                len,
                value,
                ..
            } => self.write(domain % 2, address, len, value),
            _ => {}
        }
        Ok(())
    }

    fn register(&mut self, world: &World, pirq: usize, domain: usize, gtable: Option<u64>) {
        let Some((_, device)) = world.pirq(pirq) else {
            return;
        };
        let tables = &mut self.tables[domain];
        if let Some(table) = tables.iter_mut().find(|table| table.device == device) {
            table.bindings += 1;
            return;
        }
        let spec = &world.spec.devices[device];
        tables.insert(
            0,
            Table {
                device,
                start: gtable.unwrap_or(spec.gtable),
                len: u64::from(spec.entries) * ENTRY,
                bindings: 1,
                words: HashMap::new(),
            },
        );
    }

    fn unregister(&mut self, world: &World, pirq: usize, domain: usize) {
        let index = pirq % (world.descs.len() + 2);
        let Some(desc) = world.descs.get(index).filter(|desc| desc.live) else {
            return;
        };
        if get!(
            world.domains[domain].domain,
            arch.__bindgen_anon_1.hvm.msixtbl_list.next
        )
        .is_null()
        {
            return;
        }
        let tables = &mut self.tables[domain];
        if let Some(at) = tables.iter().position(|table| table.device == desc.device) {
            tables[at].bindings -= 1;
            if tables[at].bindings == 0 {
                tables.remove(at);
            }
        }
    }

    /// The table that an address belongs to: of those on its page, the last registered.
    fn table(&mut self, domain: usize, address: u64) -> Option<&mut Table> {
        let page = |address: u64| address / PAGE;
        let range = |table: &Table| {
            page(table.start)..=page(table.start.wrapping_add(table.len).wrapping_sub(1))
        };
        let table = self.tables[domain]
            .iter_mut()
            .find(|table| range(table).contains(&page(address)))?;
        (address >= table.start && address < table.start.wrapping_add(table.len)).then_some(table)
    }

    fn write(&mut self, domain: usize, address: u64, len: u32, value: u64) {
        let Some(table) = self.table(domain, address) else {
            return;
        };
        let index = address % ENTRY / 4;
        if !matches!(len, 4 | 8) || !address.is_multiple_of(len.into()) || index == 3 {
            return;
        }
        let entry = (address - table.start) / ENTRY;
        table.words.insert((entry, index), value as u32);
        if len == 8 && index == 0 {
            table.words.insert((entry, 1), (value >> 32) as u32);
        }
    }

    /// The value that Rust alone reads, if this is such a read.
    fn improvement(&mut self, world: &World, domain: usize, address: u64, len: u32) -> Option<u64> {
        let table = self.table(domain, address)?;
        let (entry, index) = ((address - table.start) / ENTRY, address % ENTRY / 4);
        if entry < KEPT_BY_C
            || index == 3
            || !matches!(len, 4 | 8)
            || !address.is_multiple_of(len.into())
        {
            return None;
        }
        let low = u64::from(*table.words.get(&(entry, index))?);
        match (len, index) {
            (4, _) => Some(low),
            (_, 0) => Some(low | u64::from(*table.words.get(&(entry, 1))?) << 32),
            _ => {
                let device = table.device;
                let of_entry = |kind, number: u16| kind != Kind::Msi && u64::from(number) == entry;
                let desc = world.descs.iter().find(|desc| {
                    desc.live && desc.device == device && of_entry(desc.spec.kind, desc.spec.entry)
                })?;
                Some(low | u64::from(guest_masked(desc.desc)) << 32)
            }
        }
    }
}
