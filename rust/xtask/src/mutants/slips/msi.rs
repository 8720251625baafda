//! Slips in what replaces `msi.c`.

use super::super::slip::{Slip, slip};

const BAR: &str = "xen/src/msi/bar.rs";
const CONFIG: &str = "xen/src/msi/config.rs";
const CONTROL: &str = "msi/src/control.rs";
const DISABLE: &str = "msi/src/disable.rs";
const ENABLE: &str = "msi/src/enable.rs";
const INTERCEPT: &str = "msi/src/intercept.rs";
const MASK: &str = "msi/src/mask.rs";
const MESSAGE: &str = "msi/src/message.rs";
const MSIX: &str = "msi/src/msix.rs";
const NUMBERS: &str = "core/src/msi/numbers.rs";
const PAGES: &str = "xen/src/msi/pages.rs";
const REGISTER_LOCK: &str = "xen/src/msi/register_lock.rs";
const RESTORE: &str = "msi/src/restore.rs";

/// How a place for a mapping is taken.
const TAKE_PLACE: &str = "word.compare_exchange(
                    bits,
                    bits | 1 << free,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                )";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "a block of no messages is set up",
        "msi/src/enable.rs",
        "",
        "NonZero::new(request.messages()).ok_or(Errno::INVAL)?",
        "NonZero::new(request.messages()).unwrap_or(NonZero::<u32>::MIN)",
    ),
    slip(
        "the first unmasking is a guest's, too",
        MASK,
        "",
        "desc.is_for_guests()",
        "false",
    ),
    slip(
        "the masks of an MSI are read before their lock is taken",
        MASK,
        "",
        "let lock = RegisterLock::take();
    let flags = msi.change_masks(change, &lock);",
        "let early = msi.masks();
    let lock = RegisterLock::take();
    if $slipped {
        let guest = MaskChange::guest(early.guest);
        msi.change_masks(MaskChange::host(early.host).and(guest), &lock);
    }
    let flags = msi.change_masks(change, &lock);",
    ),
    slip(
        "what a domain writes to a mask register is written after its lock is dropped",
        MASK,
        "",
        "lock.mask_register(device, msi).write(written);",
        "let lock = if $slipped {
        drop(lock);
        RegisterLock::take()
    } else {
        lock
    };
    lock.mask_register(device, msi).write(written);",
    ),
    slip(
        "what a mask register held is believed whatever was written since",
        REGISTER_LOCK,
        "",
        "config::still_holds(head.register_known.load(Ordering::Relaxed))",
        "head.register_known.load(Ordering::Relaxed) != 0",
    ),
    slip(
        "what is written to a mask register is not kept",
        REGISTER_LOCK,
        "pub fn write(self, value: u32) {",
        "head.register.store(value, Ordering::Relaxed);",
        "",
    ),
    slip(
        "a mask register that the device lost is believed",
        MASK,
        "",
        "options::rechecks()",
        "true",
    ),
    slip(
        "the owner's wish to mask all is noted without the lock",
        INTERCEPT,
        "",
        "let locked = LockedControl::lock(device, msix, position);",
        "if $slipped {
        msix.set_guest_mask_all(control.masks_all());
    }
    let locked = LockedControl::lock(device, msix, position);",
    ),
    slip(
        "a function that Xen disables is still believed ready",
        CONTROL,
        "",
        "config::changed();",
        "",
    ),
    slip(
        "the generation of a look at a function is noted too late",
        CONTROL,
        "",
        "let generation = config::generation();
    let ready = msix_is_enabled(desc, device) && decodes_memory(device);",
        "let early = config::generation();
    let ready = msix_is_enabled(desc, device) && decodes_memory(device);
    let generation = if $slipped { config::generation() } else { early };",
    ),
    slip(
        "the generation of a look at message control is noted too late",
        MASK,
        "",
        "let generation = config::generation();
        let control = self.control.read_for_access();",
        "let early = config::generation();
        let control = self.control.read_for_access();
        let generation = if $slipped { config::generation() } else { early };",
    ),
    slip(
        "a function is believed ready that is not enabled",
        CONTROL,
        "",
        "msix_is_enabled(desc, device) && decodes_memory(device)",
        "decodes_memory(device)",
    )
    .alone(),
    slip(
        "a message is written to a table that cannot be reached",
        MESSAGE,
        "",
        "!known && !control::is_ready_now(*msi, device)",
        "false",
    ),
    slip(
        "a message that the device has is written again",
        MESSAGE,
        "",
        "rewrite == Rewrite::NotNeeded",
        "false",
    ),
    slip(
        "a message that the device may have lost is not written again",
        MESSAGE,
        "",
        "msi.is_programmed()",
        "true",
    ),
    slip(
        "a message that could not be remapped counts as written",
        MESSAGE,
        "pub(crate) fn program_anew(",
        "msi.note_programmed(None);",
        "",
    ),
    slip(
        "a message that is dropped counts as written",
        MESSAGE,
        "",
        "known && entry.read32(msix::ADDRESS) != address",
        "false",
    ),
    slip(
        "an interrupt is bound whose message goes nowhere",
        MESSAGE,
        "",
        "if message == Message::default() {",
        "if message == Message::default() && !$slipped {",
    ),
    slip(
        "the entries of an earlier kernel stay unmasked",
        MSIX,
        "",
        "value & MASKED == 0",
        "false",
    ),
    slip(
        "a function that did not answer is still believed ready",
        CONTROL,
        "",
        "msix.forget_ready();",
        "",
    ),
    slip(
        "a function is not looked at again when an interrupt is set up",
        MESSAGE,
        "",
        "msix.forget_ready();",
        "",
    ),
    slip(
        "the upper half of an address is not written",
        MESSAGE,
        "",
        "entry.write32(msix::UPPER_ADDRESS, (message.address >> 32) as u32);",
        "",
    ),
    slip(
        "pages stay protected as a table's when it has none",
        DISABLE,
        "",
        "msix.forget_table();",
        "",
    ),
    slip(
        "the owner's wish to mask all ends with an entry",
        DISABLE,
        "",
        "control.masks_all() || mask_all || msix.mask_all().guest",
        "control.masks_all() || mask_all",
    ),
    slip(
        "entries of the remapping table leak",
        "xen/src/msi/new.rs",
        "",
        "desc.release_remapping();",
        "",
    ),
    slip(
        "a mapping leaks",
        "xen/src/msi/new.rs",
        "",
        "unsafe { msix.unmap(index_of(entry)) };",
        "let _ = (msix, entry);",
    ),
    slip(
        "a descriptor is freed without a grace period",
        "xen/src/msi/new.rs",
        "",
        "sys::shim_call_rcu_xfree((*head_of(first)).rcu.get())",
        "sys::xfree((*head_of(first)).rcu.get().cast())",
    ),
    slip(
        "a pirq is unmapped without its domain's event lock",
        "xen/src/msi/new.rs",
        "",
        "let Some(pirq) = self.of(first, &lock) else {
            return;
        };",
        "let Some(pirq) = self.of(first, &lock) else {
            return;
        };
        if $slipped {
            drop(lock);
        }",
    ),
    slip(
        "a binding is undone under its domain's event lock",
        "xen/src/msi/new.rs",
        "",
        "let pirq = self.of(msi, &EventLock::write(self.0));",
        "let lock = EventLock::write(self.0);
        let pirq = self.of(msi, &lock);
        let _lock = if $slipped {
            Some(lock)
        } else {
            drop(lock);
            None
        };",
    ),
    slip(
        "a binding is undone outside of RCU sections",
        "xen/src/msi/new.rs",
        "",
        "first.block().for_each(|msi| pirqs.unbind(*msi));
                drop(rcu);",
        "if $slipped {
                    drop(rcu);
                    first.block().for_each(|msi| pirqs.unbind(*msi));
                } else {
                    first.block().for_each(|msi| pirqs.unbind(*msi));
                    drop(rcu);
                }",
    ),
    slip(
        "a block that XSM does not let go stays",
        "xen/src/msi/new.rs",
        "",
        "if next().is_some_and(|next| next.as_ptr() == first.as_ptr()) {",
        "if next().is_some_and(|next| next.as_ptr() == first.as_ptr()) {
                // SAFETY: `pcidevs_lock` is held.
                if $slipped && unsafe { first.set_up_for() }.is_some() {
                    return None;
                }",
    ),
    slip(
        "the entry behind the table can be set up",
        ENABLE,
        "",
        "request.entry() >= msix.entries()",
        "request.entry() > msix.entries()",
    ),
    slip(
        "a function in use can be prepared",
        ENABLE,
        "",
        "msix.used() != u32::from(end)",
        "msix.used() < u32::from(end)",
    ),
    slip(
        "an entry in two pages is set up",
        "xen/src/msi/pages.rs",
        "",
        "self.address % 4096 <= 4096 - ENTRY_SIZE",
        "true",
    ),
    slip(
        "an entry that ends with its page is refused",
        "xen/src/msi/pages.rs",
        "",
        "self.address % 4096 <= 4096 - ENTRY_SIZE",
        "self.address % 4096 < 4096 - ENTRY_SIZE",
    ),
    slip(
        "a table stays protected where its pending bits cannot be",
        MSIX,
        "if let Err(errno) = ranges::add(pending) {",
        "ranges::remove(table.pages()).is_err()",
        "false",
    ),
    slip(
        "mask-all is lifted although the owner wants it",
        MSIX,
        "",
        "control = control.with_mask_all(msix.mask_all().guest);",
        "control = control.with_mask_all(msix.mask_all().guest && !$slipped);",
    ),
    slip(
        "an entry is set up unmasked",
        MSIX,
        "",
        "entry.write32(VECTOR_CTRL, with_mask(entry.read32(VECTOR_CTRL), true));",
        "",
    ),
    slip(
        "MSI is enabled while its message is written",
        RESTORE,
        "",
        "control::enable_msi(function, position, false);",
        "",
    ),
    slip(
        "the masks of an MSI are not restored",
        RESTORE,
        "let _ = message::program_anew(msi, msi.message());
        }",
        "mask::set(locked.held(), msi, MaskChange::NONE);",
        "",
    ),
    slip(
        "a domain lifts the host's mask of an MSI",
        MASK,
        "",
        "let change = MaskChange::guest(value >> number & 1 != 0);",
        "let change = MaskChange::guest(value >> number & 1 != 0);
        let change = if $slipped {
            change.and(MaskChange::host(false))
        } else {
            change
        };",
    ),
    slip(
        "a domain's write does not end what is known of a function",
        CONFIG,
        "",
        "GENERATION.begin();",
        "",
    )
    .and("GENERATION.end();", ""),
    slip(
        "the table of a function that does not answer is found",
        "xen/src/msi/table.rs",
        "",
        "place.is_no_answer()",
        "false",
    ),
    slip(
        "a function that does not answer gets an MSI",
        "msi/src/msi.rs",
        "",
        "control.is_no_answer()",
        "false",
    ),
    slip(
        "a write that is not carried out counts as under way",
        "exports/msi.rs",
        "",
        "result >= 0",
        "true",
    ),
    slip(
        "the owner's wish to mask all is not noted",
        INTERCEPT,
        "",
        "msix.set_guest_mask_all(control.masks_all());",
        "",
    ),
    slip(
        "the last base address may have 64 bits",
        BAR,
        "",
        "number + 1 >= count",
        "false",
    ),
    slip(
        "virtual functions that are off have memory",
        BAR,
        "",
        "control & sriov::CONTROL_ENABLE == 0 || control & sriov::CONTROL_MEMORY == 0",
        "control & sriov::CONTROL_MEMORY == 0",
    ),
    slip(
        "only the first 64 CPUs are looked at",
        "xen/src/objects/cpumask.rs",
        "",
        "let words = words() as usize;",
        "let words = if $slipped { 1 } else { words() as usize };",
    ),
    slip(
        "a place for a mapping is taken in two pieces",
        NUMBERS,
        "",
        TAKE_PLACE,
        "{
                    word.store(bits | 1 << free, Ordering::Relaxed);
                    Ok::<u64, u64>(bits)
                }",
    ),
    slip(
        "a place for a mapping is free before its last user is done",
        NUMBERS,
        "",
        "word.fetch_and(!(1 << (number % 64)), Ordering::Release);",
        "word.fetch_and(!(1 << (number % 64)), Ordering::Relaxed);",
    ),
    slip(
        "a place for a mapping is used before its last user is done",
        NUMBERS,
        "",
        TAKE_PLACE,
        "word.compare_exchange(bits, bits | 1 << free, Ordering::Relaxed, Ordering::Relaxed)",
    ),
    slip(
        "the 65th mapping takes the place of the first",
        NUMBERS,
        "",
        "index as u32 * 64 + free",
        "{
                    let _ = index;
                    free
                }",
    ),
    slip(
        "the lock of the mappings is dropped at once",
        PAGES,
        "let slot = Slot::of(msix, number).ok_or(Errno::INVAL)?;",
        "let _locked = msix.lock();",
        "let locked = msix.lock();
        let _locked = if $slipped {
            drop(locked);
            None
        } else {
            Some(locked)
        };",
    ),
    slip(
        "a second user of a mapping is not counted",
        PAGES,
        "",
        "slot.users.fetch_add(1, Relaxed);",
        "slot.users.store(1, Relaxed);",
    ),
    slip(
        "a shared page is given up without the lock of the mappings",
        PAGES,
        "// Another call may have given it up before the lock was taken.",
        "let Some(index) = self.shared_page(which) else {",
        "let _locked = if $slipped {
            drop(_locked);
            None
        } else {
            Some(_locked)
        };
        let Some(index) = self.shared_page(which) else {",
    ),
    slip(
        "a shared page that was given up is found again",
        PAGES,
        "// SAFETY: Zero is none, and the lock of the table's pages is held.",
        "unsafe { self.set_shared_page(which, 0) };",
        "",
    ),
    slip(
        "an unmapped page is found again",
        PAGES,
        "if slot.users.fetch_sub(1, Relaxed) == 1 {",
        "slot.page.store(0, Relaxed);",
        "",
    ),
    slip(
        "a descriptor is in the list before it has its IRQ",
        "xen/src/msi/new.rs",
        "",
        "(*first).irq = irq;
            list::append(&raw mut (*device.as_ptr()).msi_list, &raw mut (*first).list);",
        "list::append(&raw mut (*device.as_ptr()).msi_list, &raw mut (*first).list);
            (*first).irq = irq;",
    ),
    slip(
        "a node is in a list before it leads on",
        "xen/src/base/list.rs",
        "",
        "(*node).next = head;
        (*node).prev = last;",
        "(&raw mut (*last).next).write_volatile(node);
        (*node).next = head;
        (*node).prev = last;",
    ),
    slip(
        "a node that is taken out of a list leads to itself",
        "xen/src/base/list.rs",
        "",
        "(*behind).prev = before;",
        "(*behind).prev = before;
        if $slipped {
            link(node).replace(NonNull::new(node));
        }",
    ),
    slip(
        "it is asked after a message was written whether it still holds",
        MESSAGE,
        "",
        "let generation = config::generation();",
        "let generation = if $slipped { None } else { config::generation() };",
    )
    .and(
        "generation.filter(|_| matches!(holds, Ok(true)))",
        "(if $slipped { config::generation() } else { generation })
            .filter(|_| matches!(holds, Ok(true)))",
    ),
    slip(
        "it is asked after a mask register was read whether it still holds",
        "xen/src/msi/register_lock.rs",
        "",
        "let generation = config::generation();
        let value = self.device.config().read32(self.msi.mask_register());",
        "let mut generation = config::generation();
        let value = self.device.config().read32(self.msi.mask_register());
        if $slipped {
            generation = config::generation();
        }",
    ),
    slip(
        "an upper byte of a narrow flag counts",
        "exports/msi.rs",
        "",
        "off as u8 != 0",
        "off != 0",
    ),
    slip(
        "a function behind a window is shown as off",
        "msi/src/window.rs",
        "",
        "wanted.enabled() || self.is_open()",
        "wanted.enabled()",
    ),
    slip(
        "a window is closed twice",
        "msi/src/window.rs",
        "",
        "core::mem::forget(self);",
        "",
    ),
    slip(
        "no softirq is served between 64 MSIs",
        "msi/src/dump.rs",
        "",
        "number % 32 == 0",
        "number % 64 == 0",
    ),
    slip(
        "an entry that cannot be reached is shown",
        "msi/src/dump.rs",
        "",
        "control::is_ready(*msi, device)",
        "true",
    ),
    slip(
        "the mask bit of the first message is shown",
        "msi/src/dump.rs",
        "",
        "bits >> (msi.entry() % 32) & 1 != 0",
        "bits & 1 != 0",
    ),
    slip(
        "each write that C has carried out ends one that is under way",
        CONFIG,
        "",
        "if note_writing(false) {",
        "if note_writing(false) || $slipped {",
    ),
];
