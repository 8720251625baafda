//! Domains with vCPUs, devices with MSI descriptors, and the interrupts behind them.

use std::cell::Cell;
use std::ptr;

use xen_sys as sys;

use super::op::Op;
use super::pcidevs;
use super::platform::Platform;
use crate::machine::function::Function;
use crate::side::{Env, Side};
use crate::xen::{add_to_list, addr, get, init_list, remove_from_list, set};

/// What `smp_processor_id()` answers.
pub(super) const PROCESSOR: u32 = 3;
/// The words of a read-write lock: held for writing by our processor, or held once for reading.
pub(super) const WRITE_LOCKED: i32 = 3 << 14 | PROCESSOR as i32;
pub(super) const READ_LOCKED: i32 = 1 << 16;

/// Where each device's MSI-X capability is, and the base address of its memory.
const MSIX_POS: u8 = 0x70;
const BAR: u32 = 0xfe10_0000;

/// What an MSI descriptor describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A vector of the MSI-X table, with an interrupt.
    Msix,
    /// As before, but not bound to an interrupt: `irq` is negative.
    MsixWithoutIrq,
    /// A message of the plain MSI capability.
    Msi,
}

/// One MSI descriptor.
#[derive(Clone, Copy, Debug)]
pub(super) struct DescSpec {
    pub(super) entry: u16,
    pub(super) kind: Kind,
    pub(super) guest_masked: bool,
}

/// One device.
#[derive(Clone, Debug)]
pub(super) struct DeviceSpec {
    pub(super) domain: usize,
    pub(super) entries: u32,
    pub(super) gtable: u64,
    pub(super) descs: Vec<DescSpec>,
    /// Fixmap indices of the pages beside the table.
    pub(super) adjacent: [u32; 2],
    /// First and last page of the table, then of the pending-bit array.
    pub(super) pages: [u64; 4],
    /// Where in their first pages the table and the pending-bit array begin.
    pub(super) offsets: [u16; 2],
    pub(super) warned: (u16, u8),
    pub(super) vpci_entries: usize,
}

/// A world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    /// Interrupts of the machine.
    pub(super) irqs: usize,
    /// vCPUs of the two HVM domains.
    pub(super) vcpus: [usize; 2],
    /// Which local APICs are switched off: one bit per vCPU of the first domain.
    pub(super) disabled: u64,
    pub(super) devices: Vec<DeviceSpec>,
    /// Whether interrupts are posted; it matters where msi.c is in C.
    pub(super) intpost: bool,
    /// Whether msi.c is in C on Rust's side.
    pub(super) has_c_msi: bool,
}

/// A domain.
pub(super) struct Domain {
    pub(super) domain: *mut sys::domain,
    pub(super) vcpus: Vec<*mut sys::vcpu>,
    pub(super) handlers: *mut sys::hvm_io_handler,
}

/// A device.
pub(super) struct Device {
    pub(super) domain: usize,
    pub(super) pdev: *mut sys::pci_dev,
    pub(super) vpci: *mut sys::vpci,
    pub(super) msi: *mut sys::vpci_vpci_msi,
    pub(super) msix: *mut sys::vpci_vpci_msix,
    pub(super) entries: *mut sys::vpci_vpci_msix_vpci_msix_entry,
    pub(super) vpci_entries: usize,
    /// Whether it was removed: its structures are freed.
    pub(super) gone: bool,
}

/// An MSI descriptor, its interrupt and its pirq.
pub(super) struct Desc {
    pub(super) device: usize,
    pub(super) spec: DescSpec,
    pub(super) desc: *mut sys::msi_desc,
    pub(super) pirq: *mut sys::pirq,
    pub(super) irq: *mut sys::irq_desc,
    pub(super) live: bool,
}

/// A built world.
pub(crate) struct World {
    pub(super) spec: Spec,
    /// Whether a domain's list of functions is read with its lock held: msi.c is in Rust.
    pub(super) list_is_locked: bool,
    /// Whether reads of that list are watched. Each is a fault, which takes its time.
    pub(super) watches: bool,
    pub(super) dom0_vcpu: *mut sys::vcpu,
    /// Two HVM domains with local APICs, and three that lack one or both.
    pub(super) domains: Vec<Domain>,
    pub(super) devices: Vec<Device>,
    pub(super) descs: Vec<Desc>,
    /// A pirq without an interrupt, and one whose interrupt is no MSI.
    pub(super) odd_pirqs: [*mut sys::pirq; 2],
    pub(super) ioreq: *mut sys::ioreq,
    pub(super) value: *mut u64,
    pub(super) dpci: *mut sys::hvm_pirq_dpci,
    /// Where the locks are in the arena that keep the mappings beside tables: those of the tables'
    /// pages, or `pcidevs_lock`.
    pub(super) page_locks: Vec<u64>,
    /// Whether the last request was accepted.
    pub(super) accepted: bool,
    /// Whether the last completion had something left to do.
    pub(super) completes: bool,
    /// What another CPU does when the lock of an interrupt is asked for next.
    pub(super) exchange: Option<Exchange>,
}

/// Another CPU unmaps the interrupt whose lock is asked for, and maps its IRQ for another
/// descriptor, before the lock is granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// The descriptor that gets the IRQ, and whether the guest has it masked.
    pub(super) to: usize,
    pub(super) masked: bool,
    /// The descriptor that had the IRQ, if it was done.
    pub(super) from: Option<usize>,
}

/// What a table is made of, however many entries it has.
const PAGE: usize = 4096;

impl World {
    pub(super) fn build(side: &mut Side, spec: &Spec) -> Self {
        let list_is_locked = side.image.symbol("pci_cleanup_msi").is_ok();
        let pcidevs: *mut u32 = side.env().arena.object("pcidevs_lock", 0);
        pcidevs::build(side, pcidevs as u64, spec.intpost);
        side.env().heap.most = PAGE;
        let irqs = Self::interrupts(side, spec.irqs);
        let dom0 = build_domain(side, 0, 0, 1, 0, 0);
        let (hvm, apic) = (sys::XEN_IRQ_CDF_HVM as u32, sys::XEN_IRQ_EMU_LAPIC as u32);
        let kinds = [
            (spec.vcpus[0], hvm, apic),
            (spec.vcpus[1], hvm, apic),
            (1, 0, 0),
            (1, hvm, 0),
            (1, 0, apic),
        ];
        let domains: Vec<_> = kinds
            .into_iter()
            .enumerate()
            .map(|(number, (vcpus, options, emulated))| {
                build_domain(
                    side,
                    number + 1,
                    5 + number as u16,
                    vcpus,
                    options,
                    emulated,
                )
            })
            .collect();
        for (number, vcpu) in domains[0].vcpus.iter().enumerate() {
            set!(
                vlapic(*vcpu),
                hw.disabled,
                (spec.disabled >> number) as u32 & 1
            );
        }
        let arena = &mut side.env().arena;
        let mut world = Self {
            list_is_locked,
            watches: true,
            spec: spec.clone(),
            dom0_vcpu: dom0.vcpus[0],
            domains,
            devices: Vec::new(),
            descs: Vec::new(),
            odd_pirqs: [0, 1].map(|number| arena.object("odd pirq", number)),
            ioreq: arena.object("ioreq", 0),
            value: arena.object("value", 0),
            dpci: arena.object("dpci", 0),
            page_locks: Vec::new(),
            accepted: false,
            completes: false,
            exchange: None,
        };
        // Interrupt 0 does not exist for guests; the last one belongs to a line.
        set!(world.odd_pirqs[1], arch.irq, (spec.irqs - 1) as i32);
        arena.keep_private(world.value);
        for device in &spec.devices {
            world.add_device(side, device, irqs);
        }
        if spec.has_c_msi {
            world.page_locks = vec![side.env().offset(pcidevs)];
        }
        let first = world.domains[0].domain;
        side.env().watched = [
            addr!(first, event_lock.cnts) as *const u32,
            addr!(first, pci_lock.cnts) as *const u32,
        ];
        side.cpu.set_current(world.dom0_vcpu, PROCESSOR);
        world
    }

    fn interrupts(side: &mut Side, count: usize) -> *mut sys::irq_desc {
        let irqs: *mut sys::irq_desc = {
            let arena = &mut side.env().arena;
            // The descriptors are aligned to a cache line: their addresses are told apart by a
            // shift.
            arena.align(align_of::<sys::irq_desc>());
            // One more in front: who takes the number of a missing interrupt for an index finds one
            // that looks alive, and not what the memory there happens to hold.
            let missing: *mut sys::irq_desc = arena.objects("irq_desc", 0, count + 1);
            set!(missing, irq, -1);
            set!(missing, msi_desc, missing.cast());
            missing.wrapping_add(1)
        };
        for number in 0..count {
            set!(irqs.wrapping_add(number), irq, number as i32);
        }
        if let Some(variable) = side.image.variable("nr_irqs") {
            // SAFETY: the variable is four bytes of the image, and no call runs.
            unsafe { (variable as *mut u32).write(count as u32) };
        }
        side.env().irq_desc = irqs;
        if let Some(variable) = side.image.variable("irq_desc") {
            // SAFETY: the variable is eight bytes of the image, and no call runs.
            unsafe { (variable as *mut *mut sys::irq_desc).write(irqs) };
        }
        irqs
    }

    fn add_device(&mut self, side: &mut Side, spec: &DeviceSpec, irqs: *mut sys::irq_desc) {
        let number = self.devices.len();
        let arena = &mut side.env().arena;
        let pdev: *mut sys::pci_dev = arena.object("pci_dev", number);
        let msix: *mut sys::arch_msix = arena.object("arch_msix", number);
        let vpci: *mut sys::vpci = arena.object("vpci", number);
        let vpci_msi: *mut sys::vpci_vpci_msi = arena.object("vpci_msi", number);
        let entry = size_of::<sys::vpci_vpci_msix_vpci_msix_entry>();
        let bytes = size_of::<sys::vpci_vpci_msix>() + entry * spec.vpci_entries;
        let vpci_msix = arena
            .objects::<u64>("vpci_msix", number, bytes / 8)
            .cast::<sys::vpci_vpci_msix>();

        set!(pdev, msix, msix);
        set!(pdev, msix_pos, MSIX_POS);
        self.page_locks
            .push(arena.offset(addr!(msix, table_lock) as u64));
        set!(pdev, domain, self.domains[spec.domain].domain);
        add_to_list(
            addr!(pdev, domain_list),
            addr!(self.domains[spec.domain].domain, pdev_list),
        );
        set!(pdev, vpci, vpci);
        set!(
            pdev,
            __bindgen_anon_1.sbdf.sbdf,
            0x0003_1a2b + ((number as u32) << 3)
        );
        let mut function = Function::new(get!(pdev, __bindgen_anon_1.sbdf.sbdf));
        function.set(0x10, 4, BAR);
        let registers = usize::from(MSIX_POS);
        for (register, offset) in [registers + 4, registers + 8].into_iter().zip(spec.offsets) {
            function.set(register, 4, offset.into());
        }
        side.env().machine.pci.functions.push(function);
        init_list(addr!(pdev, msi_list));
        set!(msix, nr_entries, spec.entries);
        set!(msix, adj_access_idx, spec.adjacent);
        set!(msix, table.first, spec.pages[0]);
        set!(msix, table.last, spec.pages[1]);
        set!(msix, pba.first, spec.pages[2]);
        set!(msix, pba.last, spec.pages[3]);
        set!(msix, warned_domid, spec.warned.0);
        set!(msix, warned_kind.all, spec.warned.1);

        set!(vpci, msi, vpci_msi);
        set!(vpci, msix, vpci_msix);
        set!(vpci_msix, pdev, pdev);
        // SAFETY: the object was made with this many entries behind it, and no reference to it
        // lives on.
        let entries = unsafe {
            (*vpci_msix).set_max_entries(spec.vpci_entries as u16);
            (*vpci_msix).entries.as_mut_ptr()
        };
        // Nothing is mapped to begin with.
        let none = sys::XEN_IRQ_INVALID_PIRQ;
        set!(vpci_msi, arch.pirq, none);
        for entry in 0..spec.vpci_entries {
            set!(entries.wrapping_add(entry), arch.pirq, none);
        }
        self.devices.push(Device {
            domain: spec.domain,
            pdev,
            vpci,
            msi: vpci_msi,
            msix: vpci_msix,
            entries,
            vpci_entries: spec.vpci_entries,
            gone: false,
        });

        for desc_spec in &spec.descs {
            let index = self.descs.len();
            let arena = &mut side.env().arena;
            let desc: *mut sys::msi_desc = arena.object("msi_desc", index);
            let pirq: *mut sys::pirq = arena.object("pirq", index);
            let irq = index % (self.spec.irqs - 2) + 1;
            self.descs.push(Desc {
                device: number,
                spec: *desc_spec,
                desc,
                pirq,
                irq: irqs.wrapping_add(irq),
                live: false,
            });
            let domain = self.domains[spec.domain].domain as u64;
            let platform: &mut Platform = side.env().unit.of_mut();
            platform.pirqs.push((domain, index as i32 + 8, pirq));
            self.link(side.env(), index);
        }
    }

    /// Gives a device an MSI descriptor, as mapping a pirq does.
    pub(super) fn link(&mut self, env: &mut Env, index: usize) {
        let entry = &mut self.descs[index];
        let pdev = self.devices[entry.device].pdev;
        let (desc, spec) = (entry.desc, entry.spec);
        entry.live = true;
        env.arena.publish(desc);
        env.arena.poison(desc, 0);
        let kind = if spec.kind == Kind::Msi {
            sys::PCI_CAP_ID_MSI
        } else {
            sys::PCI_CAP_ID_MSIX
        };
        let irq = get!(entry.irq, irq);
        set!(desc, msi_attrib.type_, kind as u8);
        set!(desc, msi_attrib.entry_nr, spec.entry);
        set_guest_masked(desc, spec.guest_masked);
        // The guest must see its own mask, whatever Xen's is.
        set_host_masked(desc, spec.entry % 2 == 0);
        set!(desc, dev, pdev);
        set!(
            desc,
            irq,
            if spec.kind == Kind::MsixWithoutIrq {
                -1
            } else {
                irq
            }
        );
        set!(entry.pirq, pirq, index as i32 + 8);
        // A descriptor that is still being set up belongs to no interrupt.
        if spec.kind != Kind::MsixWithoutIrq {
            set!(entry.irq, msi_desc, desc);
            set!(entry.pirq, arch.irq, irq);
        }
        if spec.kind != Kind::Msi {
            let used = get!(get!(pdev, msix), used_entries);
            set!(get!(pdev, msix), used_entries, used + 1);
        }
        add_to_list(addr!(desc, list), addr!(pdev, msi_list));
    }

    /// Takes an MSI descriptor away, as unmapping a pirq does, whether or not the guest's table
    /// knows of it.
    pub(super) fn unlink(&mut self, env: &mut Env, index: usize) {
        let entry = &mut self.descs[index];
        entry.live = false;
        remove_from_list(addr!(entry.desc, list));
        let msix = get!(self.devices[entry.device].pdev, msix);
        if entry.spec.kind != Kind::Msi {
            let used = get!(msix, used_entries);
            set!(msix, used_entries, used - 1);
        }
        set!(entry.irq, msi_desc, ptr::null_mut());
        set!(entry.pirq, arch.irq, 0);
        env.arena.poison(entry.desc, env.poison);
        env.arena.keep_private(entry.desc);
    }

    /// Carries out what another CPU does when the lock of an interrupt is asked for.
    fn act_at_lock(&mut self, env: &mut Env, irq: *mut sys::irq_desc) {
        let had = |desc: &Desc| desc.live && desc.irq == irq;
        let (Some(mut exchange), Some(from)) = (self.exchange, self.descs.iter().position(had))
        else {
            return;
        };
        let to = exchange.to;
        if exchange.from.is_some() || self.descs[to].live {
            return;
        }
        self.unlink(env, from);
        let irqs = (self.descs[from].irq, self.descs[to].irq);
        (self.descs[to].irq, self.descs[from].irq) = irqs;
        self.link(env, to);
        set_guest_masked(self.descs[to].desc, exchange.masked);
        exchange.from = Some(from);
        self.exchange = Some(exchange);
    }
}

impl World {
    /// Removes a device, as `pci_remove_device()` does: its descriptors and structures are freed,
    /// and the table is not told. `before_free` is what `pci_cleanup_msi()` does besides.
    pub(super) fn remove(
        &mut self,
        side: &mut Side,
        number: usize,
        before_free: impl FnOnce(&mut Side, *mut sys::pci_dev),
    ) {
        let device = &mut self.devices[number];
        device.gone = true;
        let (pdev, vpci) = (device.pdev, device.vpci);
        remove_from_list(addr!(pdev, domain_list));
        for index in 0..self.descs.len() {
            if self.descs[index].device == number && self.descs[index].live {
                self.unlink(side.env(), index);
            }
        }
        // No configuration space stands behind it.
        set!(pdev, msix_pos, 0);
        before_free(side, pdev);
        let msix = get!(pdev, msix);
        let env = side.env();
        env.arena.poison(pdev, env.poison);
        env.arena.keep_private(pdev);
        env.arena.poison(msix, env.poison);
        env.arena.keep_private(msix);
        env.arena.poison(vpci, env.poison);
        env.arena.keep_private(vpci);
    }

    /// A device leaves without a word, its interrupts unmapped and not unbound, and another one's
    /// structure gets the memory: it is at another place on the bus.
    pub(super) fn replace(&mut self, side: &mut Side, number: usize) {
        for index in 0..self.descs.len() {
            if self.descs[index].device == number && self.descs[index].live {
                self.unlink(side.env(), index);
            }
        }
        let pdev = self.devices[number].pdev;
        let old = get!(pdev, __bindgen_anon_1.sbdf.sbdf);
        let new = old ^ 0x100;
        set!(pdev, __bindgen_anon_1.sbdf.sbdf, new);
        let functions = &mut side.env().machine.pci.functions;
        for function in functions.iter_mut().filter(|function| function.sbdf == old) {
            function.sbdf = new;
        }
    }

    /// Gives a device to the other of the two HVM domains.
    pub(super) fn assign(&mut self, number: usize) {
        let device = &mut self.devices[number];
        device.domain ^= 1;
        let domain = self.domains[device.domain].domain;
        remove_from_list(addr!(device.pdev, domain_list));
        set!(device.pdev, domain, domain);
        add_to_list(addr!(device.pdev, domain_list), addr!(domain, pdev_list));
    }

    /// Whether an interrupt belongs to a device of another domain than the one with a number.
    pub(super) fn is_foreign(&self, irq: *mut sys::irq_desc, domain: usize) -> bool {
        self.descs
            .iter()
            .filter(|desc| desc.live && desc.irq == irq)
            .any(|desc| self.devices[desc.device].domain != domain)
    }

    /// What a step meets that is rare.
    pub(super) fn met_by(&self, op: &Op) -> Vec<&'static str> {
        let (domain, address) = match *op {
            Op::Accept {
                domain, request, ..
            } => (domain % 2, request.address),
            Op::Read {
                domain, address, ..
            }
            | Op::Write {
                domain, address, ..
            } => (domain % 2, address),
            _ => return Vec::new(),
        };
        let mut met = Vec::new();
        for (number, device) in self.devices.iter().enumerate() {
            let spec = &self.spec.devices[number];
            let Some(offset) = address.checked_sub(spec.gtable) else {
                continue;
            };
            if offset >= u64::from(spec.entries) * 16 {
                continue;
            }
            let sends = |desc: &&Desc| {
                desc.device == number && u64::from(desc.spec.entry) == offset / 16 && desc.live
            };
            met.push(match self.descs.iter().find(sends) {
                _ if device.gone => "a function that is gone",
                _ if device.domain != domain => "another domain's function",
                None => "an entry without an interrupt",
                Some(desc) if desc.spec.kind == Kind::MsixWithoutIrq => "an entry without an IRQ",
                Some(_) => "an entry with an interrupt",
            });
        }
        if met.is_empty() {
            met.push("no table");
        }
        met
    }

    /// The interrupts whose descriptors name an MSI.
    pub(super) fn bound(&self) -> impl Iterator<Item = *mut sys::irq_desc> {
        let live = self.descs.iter().filter(|desc| desc.live);
        live.filter(|desc| get!(desc.irq, msi_desc) == desc.desc)
            .map(|desc| desc.irq)
    }

    /// A pirq and the device whose table it belongs to; two of them are odd ones.
    pub(super) fn pirq(&self, index: usize) -> Option<(*mut sys::pirq, usize)> {
        self.devices.first()?;
        let index = index % (self.descs.len() + 2);
        match self.descs.get(index) {
            Some(desc) => Some((desc.pirq, desc.device)),
            None => Some((self.odd_pirqs[index - self.descs.len()], 0)),
        }
    }

    /// Lets a vCPU be current; answers the handler of its domain's tables, once there is one.
    pub(super) fn enter(
        &self,
        side: &mut Side,
        domain: usize,
        vcpu: usize,
    ) -> Option<(u64, *const sys::hvm_io_ops)> {
        let domain = &self.domains[domain % 2];
        let ops = get!(domain.handlers, ops);
        side.cpu
            .set_current(domain.vcpus[vcpu % domain.vcpus.len()], PROCESSOR);
        (!ops.is_null()).then_some((domain.handlers as u64, ops))
    }

    /// The buffer that a read answers into.
    pub(super) fn value(&self) -> u64 {
        // SAFETY: the buffer lies in the arena.
        unsafe { self.value.read() }
    }

    /// Fills the buffer.
    pub(super) fn set_value(&self, value: u64) {
        // SAFETY: the buffer lies in the arena.
        unsafe { self.value.write(value) };
    }
}

thread_local! {
    /// The world in which another CPU acts, while a call runs.
    static SHARED: Cell<*mut World> = const { Cell::new(ptr::null_mut()) };
}

/// Lets another CPU act in a world during a call, which is not to use the world in another way.
pub(super) fn shared<R>(world: &mut World, call: impl FnOnce() -> R) -> R {
    SHARED.set(world);
    let result = call();
    SHARED.set(ptr::null_mut());
    result
}

/// The lock of an interrupt's descriptor is asked for.
pub(super) fn act_at_lock(env: &mut Env, irq: *mut sys::irq_desc) {
    // SAFETY: `shared` lends the world for the call that runs.
    if let Some(world) = unsafe { SHARED.get().as_mut() } {
        world.act_at_lock(env, irq);
    }
}

/// Writes the bit-field `msi_attrib.guest_masked`.
pub(super) fn set_guest_masked(desc: *mut sys::msi_desc, masked: bool) {
    let attributes = addr!(desc, msi_attrib);
    // SAFETY: the descriptor lies in the arena, and the reference ends with the statement.
    unsafe { (*attributes).set_guest_masked(masked) };
}

/// Writes the bit-field `msi_attrib.host_masked`.
fn set_host_masked(desc: *mut sys::msi_desc, masked: bool) {
    let attributes = addr!(desc, msi_attrib);
    // SAFETY: the descriptor lies in the arena, and the reference ends with the statement.
    unsafe { (*attributes).set_host_masked(masked) };
}

/// Reads the bit-field `msi_attrib.guest_masked`.
pub(super) fn guest_masked(desc: *mut sys::msi_desc) -> bool {
    // SAFETY: the descriptor lies in the arena, and the reference ends with the statement.
    unsafe { (*desc).msi_attrib.guest_masked() }
}

/// The local APIC of a vCPU.
pub(super) fn vlapic(vcpu: *mut sys::vcpu) -> *mut sys::vlapic {
    addr!(vcpu, arch.__bindgen_anon_1.hvm.vlapic)
}

/// The emulation state of a vCPU.
pub(super) fn hvm_io(vcpu: *mut sys::vcpu) -> *mut sys::hvm_vcpu_io {
    addr!(vcpu, arch.__bindgen_anon_1.hvm.hvm_io)
}

/// The HVM part of a domain.
pub(super) fn hvm(domain: *mut sys::domain) -> *mut sys::hvm_domain {
    addr!(domain, arch.__bindgen_anon_1.hvm)
}

fn build_domain(
    side: &mut Side,
    number: usize,
    id: u16,
    vcpus: usize,
    options: u32,
    emulated: u32,
) -> Domain {
    let arena = &mut side.env().arena;
    let domain: *mut sys::domain = arena.object("domain", number);
    let table: *mut *mut sys::vcpu = arena.objects("vcpu table", number, vcpus);
    let handlers: *mut sys::hvm_io_handler = arena.objects("hvm_io_handler", number, 4);
    let list: Vec<*mut sys::vcpu> = (0..vcpus)
        .map(|vcpu| arena.object("vcpu", number * 100 + vcpu))
        .collect();
    init_list(addr!(domain, pdev_list));
    set!(domain, domain_id, id);
    set!(domain, max_vcpus, vcpus as u32);
    set!(domain, vcpu, table);
    set!(domain, options, options);
    set!(domain, arch.emulation_flags, emulated);
    if options != 0 {
        set!(hvm(domain), io_handler, handlers);
        // What the file keeps in this list is its own business.
        arena.keep_private(addr!(hvm(domain), msixtbl_list));
        for handler in 0..4 {
            arena.keep_private(addr!(handlers.wrapping_add(handler), ops));
        }
    }
    if options != 0 {
        let tables: *const u64 = addr!(hvm(domain), msixtbl_list).cast();
        let env = side.env();
        env.rcu_roots.extend([tables, tables.wrapping_add(1)]);
    }
    let arena = &mut side.env().arena;
    for (id, vcpu) in list.iter().enumerate() {
        // SAFETY: the table was made for this many vCPUs.
        unsafe { table.wrapping_add(id).write(*vcpu) };
        set!(*vcpu, vcpu_id, id as i32);
        // `compare` looks at it where it means something.
        arena.keep_private(addr!(hvm_io(*vcpu), msix_snoop_gpa));
        set!(*vcpu, domain, domain);
        set!(
            *vcpu,
            next_in_list,
            list.get(id + 1).copied().unwrap_or(ptr::null_mut())
        );
    }
    Domain {
        domain,
        vcpus: list,
        handlers,
    }
}

/// Compares where the value of a snooped write is. Where none is snooped it means nothing to C, and
/// Rust has something of its own there.
pub(super) fn compare_snooped(c: &World, rust: &World) -> Result<(), String> {
    let snooped = |world: &World| -> Vec<(u64, u64)> {
        let vcpus = world.domains.iter().flat_map(|domain| &domain.vcpus);
        let snooped = vcpus.map(|vcpu| {
            let io = hvm_io(*vcpu);
            match get!(io, msix_snoop_address) {
                0 => (0, 0),
                address => (address, get!(io, msix_snoop_gpa)),
            }
        });
        snooped.collect()
    };
    let (c, rust) = (snooped(c), snooped(rust));
    if c == rust {
        Ok(())
    } else {
        Err(format!("the snooped writes differ: {c:x?} and {rust:x?}"))
    }
}

/// After a write beside a table, has C's notes of what was warned of be Rust's: C drops more, and
/// says so.
pub(super) fn settle_warnings(c: &World, rust: &World) {
    let there = c.devices.iter().zip(&rust.devices).filter(|(c, _)| !c.gone);
    for (c, rust) in there {
        let (c, rust) = (get!(c.pdev, msix), get!(rust.pdev, msix));
        set!(c, warned_domid, get!(rust, warned_domid));
        set!(c, warned_kind.all, get!(rust, warned_kind.all));
    }
}
