//! Functions, interrupts and domains.

use std::collections::BTreeMap;

use xen_sys as sys;

use super::controls::{cpu_mask_to_apicid, update_ire_from_msi};
use super::cpus::{FIRST_CPUS, set_cpus, spread_cpus};
use super::op::{Act, Change, Op};
use super::platform::{IRQ_DISABLED, Meanwhile, Platform, pointer_to};
use super::spec::{Owner, Runner, Spec};
use crate::answer::Answer;
use crate::machine::function::{COMMAND, MEMORY};
use crate::side::Side;
use crate::vtd::world::{set_element, set_variable};
use crate::xen::{addr, get, set};

/// Says which CPUs are online.
pub(super) fn set_online(side: &Side, cpus: u64) {
    if let Some(map) = side.image.variable("cpu_online_map") {
        set_cpus(map as *mut sys::cpumask, cpus);
    }
}
/// Descriptors of what is no device of a domain.
pub(super) const FOREIGN: usize = 4;
/// The word of `boot_cpu_data` with the features of leaf 0x8000_0001, EDX, and the bit of
/// non-executable pages there.
const NO_EXECUTE: (usize, u32) = (5, 1 << 20);
/// Where `struct genapic` has its two modes, and what makes an APIC ID.
const MODES: usize = 4;
const TO_APICID: usize = 5;
/// Where a domain is that is being created; nothing is mapped there.
const BEING_CREATED: u64 = 0x1000;
/// `DOMID_IO`, and that of the idle domain.
const DOM_IO: u16 = 0x7ff1;
const IDLE: u16 = 0x7fff;

/// Domains, by what they are.
#[derive(Clone, Copy)]
pub(super) struct Domain {
    pub(super) domain: *mut sys::domain,
    pub(super) vcpu: *mut sys::vcpu,
}

/// A built world.
pub(crate) struct World {
    pub(super) spec: Spec,
    pub(super) dom0: Domain,
    pub(super) guest: Domain,
    pub(super) idle: Domain,
    pub(super) dom_io: Domain,
    pub(super) devices: Vec<*mut sys::pci_dev>,
    pub(super) irqs: *mut sys::irq_desc,
    /// What callers pass, and where answers go.
    pub(super) info: *mut sys::msi_info,
    pub(super) out: *mut *mut sys::msi_desc,
    pub(super) data: *mut u32,
    /// What dom0 writes on another CPU inside a call.
    pub(super) other_data: *mut u32,
    pub(super) message: *mut sys::msi_msg,
    pub(super) mask: *mut sys::cpumask,
    /// A controller that is not of msi.c, and the descriptors of those that use it: IOMMUs and
    /// HPETs.
    pub(super) controller: *mut sys::hw_interrupt_type,
    pub(super) foreign: Vec<*mut sys::msi_desc>,
    /// Whether an MSI or the first entry was to be set up of a function that does not answer.
    pub(super) unanswered: bool,
    /// Which functions changed behind Xen, and was not looked at since.
    pub(super) behind: Vec<bool>,
    /// How often each function changed behind Xen, or the machine slept.
    pub(super) changes: Vec<u32>,
    /// Whose mask register of MSI may have been lost.
    pub(super) stale: Vec<bool>,
    /// Of which functions no entry was in use before this step.
    pub(super) unused: Vec<bool>,
    /// Which functions have lost their messages, and Xen has no way to know.
    pub(super) lost: Vec<bool>,
    /// Whether pages could not be protected in the last step.
    pub(super) not_protected: bool,
    /// Whether an interrupt was bound in the last step whose message has no CPU or no vector.
    pub(super) no_target: bool,
    /// Whether as many pages are mapped as can be.
    pub(super) is_full: bool,
    /// Whether an entry was set up that lies in two pages, or Xen stopped on the way.
    pub(super) crossed: bool,
    /// Whether the interrupt of an IOMMU is set up; it is so once.
    pub(super) iommu_set_up: bool,
}

impl World {
    pub(super) fn build(side: &mut Side, spec: &Spec) -> Self {
        spread_cpus(spec.cpus);
        let [dom0, guest, idle, dom_io] = [(0, 0), (1, 5), (2, IDLE), (3, DOM_IO)]
            .map(|(number, id)| build_domain(side, number, id));
        set!(dom0.domain, is_privileged, true);
        set!(guest.domain, options, sys::XEN_IRQ_CDF_HVM as u32);
        if spec.pvh {
            set!(dom0.domain, options, sys::XEN_IRQ_CDF_HVM as u32);
        }
        let irqs = interrupts(side, spec.irqs);
        let arena = &mut side.env().arena;
        let mut world = Self {
            spec: spec.clone(),
            dom0,
            guest,
            idle,
            dom_io,
            devices: Vec::new(),
            irqs,
            info: arena.object("msi_info", 0),
            out: arena.object("descriptor", 0),
            data: arena.object("data", 0),
            other_data: arena.object("data", 1),
            message: arena.object("msi_msg", 0),
            mask: arena.object("cpumask", 0),
            controller: arena.object("controller", 0),
            foreign: Vec::new(),
            unanswered: false,
            behind: vec![false; spec.devices.len()],
            changes: vec![0; spec.devices.len()],
            stale: vec![false; spec.devices.len()],
            unused: vec![true; spec.devices.len()],
            lost: vec![false; spec.devices.len()],
            not_protected: false,
            no_target: false,
            is_full: false,
            crossed: false,
            iommu_set_up: false,
        };
        arena.keep_private(world.out);
        // The side whose other CPU waits for its turn uses the other place.
        arena.keep_private(world.other_data);
        arena.keep_private(world.data);
        let name: *mut [u8; 16] = arena.object("name", 0);
        // SAFETY: the object was made for these bytes.
        unsafe { name.write(*b"IOMMU-MSI\0\0\0\0\0\0\0") };
        set!(world.controller, typename, name.cast());
        for (number, device) in spec.devices.iter().enumerate() {
            world.add_device(side, number, device);
        }
        world.set_variables(side);
        world.add_foreign(side);
        world.add_readers(side);
        world.run(
            side,
            if spec.booted {
                Runner::Dom0
            } else {
                Runner::Idle
            },
        );
        world
    }

    /// What a step meets that is rare, of the function that it is about.
    pub(super) fn met_by(&self, side: &mut Side, op: &Op) -> Vec<&'static str> {
        let device = match op {
            Op::Map(wish) | Op::Enable(wish) => Some(wish.device),
            Op::Cleanup { device, .. }
            | Op::Prepare { device, .. }
            | Op::ResetState { device }
            | Op::ConfigWrite { device, .. }
            | Op::Restore { device }
            | Op::SetEnable { device, .. } => Some(*device),
            Op::Irq { irq, .. } | Op::Race { irq, .. } | Op::Overlap { irq, .. } => {
                let irq = self.irqs.wrapping_add(irq % self.spec.irqs);
                let msi = get!(irq, msi_desc);
                let pdev = (!msi.is_null()).then(|| get!(msi, dev));
                pdev.and_then(|pdev| self.devices.iter().position(|known| *known == pdev))
            }
            _ => None,
        };
        let mut met = Vec::new();
        if side.env().machine.pci.fixmap.len() >= sys::FIX_MSIX_MAX_PAGES as usize {
            met.push("as many pages as can be");
        }
        let Some(device) = device.map(|device| device % self.devices.len().max(1)) else {
            return met;
        };
        let Some(function) = side.env().machine.pci.functions.get(device) else {
            return met;
        };
        if function.gone {
            met.push("a function that was pulled");
        }
        if function.read(COMMAND, 2) as u16 & MEMORY == 0 {
            met.push("memory that is not decoded");
        }
        if self.behind[device] {
            met.push("what changed behind Xen");
        }
        if self.lost[device] {
            met.push("messages that were lost");
        }
        met
    }

    /// Whether readers that hold no lock may look at descriptors on this side.
    pub(super) fn is_read_without_lock(&self, side: &Side) -> bool {
        side.image.symbol("xen_irq_dump_msi").is_ok()
    }

    /// With Rust, readers that hold no lock find descriptors by an interrupt or in a function's
    /// list. C frees descriptors at once.
    fn add_readers(&self, side: &mut Side) {
        if !self.is_read_without_lock(side) {
            return;
        }
        let of_irqs = (0..self.spec.irqs).map(|irq| addr!(self.irq(irq), msi_desc).cast());
        let lists = self.devices.iter();
        let of_functions = lists.map(|device| addr!(*device, msi_list.next).cast());
        let roots = of_irqs.chain(of_functions);
        side.env()
            .rcu_roots
            .extend(roots.map(<*mut u64>::cast_const));
    }

    /// Interrupts that are of no function: of HPETs, of IOMMUs, and one of which nothing is known.
    fn add_foreign(&mut self, side: &mut Side) {
        for number in 0..FOREIGN {
            let desc: *mut sys::msi_desc = side.env().arena.object("foreign msi_desc", number);
            set!(desc, remap_index, -1);
            self.foreign.push(desc);
            let irq = self.irq(self.spec.irqs - 1 - number);
            set!(desc, irq, get!(irq, irq));
            // The last is for an IOMMU that is a function.
            if number + 1 < FOREIGN {
                set!(desc, msi_attrib.pos, [1, 2, 7][number]);
                set!(desc, msg.data, 0x41 << number);
                set!(desc, msg.__bindgen_anon_1.address, 0xfee0_1008 << number);
                set!(irq, msi_desc, desc);
                set!(irq, handler, self.controller);
            }
        }
    }

    fn set_variables(&mut self, side: &mut Side) {
        let spec = &self.spec;
        let no_irq_type = side.image.variable("no_irq_type").unwrap_or_default() as u64;
        let scratch: *mut sys::cpumask = side.env().arena.object("scratch", 0);
        side.env().arena.keep_private(scratch);
        let pages: *mut u64 = side.env().arena.object("mmio_ro_ranges", 0);
        for irq in 0..spec.irqs {
            set!(self.irq(irq), handler, no_irq_type as *const _);
        }
        side.env().irq_desc = self.irqs;
        *side.env().unit.of_mut() = Platform {
            devices: self.devices.iter().map(|pdev| *pdev as u64).collect(),
            irqs: spec.irqs,
            online: spec.online,
            read_only: pages as u64,
            no_irq_type,
            x2apic: spec.x2apic,
            no_target: false,
            not_protected: false,
            crossed: false,
            remapped: 0,
            register_lock: side.image.symbol("shim_msi_mask_lock").unwrap_or(0) as u64,
            crashes: false,
            shared_registers: self.spec.shared_registers(),
            update: side.image.symbol("shim_update_ire_from_msi").unwrap_or(0),
            tells: spec.tells,
            guard: None,
            counts: false,
            found: BTreeMap::new(),
            pirqs: Vec::new(),
            infos: Vec::new(),
            unreserved: Vec::new(),
            pcidevs: 0,
            dying: None,
            leaving: None,
            unmapping: ["pci_disable_msi", "msi_free_irq"]
                .map(|name| side.image.symbol(name).unwrap_or(0)),
            race: None,
            waiting: None,
            acts_inside: false,
            key_handler: 0,
        };
        let targets = [
            cpu_mask_to_apicid as *const () as usize,
            update_ire_from_msi as *const () as usize,
        ];
        let [to_apicid, update] = pointer_to(targets);
        set_variable(side, "irq_desc", self.irqs);
        set_variable(side, "nr_irqs", spec.irqs as u32);
        set_variable(side, "nr_cpu_ids", spec.cpus);
        // A variable where Xen is built for more than 256 CPUs.
        set_variable(side, "nr_cpumask_bits", spec.cpus.next_multiple_of(64));
        set_online(side, spec.online);
        set_variable(side, "per_cpu__scratch_cpumask", scratch);
        set_variable(side, "mmio_ro_ranges", pages);
        set_variable(side, "dom_io", self.dom_io.domain);
        set_variable(side, "x2apic_enabled", spec.x2apic);
        set_variable(side, "iommu_intremap", spec.remapping);
        let (word, bit) = NO_EXECUTE;
        set_element(
            side,
            "boot_cpu_data",
            word,
            if spec.no_execute { bit } else { !bit },
        );
        set_element(side, "genapic", MODES, spec.modes[0]);
        set_element(side, "genapic", MODES + 1, spec.modes[1]);
        set_element(side, "genapic", TO_APICID, to_apicid);
        let place = std::mem::offset_of!(sys::iommu_ops, update_ire_from_msi) / 8;
        set_element(side, "iommu_ops", place, update);
        set_option(side, "msi", spec.use_msi as u8);
        set_option(side, "msi-recheck", spec.recheck.into());
        self.boot(side, spec.booted);
    }

    /// Follows a change of which Xen is not told.
    pub(super) fn note(&mut self, change: &Change) {
        let count = self.devices.len();
        let changed = match *change {
            Change::Reset { device } | Change::Pull { device, .. } => {
                self.behind[device % count] = true;
                self.stale[device % count] = true;
                self.lost[device % count] = true;
                Some(device % count)
            }
            Change::Command { device, .. }
            | Change::Disable { device }
            | Change::EnableItself { device } => {
                self.behind[device % count] = true;
                Some(device % count)
            }
            // Xen knows when it has slept.
            Change::Sleep => {
                self.behind.fill(false);
                self.stale.fill(true);
                self.lost.fill(false);
                None
            }
            _ => return,
        };
        for (number, spec) in self.spec.devices.iter().enumerate() {
            // What the physical function does, its virtual ones do.
            let by = [Some(number), spec.physical];
            if changed.is_none_or(|device| by.contains(&Some(device))) {
                self.changes[number] += 1;
            }
        }
    }

    /// Follows what Xen is told or finds out.
    pub(super) fn look(&mut self, op: &Op, answer: &Answer) {
        let count = self.devices.len();
        match *op {
            // After a write that Xen sees, it relies on no message that it wrote before.
            Op::ConfigWrite { .. } | Op::UnknownWrite | Op::Race { .. } | Op::Overlap { .. } => {
                self.behind.fill(false);
                self.lost.fill(false);
                // Which function it was is not noted.
                if let Op::Race {
                    act: Meanwhile::Reset,
                    ..
                } = *op
                {
                    self.stale.fill(true);
                }
            }
            Op::Beside { own, other, .. } => {
                let writes = |act: &Act| matches!(act, Act::Write { .. });
                if [own, other].iter().any(writes) {
                    self.behind.fill(false);
                    self.lost.fill(false);
                }
            }
            Op::Restore { device } if answer.outcome == Ok(0) => {
                self.behind[device % count] = false;
                self.lost[device % count] = false;
            }
            _ => {}
        }
    }

    /// An interrupt.
    pub(super) fn irq(&self, number: usize) -> *mut sys::irq_desc {
        self.irqs.wrapping_add(number)
    }

    /// Whether a function is an IOMMU whose interrupt is set up.
    pub(super) fn is_iommu(&self, device: usize) -> bool {
        let mut foreign = self.foreign.iter();
        foreign.any(|desc| get!(*desc, dev) == self.devices[device])
    }

    /// Lets somebody be current.
    pub(super) fn run(&self, side: &mut Side, runner: Runner) {
        let domain = match runner {
            Runner::Dom0 => self.dom0,
            Runner::Guest => self.guest,
            Runner::Idle => self.idle,
        };
        side.cpu.set_current(domain.vcpu, 0);
    }

    /// Whether there is a dom0.
    pub(super) fn boot(&self, side: &Side, done: bool) {
        let dom0 = if done {
            self.dom0.domain
        } else {
            std::ptr::null_mut()
        };
        set_variable(side, "hardware_domain", dom0);
        // dom0 need not be the first.
        set!(self.guest.domain, next_in_list, dom0);
        set_variable(side, "domain_list", self.guest.domain);
    }

    /// Lets the hardware belong to a domain that is still being created: it is in no list, and may
    /// be freed at any time.
    pub(super) fn begin_hardware_domain(side: &Side) {
        set_variable(side, "hardware_domain", BEING_CREATED);
    }

    /// Whether [`Self::boot`] has said so last.
    pub(super) fn is_booted(&self, side: &Side) -> bool {
        let place = side.image.variable("hardware_domain");
        // SAFETY: `import` gives the variable the space of a pointer, and no call runs.
        place.is_some_and(|place| unsafe { !(place as *const *mut sys::domain).read().is_null() })
    }

    /// Lets somebody have a function.
    pub(super) fn own(&self, device: usize, owner: Owner) {
        let domain = match owner {
            Owner::Dom0 => self.dom0,
            Owner::Guest => self.guest,
            Owner::Quarantine => self.dom_io,
        };
        set!(self.devices[device], domain, domain.domain);
    }
}

/// Sets a boot option of a byte, if the objects have it.
pub(super) fn set_option(side: &mut Side, name: &str, value: u8) {
    if let Some(address) = side.image.option(name) {
        // SAFETY: the option's entry holds the address of a variable of the image, and no call
        // runs.
        unsafe { (address as *mut u8).write(value) };
    }
}

fn build_domain(side: &mut Side, number: usize, id: u16) -> Domain {
    let arena = &mut side.env().arena;
    let domain: *mut sys::domain = arena.object("domain", number);
    let vcpu: *mut sys::vcpu = arena.object("vcpu", number);
    set!(domain, domain_id, id);
    set!(vcpu, domain, domain);
    Domain { domain, vcpu }
}

fn interrupts(side: &mut Side, count: usize) -> *mut sys::irq_desc {
    let arena = &mut side.env().arena;
    // The descriptors are aligned to a cache line: their addresses are told apart by a shift.
    arena.align(align_of::<sys::irq_desc>());
    let irqs: *mut sys::irq_desc = arena.objects("irq_desc", 0, count);
    let masks: *mut sys::cpumask = arena.objects("cpumask of an irq_desc", 0, count * 4);
    for number in 0..count {
        let desc = irqs.wrapping_add(number);
        let mask = |place: usize| masks.wrapping_add(number * 4 + place);
        set!(desc, irq, number as i32);
        set!(desc, status, IRQ_DISABLED);
        set!(desc, arch.vector, 0x20 + number as i16 % 0xc0);
        set!(desc, arch.cpu_mask, mask(0));
        set!(desc, arch.old_cpu_mask, mask(1));
        set!(desc, arch.pending_mask, mask(2));
        set!(desc, affinity, mask(3));
        set_cpus(mask(0), 1 << (number as u32 % FIRST_CPUS.count_ones()));
        // Where these lie differs; `compare` sees that they stand for the same.
        arena.keep_private(addr!(desc, handler));
        arena.keep_private(addr!(desc, msi_desc));
    }
    irqs
}
