//! Carries out one step on one side.

use anyhow::Result;
use xen_sys as sys;

use super::op::{Meanwhile, Message, Op, Request};
use super::pcidevs;
use super::world::{PROCESSOR, READ_LOCKED, WRITE_LOCKED, World, hvm_io, shared};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::heap::Failure;
use crate::loader::Image;
use crate::machine::watched::Watched;
use crate::services::{force_lock, force_unlock, is_locked};
use crate::side::{Script, Side};
use crate::trace::{Entry, Event};
use crate::trap::Trap;
use crate::xen::{addr, get, set};

/// The number of an IRQ as freed memory holds it.
const SPOILT: i32 = 0x5a5a_5a5a;

/// Addresses of what vmsi.c exports.
pub(crate) struct Api {
    functions: Vec<(&'static str, usize)>,
}

/// What vmsi.c exports.
const EXPORTS: [&str; 19] = [
    "hvm_girq_dest_2_vcpu_id",
    "msix_write_completion",
    "msixtbl_init",
    "msixtbl_pt_cleanup",
    "msixtbl_pt_register",
    "msixtbl_pt_unregister",
    "vmsi_deliver",
    "vmsi_deliver_pirq",
    "vpci_msi_arch_disable",
    "vpci_msi_arch_enable",
    "vpci_msi_arch_init",
    "vpci_msi_arch_mask",
    "vpci_msi_arch_print",
    "vpci_msi_arch_update",
    "vpci_msix_arch_disable_entry",
    "vpci_msix_arch_enable_entry",
    "vpci_msix_arch_init_entry",
    "vpci_msix_arch_mask_entry",
    "vpci_msix_arch_print",
];

impl Api {
    pub(super) fn new(image: &Image) -> Result<Self> {
        let functions = EXPORTS
            .iter()
            .map(|name| Ok((*name, image.symbol(name)?)))
            .collect::<Result<_>>()?;
        Ok(Self { functions })
    }

    /// The address of an export.
    pub(super) fn of(&self, name: &str) -> usize {
        self.functions
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(0, |(_, address)| *address)
    }
}

pub(super) fn perform(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    side.cpu.set_current(world.dom0_vcpu, PROCESSOR);
    match op {
        Op::Init { .. }
        | Op::Register { .. }
        | Op::Unregister { .. }
        | Op::Cleanup { .. }
        | Op::GracePeriod
        | Op::Map { .. }
        | Op::Unmap { .. }
        | Op::Remove { .. }
        | Op::Spoil { .. }
        | Op::Assign { .. } => registration(side, api, world, op, script),
        Op::Accept { .. }
        | Op::Read { .. }
        | Op::Write { .. }
        | Op::Completion { .. }
        | Op::Block { .. } => access(side, api, world, op, script),
        Op::Deliver { .. } | Op::DeliverPirq { .. } | Op::DestinationVcpu { .. } => {
            delivery(side, api, world, op, script)
        }
        _ => vpci(side, api, world, op, script),
    }
}

fn registration(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    match *op {
        Op::Init { domain } => {
            let domain = world.domains[domain % world.domains.len()].domain as u64;
            Some(Answer::void(side.call(
                api.of("msixtbl_init"),
                &[domain],
                script,
            )))
        }
        Op::Register {
            pirq,
            domain,
            gtable,
        } => {
            let (pirq, device) = world.pirq(pirq)?;
            let domain = world.domains[domain % 2].domain;
            let gtable = gtable.unwrap_or(world.spec.devices[device].gtable);
            let arguments = [domain as u64, pirq as u64, gtable];
            locked(domain, || {
                Some(Answer::int(side.call(
                    api.of("msixtbl_pt_register"),
                    &arguments,
                    script,
                )))
            })
        }
        Op::Unregister { pirq, domain } => {
            let (pirq, _) = world.pirq(pirq)?;
            let domain = world.domains[domain % 2].domain;
            let arguments = [domain as u64, pirq as u64];
            locked(domain, || {
                Some(Answer::void(side.call(
                    api.of("msixtbl_pt_unregister"),
                    &arguments,
                    script,
                )))
            })
        }
        Op::Cleanup { domain } => {
            let domain = world.domains[domain % 2].domain as u64;
            Some(Answer::void(side.call(
                api.of("msixtbl_pt_cleanup"),
                &[domain],
                script,
            )))
        }
        Op::GracePeriod => Some(Answer::void(side.grace_period())),
        Op::Map { desc } => {
            let desc = desc % world.descs.len().max(1);
            let found = world.descs.get(desc)?;
            if found.live || world.devices[found.device].gone {
                return None;
            }
            world.link(side.env(), desc);
            None
        }
        Op::Unmap { desc } => {
            let desc = desc % world.descs.len().max(1);
            if !world.descs.get(desc)?.live {
                return None;
            }
            world.unlink(side.env(), desc);
            None
        }
        Op::Remove { device } => {
            let device = device % world.devices.len().max(1);
            if world.devices.get(device)?.gone {
                return None;
            }
            let clean_up = side.image.symbol("pci_cleanup_msi").ok();
            let waiting = side.env().rcu.len();
            let mut answer = Answer::void(Ok(0));
            world.remove(side, device, |side, pdev| {
                if let Some(clean_up) = clean_up {
                    answer = Answer::void(side.call(clean_up, &[pdev as u64], script));
                }
            });
            // What it does to locks is not compared: C has no such call.
            side.env().trace.clear();
            // How many blocks wait to be freed.
            answer.output = Some((side.env().rcu.len() - waiting) as u64);
            Some(answer)
        }
        Op::Spoil { desc } => {
            let desc = desc % world.descs.len().max(1);
            let found = world.descs.get(desc)?;
            if !found.live {
                return None;
            }
            side.env().trace.clear();
            set!(found.desc, irq, SPOILT);
            Some(Answer::void(Ok(0)))
        }
        Op::Assign { device } => {
            let device = device % world.devices.len().max(1);
            if world.devices.get(device)?.gone {
                return None;
            }
            side.env().trace.clear();
            world.assign(device);
            Some(Answer::void(Ok(0)))
        }
        _ => None,
    }
}

/// Calls with the domain's event lock held for writing, and its list of devices read-locked.
fn locked<R>(domain: *mut sys::domain, body: impl FnOnce() -> R) -> R {
    set!(domain, event_lock.cnts.counter, WRITE_LOCKED);
    set!(domain, pci_lock.cnts.counter, READ_LOCKED);
    let result = body();
    let (events, devices) = (
        get!(domain, event_lock.cnts.counter),
        get!(domain, pci_lock.cnts.counter),
    );
    set!(domain, event_lock.cnts.counter, events - WRITE_LOCKED);
    set!(domain, pci_lock.cnts.counter, devices - READ_LOCKED);
    result
}

/// Carries out an access of a guest, which may mask and unmask interrupts of its own domain's
/// functions only. (C masks any that its table leads to; the driver has it stop before it comes to
/// that.) Nothing is allocated for it.
///
/// With Rust's msi.c the `pci_lock` of the guest's domain is what keeps functions there: their list
/// is read, and their registers are reached, while it is held for reading. With C's it is
/// `pcidevs_lock`.
fn access(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let (domain, vcpu) = match *op {
        Op::Accept { domain, vcpu, .. }
        | Op::Read { domain, vcpu, .. }
        | Op::Write { domain, vcpu, .. }
        | Op::Completion { domain, vcpu, .. } => (domain % 2, vcpu),
        _ => return carry_out(side, api, world, op, script),
    };
    let vcpus = &world.domains[domain].vcpus;
    let vcpu = vcpus[vcpu % vcpus.len()];
    let raw = world.domains[domain].domain;
    let list_is_locked = world.list_is_locked;
    // The node would be counted with the others.
    let watches = world.watches && !side.cpu.counted;
    let kept = pcidevs::address(side).or(list_is_locked.then(|| addr!(raw, pci_lock.cnts) as u64));
    let watched = kept.filter(|_| watches).map(|lock| {
        // The word of `pcidevs_lock` is the same while that is held.
        Watched::begin(
            addr!(raw, pdev_list),
            lock as *const u32,
            READ_LOCKED as u32,
        )
    });
    side.env().machine.watched = watched;
    if watches {
        pcidevs::begin(side, world.bound(), vcpu, &script);
    }
    // An access that the device model answers calls nothing.
    side.env().heap.start_call(Failure::Never);
    let mut answer = carry_out(side, api, world, op, script);
    side.env().machine.watched = None;
    pcidevs::end(side, op, &mut answer);
    if let Some(watched) = watched {
        watched.end();
    }
    let mut answer = answer?;
    if side.env().heap.asked() != 0 {
        let reason = "memory was asked for on an access of a guest".to_owned();
        answer.outcome = Err(Trap::Fault(reason));
    }
    // Only the lock of the first domain is in the trace.
    let reaches_unlocked = |entry: &Entry| {
        matches!(
            entry.event,
            Event::MmioRead { .. } | Event::MmioWrite { .. }
        ) && entry.held.rwlocks[1] != READ_LOCKED as u32
    };
    if list_is_locked && domain == 0 && side.env().trace.iter().any(reaches_unlocked) {
        let reason = "registers of a function were reached without its domain's lock".to_owned();
        answer.outcome = Err(Trap::Fault(reason));
    }
    let (Op::Write { domain, .. } | Op::Completion { domain, .. }) = op else {
        return Some(answer);
    };
    let first = side.env().irq_desc;
    let base = side.env().offset(first);
    let masks_foreign = side.env().trace.iter().any(|entry| match entry.event {
        Event::Call("guest_mask_msi_irq", [place, ..]) => {
            let number = (place - base) as usize / size_of::<sys::irq_desc>();
            world.is_foreign(first.wrapping_add(number), domain % 2)
        }
        _ => false,
    });
    if masks_foreign {
        answer.outcome = Err(Trap::Fault(
            "a guest masked an interrupt of another domain's function".to_owned(),
        ));
    }
    Some(answer)
}

fn carry_out(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    match *op {
        Op::Accept {
            domain,
            vcpu,
            request,
        } => {
            let ops = world.enter(side, domain, vcpu)?;
            fill(world.ioreq, &request, sys::STATE_IOREQ_READY);
            let accept = get!(ops.1, accept)? as usize;
            let answer = Answer::bool(side.call(accept, &[ops.0, world.ioreq as u64], script));
            world.accepted = answer.outcome == Ok(1);
            Some(answer)
        }
        Op::Read {
            domain,
            vcpu,
            address,
            len,
            guarded,
        } => {
            let ops = world.enter(side, domain, vcpu)?;
            if guarded && !world.accepted {
                // The device model answers.
                side.env().trace.clear();
                return Some(Answer::int(Ok(u64::from(sys::X86EMUL_UNHANDLEABLE))));
            }
            world.set_value(0x1122_3344_5566_7788);
            let read = get!(ops.1, read)? as usize;
            let arguments = [ops.0, address, word(len), world.value as u64];
            let mut answer = Answer::int(side.call(read, &arguments, script));
            // Nobody looks at the value of a read that was not done.
            if answer.outcome == Ok(u64::from(sys::X86EMUL_OKAY)) {
                answer.output = Some(world.value());
            }
            Some(answer)
        }
        Op::Write {
            domain,
            vcpu,
            address,
            len,
            value,
            guarded,
        } => {
            let ops = world.enter(side, domain, vcpu)?;
            if guarded && !world.accepted {
                return None;
            }
            let write = get!(ops.1, write)? as usize;
            let arguments = [ops.0, address, word(len), value];
            let outcome = shared(world, || side.call(write, &arguments, script));
            Some(Answer::int(outcome))
        }
        Op::Completion {
            domain,
            vcpu,
            answered,
        } => {
            let domain = &world.domains[domain % 2];
            let vcpu = domain.vcpus[vcpu % domain.vcpus.len()];
            let io = hvm_io(vcpu);
            world.completes = get!(io, msix_snoop_address) | get!(io, msix_unmask_address) != 0;
            let request = addr!(vcpu, io.req);
            match answered {
                Some(answered) => fill(request, &answered, sys::STATE_IORESP_READY),
                // The emulator has taken whatever was answered before.
                None => set_state(request, sys::STATE_IOREQ_NONE),
            }

            side.cpu.set_current(vcpu, PROCESSOR);
            let complete = api.of("msix_write_completion");
            let outcome = shared(world, || side.call(complete, &[vcpu as u64], script));
            Some(Answer::void(outcome))
        }
        Op::Block {
            domain,
            vcpu,
            blocked,
        } => {
            let domain = &world.domains[domain % 2];
            let vcpu = domain.vcpus[vcpu % domain.vcpus.len()];
            let bit = sys::XEN_IRQ_VPF_BLOCKED_IN_XEN;
            let flags = get!(vcpu, pause_flags);
            set!(
                vcpu,
                pause_flags,
                if blocked { flags | bit } else { flags & !bit }
            );
            None
        }
        _ => None,
    }
}

/// Writes a request as it is in a state, or idle if it is not ready.
pub(super) fn set_state(ioreq: *mut sys::ioreq, state: u32) {
    // SAFETY: the request lies in the arena, and the reference ends with the statement.
    unsafe { &mut *ioreq }.set_state(state as u8);
}

pub(super) fn fill(ioreq: *mut sys::ioreq, request: &Request, state: u32) {
    set!(ioreq, addr, request.address);
    set!(ioreq, data, request.data);
    set!(ioreq, size, request.size);
    set!(ioreq, count, request.count);
    set!(ioreq, type_, sys::IOREQ_TYPE_COPY as u8);
    let state = if request.ready {
        state
    } else {
        sys::STATE_IOREQ_NONE
    };
    let direction = if request.write {
        sys::IOREQ_WRITE
    } else {
        sys::IOREQ_READ
    };
    set_state(ioreq, state);
    // SAFETY: the request lies in the arena, and the reference ends with the block.
    let ioreq = unsafe { &mut *ioreq };
    ioreq.set_dir(direction as u8);
    ioreq.set_df(request.backwards.into());
    ioreq.set_data_is_ptr(request.pointer.into());
}

fn delivery(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    match *op {
        Op::Deliver {
            domain,
            arguments: [vector, dest, logical, mode, trigger],
        } => {
            let domain = world.domains[domain % 2].domain as u64;
            let arguments = [
                domain,
                word(vector as u32),
                byte(dest),
                byte(logical),
                byte(mode),
                byte(trigger),
            ];
            Some(Answer::int(side.call(
                api.of("vmsi_deliver"),
                &arguments,
                script,
            )))
        }
        Op::DeliverPirq {
            domain,
            vector,
            flags,
        } => {
            let domain = world.domains[domain % 2].domain as u64;
            set!(
                world.dpci,
                flags,
                sys::HVM_IRQ_DPCI_GUEST_MSI | sys::HVM_IRQ_DPCI_MAPPED
            );
            set!(world.dpci, gmsi.gvec, vector);
            set!(world.dpci, gmsi.gflags, flags);
            let arguments = [domain, world.dpci as u64];
            Some(Answer::void(side.call(
                api.of("vmsi_deliver_pirq"),
                &arguments,
                script,
            )))
        }
        Op::DestinationVcpu {
            domain,
            arguments: [dest, logical],
        } => {
            let domain = world.domains[domain % 2].domain as u64;
            let arguments = [domain, byte(dest), byte(logical)];
            Some(Answer::int(side.call(
                api.of("hvm_girq_dest_2_vcpu_id"),
                &arguments,
                script,
            )))
        }
        _ => None,
    }
}

fn vpci(side: &mut Side, api: &Api, world: &mut World, op: &Op, script: Script) -> Option<Answer> {
    let count = world.devices.len();
    let device = match *op {
        Op::MsiInit { device }
        | Op::MsiEnable { device, .. }
        | Op::MsiUpdate { device, .. }
        | Op::MsiMask { device, .. }
        | Op::MsiDisable { device }
        | Op::MsiPrint { device }
        | Op::MsixInit { device, .. }
        | Op::MsixEnable { device, .. }
        | Op::MsixMask { device, .. }
        | Op::MsixDisable { device, .. }
        | Op::MsixPrint { device, .. } => device % count.max(1),
        _ => return None,
    };
    let device = world.devices.get(device).filter(|device| !device.gone)?;
    let domain = world.domains[device.domain].domain;
    set!(domain, pci_lock.cnts.counter, READ_LOCKED);
    let answer = match op {
        Op::MsiInit { .. }
        | Op::MsiEnable { .. }
        | Op::MsiUpdate { .. }
        | Op::MsiMask { .. }
        | Op::MsiDisable { .. }
        | Op::MsiPrint { .. } => vpci_msi(side, api, device, op, script),
        Op::MsixPrint { meanwhile, .. } => {
            print_msix(side, api, device, domain, *meanwhile, script)
        }
        _ => vpci_msix(side, api, device, op, script),
    };
    let counter = get!(domain, pci_lock.cnts.counter);
    set!(domain, pci_lock.cnts.counter, counter - READ_LOCKED);
    answer
}

fn set_message(msi: *mut sys::vpci_vpci_msi, setup: &Message) {
    set!(msi, address, setup.address);
    set!(msi, data, setup.data as u16);
    set!(msi, mask, setup.mask);
}

fn vpci_msi(
    side: &mut Side,
    api: &Api,
    device: &super::world::Device,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let (msi, pdev) = (device.msi, device.pdev);
    let mapped = get!(msi, arch.pirq) != sys::XEN_IRQ_INVALID_PIRQ;
    match *op {
        Op::MsiInit { .. } => Some(Answer::void(side.call(
            api.of("vpci_msi_arch_init"),
            &[msi as u64],
            script,
        ))),
        Op::MsiEnable {
            vectors, ref setup, ..
        } if !mapped => {
            set_message(msi, setup);
            // SAFETY: the structure lies in the arena, and the reference ends with the statement.
            unsafe { (*msi).set_vectors(vectors as u8) };
            let arguments = [msi as u64, pdev as u64, word(vectors)];
            Some(Answer::int(side.call(
                api.of("vpci_msi_arch_enable"),
                &arguments,
                script,
            )))
        }
        Op::MsiUpdate { ref setup, .. } if mapped => {
            set_message(msi, setup);
            Some(Answer::void(side.call(
                api.of("vpci_msi_arch_update"),
                &[msi as u64, pdev as u64],
                script,
            )))
        }
        Op::MsiMask { entry, mask, .. } => {
            let arguments = [msi as u64, pdev as u64, word(entry), byte(mask)];
            Some(Answer::void(side.call(
                api.of("vpci_msi_arch_mask"),
                &arguments,
                script,
            )))
        }
        Op::MsiDisable { .. } if mapped => Some(Answer::void(side.call(
            api.of("vpci_msi_arch_disable"),
            &[msi as u64, pdev as u64],
            script,
        ))),
        Op::MsiPrint { .. } => Some(Answer::void(side.call(
            api.of("vpci_msi_arch_print"),
            &[msi as u64],
            script,
        ))),
        _ => None,
    }
}

fn vpci_msix(
    side: &mut Side,
    api: &Api,
    device: &super::world::Device,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    let entry = match *op {
        Op::MsixInit { entry, .. }
        | Op::MsixEnable { entry, .. }
        | Op::MsixMask { entry, .. }
        | Op::MsixDisable { entry, .. } => entry,
        _ => return None,
    };
    if device.vpci_entries == 0 {
        return None;
    }
    let entry = device.entries.wrapping_add(entry % device.vpci_entries);
    let mapped = get!(entry, arch.pirq) != sys::XEN_IRQ_INVALID_PIRQ;
    let pdev = device.pdev as u64;
    match *op {
        Op::MsixInit { .. } => Some(Answer::void(side.call(
            api.of("vpci_msix_arch_init_entry"),
            &[entry as u64],
            script,
        ))),
        Op::MsixEnable {
            table, ref setup, ..
        } if !mapped => {
            set!(entry, addr, setup.address);
            set!(entry, data, setup.data);
            // SAFETY: the entry lies in the arena, and the reference ends with the statement.
            unsafe { (*entry).set_masked(setup.mask & 1 != 0) };
            let arguments = [entry as u64, pdev, table];
            Some(Answer::int(side.call(
                api.of("vpci_msix_arch_enable_entry"),
                &arguments,
                script,
            )))
        }
        Op::MsixMask { mask, .. } => {
            let arguments = [entry as u64, pdev, byte(mask)];
            Some(Answer::void(side.call(
                api.of("vpci_msix_arch_mask_entry"),
                &arguments,
                script,
            )))
        }
        Op::MsixDisable { .. } => {
            let arguments = [entry as u64, pdev];
            Some(Answer::int(side.call(
                api.of("vpci_msix_arch_disable_entry"),
                &arguments,
                script,
            )))
        }
        _ => None,
    }
}

fn print_msix(
    side: &mut Side,
    api: &Api,
    device: &super::world::Device,
    domain: *mut sys::domain,
    meanwhile: Meanwhile,
    mut script: Script,
) -> Option<Answer> {
    let pci_lock = addr!(domain, pci_lock.cnts.counter) as u64;
    let (pdev, vpci) = (device.pdev as u64, device.vpci as u64);
    let vpci_lock = addr!(device.vpci, lock) as u64;
    script.meanwhile = match meanwhile {
        Meanwhile::Nothing => None,
        Meanwhile::TakePciLock => Some((take_pci_lock, pci_lock)),
        Meanwhile::TakeVpciLock => Some((take_vpci_lock, vpci_lock)),
        Meanwhile::RemoveVpci => Some((remove_vpci, pdev)),
        Meanwhile::ReplaceMsix => Some((replace_msix, vpci)),
    };
    force_lock(vpci_lock);
    let mut answer = Answer::int(side.call(
        api.of("vpci_msix_arch_print"),
        &[device.msix as u64],
        script,
    ));
    // Which locks are held afterwards depends on the result; it is part of the answer.
    let words = (
        get!(domain, pci_lock.cnts.counter) as u32,
        is_locked(vpci_lock),
    );
    answer.output = Some(u64::from(words.0) | u64::from(words.1) << 32);
    if is_locked(vpci_lock) {
        force_unlock(vpci_lock);
    }
    set!(domain, pci_lock.cnts.counter, READ_LOCKED);
    set!(device.pdev, vpci, device.vpci);
    set!(device.vpci, msix, device.msix);
    Some(answer)
}

fn take_pci_lock(lock: u64) {
    // SAFETY: the word of a read-write lock of the world.
    unsafe { (lock as *mut i32).write(3 << 14 | 1) };
}

fn take_vpci_lock(lock: u64) {
    force_lock(lock);
}

fn remove_vpci(pdev: u64) {
    set!(pdev as *mut sys::pci_dev, vpci, std::ptr::null_mut());
}

fn replace_msix(vpci: u64) {
    set!(vpci as *mut sys::vpci, msix, std::ptr::null_mut());
}
