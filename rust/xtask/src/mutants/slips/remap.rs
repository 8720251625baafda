//! Slips in what replaces `intremap.c` and `iommu_intr.c`.

use super::super::slip::{Slip, slip};

const AMD_LOCK: &str = "xen/src/remap/amd/lock.rs";
const AMD_MESSAGES: &str = "remap/amd/src/messages.rs";
const AMD_PLATFORM: &str = "xen/src/remap/amd/platform.rs";
const AMD_REQUESTER: &str = "xen/src/remap/amd/requester.rs";
const AMD_ALLOCATE: &str = "xen/src/remap/amd/allocate.rs";
const VTD_ENABLE: &str = "remap/vtd/src/enable.rs";
const VTD_MESSAGES: &str = "remap/vtd/src/messages.rs";
const VTD_TABLE: &str = "xen/src/remap/vtd/table.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "entries that are taken are not counted",
        VTD_TABLE,
        "",
        "self.count(block.count() as u32);",
        "",
    ),
    slip(
        "more entries are invalidated at once than the IOMMU can",
        VTD_TABLE,
        "",
        "(block.log2() as u8).min(largest)",
        "block.log2() as u8",
    ),
    slip(
        "of a block only the first entries are invalidated",
        VTD_TABLE,
        "",
        "sys::iommu_flush_iec_index(self.as_ptr(), mask, first as u16)",
        "sys::iommu_flush_iec_index(self.as_ptr(), 0, first as u16)",
    ),
    slip(
        "entries stay in caches that the IOMMU does not snoop",
        VTD_TABLE,
        "",
        "unsafe { (&raw const sys::iommu_non_coherent).read_volatile() }",
        "false",
    ),
    slip(
        "an entry behind the table's end is touched",
        VTD_TABLE,
        "",
        "index >= ENTRIES",
        "false",
    ),
    slip(
        "the registers' lock guards the table",
        VTD_TABLE,
        "",
        "&raw mut (*self.as_ptr()).intremap.lock",
        "&raw mut (*self.as_ptr()).register_lock",
    ),
    slip(
        "a pin's entry is off by one",
        "xen/src/remap/vtd/pins.rs",
        "",
        "index as u32 + 1",
        "index as u32",
    ),
    slip(
        "a command of the IOMMU is not waited for",
        "xen/src/remap/vtd/registers.rs",
        "",
        "wait(|| self.iommu.status(), done);",
        "let _ = done;",
    ),
    slip(
        "what an IOMMU keeps of an older table stays",
        VTD_ENABLE,
        "",
        "iommu.invalidate_all();",
        "",
    ),
    slip(
        "faults of firmware stay recorded",
        VTD_ENABLE,
        "",
        "iommu.clear_faults();",
        "",
    ),
    slip(
        "later messages of a block name an entry too far",
        VTD_MESSAGES,
        "",
        "index.wrapping_sub(number)",
        "index",
    ),
    slip(
        "an MSI keeps entries that it has given back",
        VTD_MESSAGES,
        "",
        "desc.use_entries(None);",
        "",
    ),
    slip(
        "an entry is noted as written before it is",
        VTD_MESSAGES,
        "",
        "entry.set(new);
    desc.mark_written(true, 1);",
        "desc.mark_written(true, 1);
    entry.set(new);",
    )
    .equivalent("the lock of the IRQ's descriptor is held, and guards it"),
    slip(
        "what Xen writes to a pin is not noted",
        "xen/src/remap/vtd/pins.rs",
        "",
        "place.logical.store(logical, Ordering::Relaxed);",
        "let _ = logical;",
    ),
    slip(
        "an interrupt that is posted is remapped",
        VTD_MESSAGES,
        "",
        "desc.posting()",
        "desc.posting().filter(|_| false)",
    ),
    slip(
        "a function that shares a table is not told",
        AMD_LOCK,
        "",
        "user.id() != own",
        "false",
    ),
    slip(
        "the other ID of a sender is not told",
        AMD_LOCK,
        "",
        "!is_told",
        "false",
    ),
    slip(
        "an entry is freed in a table that took the place of its own",
        AMD_LOCK,
        "",
        "table.table.kept == kept",
        "true",
    ),
    slip(
        "the users of a table are asked for by what a requester has now",
        AMD_LOCK,
        "",
        "kept.as_ptr()",
        "self.requester.kept()",
    ),
    slip(
        "an entry is looked for where the sender has a table now",
        AMD_MESSAGES,
        "",
        "served.table_of(place.requester)?",
        "served.table_of_messages()?",
    ),
    slip(
        "an entry is freed where the sender has a table now",
        AMD_MESSAGES,
        "",
        "served.table_of(first.requester)?",
        "served.table_of_messages()?",
    ),
    slip(
        "an IOMMU that is off is told",
        AMD_LOCK,
        "",
        "!self.iommu.is_enabled()",
        "false",
    ),
    slip(
        "a table that another function uses is freed",
        AMD_ALLOCATE,
        "",
        "kept.is_null() || lowest != self.id()",
        "kept.is_null()",
    ),
    slip(
        "two tables serve one device",
        AMD_LOCK,
        "",
        "others.is_null() || others == own",
        "true",
    ),
    slip(
        "entries beyond a small table's end are handed out",
        AMD_ALLOCATE,
        "",
        "usable_entries(kept.count())",
        "usable_entries(MOST)",
    ),
    slip(
        "any number is an entry in use",
        AMD_LOCK,
        "",
        "self.table.slots.holds(Block::one(index))",
        "true",
    ),
    slip(
        "a device is not told of its first entry",
        "core/src/remap/mod.rs",
        "",
        "before == Some(now)",
        "before.is_none_or(|before| before == now)",
    ),
    slip(
        "any delivery mode gets into an entry",
        AMD_MESSAGES,
        "",
        "interrupt.delivery_mode & 1",
        "interrupt.delivery_mode",
    ),
    slip(
        "the old number stays in a message's data",
        AMD_MESSAGES,
        "",
        "message.data().raw() & !MSI_INDEX | index as u32",
        "message.data().raw() | index as u32",
    ),
    slip(
        "the old number stays in a pin of AMD",
        "remap/amd/src/pins.rs",
        "",
        "entry & !u64::from(MSI_INDEX) | index as u64",
        "entry | index as u64",
    ),
    slip(
        "an IOMMU's own message is remapped",
        AMD_MESSAGES,
        "pub fn update(",
        "sender.is_iommu()",
        "false",
    ),
    slip(
        "the boot option for fewer entries is not heeded",
        "xen/src/remap/mod.rs",
        "",
        "entries.min(limit as usize)",
        "{
            let _ = limit;
            entries
        }",
    ),
    slip(
        "extended mode is not asked for",
        "exports/vtd.rs",
        "",
        "eim != 0",
        "false",
    ),
    slip(
        "VT-d releases no message",
        "exports/vtd.rs",
        "",
        "messages::release(desc)",
        "Ok(())",
    ),
    slip(
        "AMD-Vi releases no message",
        "exports/amd.rs",
        "",
        "messages::release(desc)",
        "Ok(())",
    ),
    slip(
        "every table is as large as can be",
        "exports/amd.rs",
        "",
        "view!(Iommu, iommu).allocate_table(nr)",
        "view!(Iommu, iommu).allocate_table(0)",
    ),
    slip(
        "an IO-APIC that is not spoken of is the first one",
        "exports/amd.rs",
        "fn ioapic_id_to_index",
        "sys::MAX_IO_APICS",
        "0",
    ),
    slip(
        "no softirq is served between two tables",
        "remap/amd/src/dump.rs",
        "",
        "    process_pending_softirqs();",
        "",
    ),
    slip(
        "an entry of 128 bits is shown as one of 32",
        "remap/amd/src/dump.rs",
        "",
        "table.is_wide()",
        "false",
    ),
    slip(
        "function 7 of a device uses no table",
        AMD_REQUESTER,
        "",
        "0..FUNCTIONS as u16",
        "0..FUNCTIONS as u16 - 1",
    ),
    slip(
        "any function with a table is a copy of function 0",
        AMD_REQUESTER,
        "",
        "kept == of_device.kept()",
        "true",
    ),
    slip(
        "one IO-APIC too many is spoken of",
        AMD_PLATFORM,
        "",
        "index == MAX_IO_APICS",
        "index > MAX_IO_APICS",
    ),
];
