//! Slips in what replaces `vmsi.c`.

use super::super::slip::{Slip, slip};

const SHADOW: &str = "xen/src/vmsi/shadow.rs";
const TABLES: &str = "xen/src/vmsi/tables.rs";
const EMULATE: &str = "vmsi/src/emulate.rs";
const COMPLETE: &str = "vmsi/src/complete.rs";
const DELIVER: &str = "vmsi/src/deliver.rs";
const BIND: &str = "xen/src/vmsi/bind.rs";
const VPCI: &str = "vmsi/src/vpci.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "a table is freed without a grace period",
        SHADOW,
        "",
        "sys::shim_call_rcu_free_pages(self.0.get())",
        "{
                let this = core::ptr::from_ref(self).cast_mut();
                Self::free(this);
                sys::xfree(this.cast());
            }",
    ),
    slip(
        "a domain's tables are freed without a grace period",
        "xen/src/sync/rcu_array.rs",
        "",
        "sys::shim_call_rcu_xfree(old.as_ref().rcu.get())",
        "sys::xfree(old.as_ptr().cast())",
    ),
    slip(
        "a table is not freed",
        SHADOW,
        "",
        "sys::shim_call_rcu_free_pages(self.0.get())",
        "()",
    ),
    slip(
        "a table is found under its first page alone",
        TABLES,
        "",
        "table.base.saturating_add(table.bytes - 1)",
        "table.base",
    ),
    slip(
        "a stale IRQ leads to another function's MSI",
        TABLES,
        "",
        "entry.sends(msi).then(|| look(msi))",
        "Some(look(msi))",
    ),
    slip(
        "no read-side section is entered",
        "xen/src/sync/rcu.rs",
        "",
        "adjust(1);",
        "",
    )
    .and(
        "adjust(1u32.wrapping_neg());",
        "if !$slipped {
            adjust(1u32.wrapping_neg());
        }",
    ),
    slip(
        "the MSI is not looked at again under its lock",
        TABLES,
        "if let Some(msi) = locked.msi_desc()",
        "self.entry.sends(*msi)",
        "true",
    ),
    slip(
        "a guest masks an interrupt of a function that is another's",
        TABLES,
        "",
        "device.is_owned_by(domain)",
        "true",
    ),
    slip(
        "a function that is another's is found in a domain",
        "xen/src/objects/pci_dev.rs",
        "",
        "devices.find(|device| device.identity() == id)",
        "unsafe { PciDev::from_raw(id.structure as *mut _) }",
    ),
    slip(
        "a domain's functions are searched without their lock",
        "xen/src/objects/pci_dev.rs",
        "",
        "let lock = unsafe { Guard::take(&raw mut (*domain.as_ptr()).pci_lock) };
            return run(&Self {
                domain,
                _list: Some(lock),",
        "let take = || unsafe { Guard::take(&raw mut (*domain.as_ptr()).pci_lock) };
            return run(&Self {
                domain,
                _list: (!$slipped).then(take),",
    ),
    slip(
        "memory is allocated on a guest's access",
        TABLES,
        "",
        "devices.find(self.device)",
        "{
            if $slipped && let Some(memory) = memory::zalloc(Layout::new::<u64>()) {
                unsafe { sys::xfree(memory.as_ptr().cast()) };
            }
            devices.find(self.device)
        }",
    ),
    slip(
        "a table stays when its function goes",
        "vmsi/src/register.rs",
        "",
        "LockedTables::lock(domain).remove(device.identity());",
        "",
    ),
    slip(
        "a table is taken for that of another function at the same address",
        TABLES,
        "",
        "table.device == binding.device",
        "true",
    ),
    slip(
        "an IRQ beyond the last is followed",
        "xen/src/objects/irq_desc.rs",
        "",
        "irq < Self::count()",
        "true",
    ),
    slip(
        "a change of a message does not hold back the unmasking",
        EMULATE,
        "",
        "entry.change(|entry| keep(entry, address, len, value));",
        "keep(&entry, address, len, value);",
    ),
    slip(
        "a change of data and control does not hold back the unmasking",
        EMULATE,
        "",
        "entry.change(|entry| entry.write_data(value as u32));",
        "entry.write_data(value as u32);",
    ),
    slip(
        "the second element of a repeated write is believed",
        EMULATE,
        "",
        "write.span(accepted.into())",
        "write.span(u32::from(accepted) + 1)",
    ),
    slip(
        "a word of which a part is written is believed",
        EMULATE,
        "",
        "start.max(page) & !3",
        "start.max(page)",
    ),
    slip(
        "a plain write that is refused is believed",
        EMULATE,
        "",
        "!request.is_plain() || !(accepted || kept)",
        "!request.is_plain()",
    ),
    slip(
        "one byte of a word leaves the word known",
        EMULATE,
        "// The specification leaves it to the device, and so to its model, what one or two bytes do",
        "lose_word(table, address);",
        "",
    ),
    slip(
        "the guest sees the host's mask",
        TABLES,
        "self.look(|msi| ",
        "msi.masks().guest",
        "msi.masks().any()",
    ),
    slip(
        "the upper half of an answer is learned as the lower",
        COMPLETE,
        "",
        "learn(1, value >> 32);",
        "learn(1, value);",
    ),
    slip(
        "a snooped write is applied twice",
        COMPLETE,
        "",
        "vcpu.set_snoop_address(0);",
        "",
    ),
    slip(
        "an answer to an access that is not aligned is learned",
        COMPLETE,
        "",
        "!is_aligned(answer.address, answer.size)",
        "false",
    ),
    slip(
        "an answer to several elements is learned",
        "xen/src/objects/ioreq.rs",
        "(is_read && ",
        "field!(self, count) == 1",
        "true",
    ),
    slip(
        "pending bits are written",
        "vmsi/src/adjacent.rs",
        "",
        "written.overlap(bytes)",
        "written.overlap(bytes) && false",
    ),
    slip(
        "a local APIC that is off takes interrupts",
        DELIVER,
        "",
        "vcpu.vlapic().enabled() && vcpu.vlapic().matches(to)",
        "vcpu.vlapic().matches(to)",
    ),
    slip(
        "the first of several vCPUs counts as the only one",
        DELIVER,
        "",
        "(matching.next(), matching.next())",
        "(matching.next(), None)",
    ),
    slip(
        "a vCPU that does not wait is told to unmask",
        "vmsi/src/register.rs",
        "",
        "vcpu.is_blocked_in_xen()",
        "true",
    ),
    slip(
        "a block that cannot be bound stays bound in part",
        VPCI,
        "",
        "let _ = bind::destroy(device, bound);",
        "let _ = bound;",
    ),
    slip(
        "a mask of any message is that of the first",
        VPCI,
        "",
        "msi.raw_pirq().wrapping_add(index as i32)",
        "msi.raw_pirq()",
    ),
    slip(
        "an entry that cannot be bound stays mapped",
        VPCI,
        "",
        "release(device, pirq, 0);",
        "",
    ),
    slip(
        "a mask for the guest unmasks",
        "xen/src/objects/irq_desc.rs",
        "pub fn guest_mask_msi(",
        "sys::guest_mask_msi_irq(self.desc.as_ptr(), mask)",
        "sys::guest_mask_msi_irq(self.desc.as_ptr(), !mask)",
    ),
    slip(
        "an upper byte of a narrow argument counts",
        "exports/vmsi.rs",
        "unsafe extern \"C\" fn vpci_msi_arch_mask(",
        "mask as u8 != 0",
        "mask != 0",
    ),
    slip(
        "an MSI is bound without its guest's flags",
        BIND,
        "",
        "bind.u.msi.gflags = flags.bits();",
        "",
    ),
    slip(
        "a line is bound in place of an MSI",
        BIND,
        "",
        "bind.irq_type = sys::XEN_IRQ_PT_IRQ_TYPE_MSI as u32;",
        "",
    ),
    slip(
        "a pirq is unmapped without the event lock",
        BIND,
        "pub fn unmap(",
        "let _lock = EventLock::write(domain);",
        "let _lock = (!$slipped).then(|| EventLock::write(domain));",
    ),
];
