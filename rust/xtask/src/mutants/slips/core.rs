//! Slips in the pure parts: `irq-core` and `irq-hw`.

use super::super::slip::{Slip, slip};

const SHADOW: &str = "core/src/vmsi/shadow.rs";
const ROWS: &str = "core/src/vmsi/rows.rs";
const PUBLISH: &str = "core/src/publish.rs";
const SNOOP: &str = "core/src/vmsi/snoop.rs";
const WINDOW: &str = "core/src/msi/window.rs";
const GENERATION: &str = "core/src/msi/generation.rs";
const MASK: &str = "core/src/msi/mask.rs";
const PLACE: &str = "core/src/msi/place.rs";
const SLOTS: &str = "core/src/remap/slots.rs";
const UPDATE: &str = "core/src/remap/update.rs";
const BESIDE: &str = "core/src/vmsi/beside.rs";
const SOURCE: &str = "core/src/remap/source.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "a window is closed although another is open",
        WINDOW,
        "",
        "self.open = self.open.wrapping_sub(1);",
        "self.open = 0;",
    ),
    slip(
        "what is wanted while a window is open is not kept",
        WINDOW,
        "pub fn want(",
        "self.wanted = wanted.raw();",
        "if !$slipped || self.wanted == 0 {
            self.wanted = wanted.raw();
        }",
    ),
    slip(
        "a word is learned by a check and a store, not in one piece",
        SHADOW,
        "",
        "let _ = self.0.compare_exchange(
            Self::UNKNOWN,
            Self::KNOWN | u64::from(value),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );",
        "if self.0.load(Ordering::Relaxed) == Self::UNKNOWN {
            self.0.store(Self::KNOWN | u64::from(value), Ordering::Relaxed);
        }",
    ),
    slip(
        "a lost word is believed",
        SHADOW,
        "",
        "word & Self::KNOWN != 0",
        "word & (Self::KNOWN | Self::LOST) != 0",
    ),
    slip(
        "an unknown word is not lost",
        SHADOW,
        "",
        "self.0.store(Self::LOST, Ordering::Relaxed);",
        "if self.0.load(Ordering::Relaxed) != Self::UNKNOWN {
            self.0.store(Self::LOST, Ordering::Relaxed);
        }",
    ),
    slip(
        "a change noted meanwhile is forgotten with the one before",
        SHADOW,
        "",
        "self.modified.load(Ordering::Acquire) != 0 && self.modified.swap(0, Ordering::AcqRel) != 0",
        "self.modified.load(Ordering::Acquire) != 0 && {
            self.modified.store(0, Ordering::Release);
            true
        }",
    ),
    slip(
        "a message is noted as changed before it is",
        SHADOW,
        "",
        "write(self);
        self.set_modified();",
        "self.set_modified();
        write(self);",
    ),
    slip(
        "a change is noted by a store that releases nothing",
        SHADOW,
        "",
        "self.modified.store(1, Ordering::Release);",
        "self.modified.store(1, Ordering::Relaxed);",
    ),
    slip(
        "an IRQ is bound by a store that releases nothing",
        SHADOW,
        "",
        "self.irq.store(irq.unwrap_or(0), Ordering::Release);",
        "self.irq.store(irq.unwrap_or(0), Ordering::Relaxed);",
    ),
    slip(
        "an object is published by a store that releases nothing",
        PUBLISH,
        "",
        "self.0.store(object, Ordering::Release);",
        "self.0.store(object, Ordering::Relaxed);",
    ),
    slip(
        "a reader may find an object before what was written to it",
        PUBLISH,
        "",
        "self.0.load(Ordering::Acquire)",
        "self.0.load(Ordering::Relaxed)",
    ),
    slip(
        "of several tables on a page the oldest is found",
        ROWS,
        "",
        "once(new).chain(list.iter().filter_map(Row::again))",
        "list.iter().filter_map(Row::again).chain(once(new))",
    )
    .alone(),
    slip(
        "a table that is gone hides an older one",
        ROWS,
        "",
        "rows = rest",
        "{
            if row.is_on(page) {
                return None;
            }
            rows = rest
        }",
    ),
    slip(
        "a table is not on its last page",
        ROWS,
        "",
        "page.wrapping_sub(self.first) <= self.span",
        "page.wrapping_sub(self.first) < self.span",
    ),
    slip(
        "a table that is gone is in the next list",
        ROWS,
        "",
        "self.table.store(null_mut(), Ordering::Relaxed)",
        "()",
    ),
    slip(
        "the mask bit of eight bytes is looked for in the lower half",
        SNOOP,
        "",
        "(self.address.wrapping_add(4), value >> 32)",
        "(self.address.wrapping_add(4), value)",
    ),
    slip(
        "a span begins with the first element whatever was asked for",
        SNOOP,
        "",
        "self.address.checked_add(before)?",
        "self.address",
    ),
    slip(
        "a logical destination is a physical one",
        "core/src/vmsi/deliver.rs",
        "",
        "flags.set(Self::LOGICAL, address.logical());",
        "",
    ),
    slip(
        "something is kept although a change is under way",
        GENERATION,
        "",
        "(now as u32 == 0)",
        "true",
    ),
    slip(
        "a change that begins does not end the generation",
        GENERATION,
        "",
        "NEXT + ONE",
        "ONE",
    ),
    slip(
        "a change that is carried out ends the others",
        GENERATION,
        "",
        "self.0.fetch_sub(ONE, Ordering::SeqCst)",
        "self.0.fetch_and(!(NEXT - 1), Ordering::SeqCst)",
    ),
    slip(
        "a change ends in two pieces",
        GENERATION,
        "",
        "self.0.fetch_sub(ONE, Ordering::SeqCst)",
        "{
            let now = self.0.load(Ordering::SeqCst);
            self.0.store(now.wrapping_sub(ONE), Ordering::SeqCst);
            now
        }",
    ),
    slip(
        "the number 0 is given out",
        GENERATION,
        "",
        "before >> 32 == u64::from(u32::MAX)",
        "false",
    ),
    slip(
        "a mask is not read back",
        MASK,
        "",
        "reads_as(entry.vector_control(), mask)",
        "true",
    ),
    slip(
        "all ones count as a mask that was taken",
        MASK,
        "",
        "vector_control != u32::MAX && ",
        "",
    )
    .alone(),
    slip(
        "a function that does not answer is written to",
        MASK,
        "",
        "before == u32::MAX || reads_as(before, mask) && noted.any() != mask",
        "reads_as(before, mask) && noted.any() != mask",
    ),
    slip(
        "a mask bit that was not seen to change is believed",
        MASK,
        "",
        "before == u32::MAX || reads_as(before, mask) && noted.any() != mask",
        "before == u32::MAX",
    ),
    slip(
        "the reserved bits of an entry are cleared",
        MASK,
        "",
        "value => value & !MASKED,",
        "_ => 0,",
    )
    .alone(),
    slip(
        "what nothing answers counts as written",
        MASK,
        "",
        "entry.vector_control() != u32::MAX",
        "{ entry.vector_control(); true }",
    ),
    slip(
        "a table is reached while a guest may lift mask-all",
        MASK,
        "",
        "function.set_host_mask_all(true);",
        "",
    ),
    slip(
        "the guest's wish to mask all is lost",
        MASK,
        "",
        "control.masks_all() || mask_all || function.mask_all().guest",
        "control.masks_all() || mask_all",
    ),
    slip(
        "all messages are masked, and it is not noted",
        MASK,
        "",
        "(Outcome::AllMasked { newly }, host || newly)",
        "(Outcome::AllMasked { newly }, host)",
    ),
    slip(
        "a message that its owner wants masked is not masked",
        MASK,
        "",
        "!masks.any()",
        "!masks.host",
    ),
    slip(
        "mask bits that a function does not have are set",
        MASK,
        ".fold(",
        "all(capable)",
        "u32::MAX",
    ),
    slip(
        "there is one virtual function too many",
        PLACE,
        "",
        "index < self.number.into()",
        "index <= self.number.into()",
    ),
    slip(
        "a single virtual function needs a stride",
        PLACE,
        "",
        "self.number > 1 && self.stride == 0",
        "self.stride == 0",
    ),
    slip(
        "entries beyond a table's limit are handed out",
        SLOTS,
        "",
        "block.entries().end > self.entries",
        "false",
    ),
    slip(
        "a block is given back that is not in use",
        SLOTS,
        "",
        "!self.holds(block)",
        "false",
    ),
    slip(
        "a block that is given back stays in use",
        SLOTS,
        "",
        "*used &= !block.mask();",
        "",
    ),
    slip(
        "64 entries count as in use when one is",
        SLOTS,
        "",
        "*used == u64::MAX",
        "*used != 0",
    ),
    slip(
        "64 entries count as in use when one is freed",
        SLOTS,
        "",
        "*full &= !(1 << word);",
        "",
    ),
    slip(
        "a block is in use when one of its entries is",
        SLOTS,
        "",
        "used & block.mask() == block.mask()",
        "used & block.mask() != 0",
    ),
    slip(
        "five messages get a block of four",
        SLOTS,
        "",
        "count.next_power_of_two().ilog2() as usize",
        "count.ilog2() as usize",
    ),
    slip(
        "a block begins anywhere",
        SLOTS,
        "",
        "STARTS.get(log2).map_or(0, |starts| starts & !taken)",
        "!taken",
    ),
    slip(
        "an entry that changes is not invalidated",
        UPDATE,
        "",
        "Stale(cached.then(|| Block::one(index)))",
        "Stale(None)",
    ),
    slip(
        "an entry that changes stays in the processor's cache",
        UPDATE,
        "table.replace(index, old, new);",
        "table.write_back(index);",
        "",
    ),
    slip(
        "an entry that does not change is invalidated",
        UPDATE,
        "",
        "old == new",
        "false",
    ),
    slip(
        "a block that is given back is not invalidated",
        UPDATE,
        "",
        "invalidate(self.0);
        Unused(self.0)",
        "Unused(self.0)",
    ),
    slip(
        "a block that is given back stays valid",
        UPDATE,
        "",
        "table.replace(index, old, T::Entry::default());",
        "",
    ),
    slip(
        "a function behind a bridge to PCI has its own ID alone",
        SOURCE,
        "",
        "Source::buses(secondary, (id >> 8) as u8)",
        "Some(Source::requester(id))",
    ),
    slip(
        "an unknown bridge is taken for none",
        SOURCE,
        "Upstream::Unknown => ",
        "None",
        "Some(Source::requester(id))",
    ),
    slip(
        "phantom functions two apart are one apart",
        SOURCE,
        "",
        "Source::with_phantoms(id, Ignored::Two)",
        "Source::with_phantoms(id, Ignored::Three)",
    ),
    slip(
        "a bridge of PCI does not own the requests below it",
        SOURCE,
        "",
        "Source::requester(bridge)",
        "Source::requester(id)",
    ),
    slip(
        "the redirection hint is missing",
        "core/src/remap/entry.rs",
        "",
        "self.delivery_mode == LOWEST_PRIORITY",
        "false",
    )
    .alone(),
    slip(
        "an old source stays in an entry",
        "hw/src/vtd.rs",
        "",
        "half & !Self::MASK | self.0 as u64",
        "half | self.0 as u64",
    )
    .alone(),
    slip(
        "the boundary of a page is not looked at",
        SNOOP,
        "",
        "self.address % PAGE + self.size as u64 > PAGE",
        "self.address % PAGE > PAGE",
    )
    .alone(),
    slip(
        "a bridge whose buses lie above the function is believed",
        SOURCE,
        "",
        "secondary > (id >> 8) as u8",
        "false",
    ),
    slip(
        "a bridge whose buses have no numbers is believed",
        SOURCE,
        "",
        "secondary <= (bridge >> 8) as u8",
        "false",
    ),
    slip(
        "pending bits of less than 64 entries are not protected",
        BESIDE,
        "",
        "entries.div_ceil(64)",
        "(entries / 64)",
    )
    .alone(),
    slip(
        "bytes overlap only where the later begin in the former",
        BESIDE,
        "",
        "
            || other.start.wrapping_sub(self.start) < self.len",
        "",
    )
    .alone(),
    slip(
        "eight bytes on data are no access to vector control",
        "core/src/vmsi/access.rs",
        "(8, 0) => Some(Self::Address),",
        "Some(Self::DataControl)",
        "None",
    )
    .alone(),
    slip(
        "a remapped message keeps its destination mode",
        "hw/src/msi.rs",
        "",
        "!(0xff << 12 | 1 << 2)",
        "!(0xff << 12)",
    )
    .alone(),
    slip(
        "the number of a base address is a part of the distance",
        "hw/src/pci.rs",
        "pub const fn offset(self)",
        "self.0 & !7",
        "self.0",
    )
    .alone(),
    slip(
        "a destination of AMD-Vi has 24 bits",
        "hw/src/amd.rs",
        "",
        ".with_destination_high((id >> 24) as u8)",
        "",
    )
    .alone(),
    slip(
        "reserved bits of a pin are kept",
        "hw/src/ioapic.rs",
        "",
        "self.raw()[0] as u32 & 0x1_ffff",
        "self.raw()[0] as u32",
    )
    .alone(),
];
