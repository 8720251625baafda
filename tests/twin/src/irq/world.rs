//! Descriptors, CPUs and maps.

use std::collections::BTreeSet;

use xen_sys as sys;

use super::cpus;
use super::delivery::{Functions, REGISTERS};
use super::guest::{Guest, PIRQS};
use super::kinds::{KINDS, Kind};
use super::platform::{self, Platform};
pub(super) use super::platform::{CLEAN_UP, set_at};
use super::spec::{
    Arrivals, Bound, DEVICES, DOMAIN, DOMAINS, FILLER, GSIS, IRQS, MOST_CPUS, Maps, Mask, Spec,
    has, only,
};
use super::{messages, nested, thunks};
use crate::loader::{Image, PER_CPU_OFFSET};
use crate::rng::mix;
use crate::side::{Env, Script, Side};
use crate::trap::Trap;
use crate::xen::{addr, get, set};

/// Vectors.
pub(super) const VECTORS: usize = 256;
const FIRST: u8 = sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u8;
const LAST: u8 = 0xef;
/// The last vector of a PIC.
const LAST_LEGACY: u8 = FIRST + 0xf;
/// The bytes of all descriptors.
const DESCS: usize = size_of::<sys::irq_desc>() * IRQS;
const DOMID_INVALID: u16 = 0x7ff4;
const RET: u8 = 0xc3;
/// Words of `struct genapic`.
const ALLOCATION: usize = 4;
const TO_APICID: usize = 5;
/// Handlers of a world, by their kinds: those of messages come first, then that of PICs.
const HANDLERS: usize = KINDS.len();
pub(super) const MESSAGES: usize = 2;
const FIXED: usize = 1;
const PIC: usize = 2;
const UNMASKABLE: usize = 3;
const EDGE: usize = 4;
/// `PCI_CAP_ID_MSI`.
const CAPABILITY_OF_MSI: u8 = 5;
/// The vector that has a function where interrupts arrive.
const DIRECT: u8 = 0xfd;
/// The word of `struct cpuinfo_x86` with `X86_FEATURE_APIC`, and that.
const CAPABILITIES: usize = 3;
const HAS_APIC: u32 = 1 << 9;
/// `X86_VENDOR_AMD`, which is the second byte of `struct cpuinfo_x86`.
const AMD: u8 = 2;

/// A built world.
pub(crate) struct World {
    pub(super) spec: Spec,
    pub(super) platform: Platform,
    pub(super) descs: *mut sys::irq_desc,
    pub(super) handlers: *mut sys::hw_interrupt_type,
    pub(super) no_irq_type: u64,
    pub(super) action: *mut u64,
    /// What a caller passes.
    pub(super) mask: *mut Mask,
    pub(super) vector: *mut u8,
    pub(super) pirq: *mut i32,
    pub(super) request: *mut sys::msi_info,
    /// The vCPU that runs, and a descriptor that is not one of the array.
    vcpu: *mut sys::vcpu,
    pub(super) spare: *mut sys::irq_desc,
    /// The vectors that have a function, and how many of high priority are allocated.
    pub(super) direct: BTreeSet<u8>,
    pub(super) high_priority: usize,
    /// The IRQs of the HPET, and whether others may have its vector.
    pub(super) hpet: BTreeSet<usize>,
    pub(super) hpet_is_free: bool,
    /// The array of descriptors that `init_irq_data()` made.
    pub(super) fresh: Vec<u8>,
    /// The vectors of CPU 0 after that.
    pub(super) fresh_slots: Vec<i32>,
    /// What fails in this step.
    pub(super) script: Script,
    pub(super) regs: *mut sys::cpu_user_regs,
    /// Each device's map of used vectors.
    pub(super) maps: *mut Mask,
    /// How far the variables of each CPU are from the templates.
    pub(super) offsets: Vec<u64>,
    /// The template of `vector_irq[]`, and `cpu_online_map`.
    pub(super) vector_irq: u64,
    pub(super) online: *mut Mask,
    /// The old place of an IRQ that the last step destroyed while CPUs had yet to clean up.
    pub(super) left: Option<Left>,
    /// What a CPU has to forward that went offline in the last step.
    pub(super) forwards: Vec<Forward>,
    /// The CPU that was told to clean up in the last step, and the IRQs of which it had yet to.
    pub(super) cleaner: Option<(usize, Vec<usize>)>,
}

/// The old place of an IRQ, with the CPUs that are online and have its vector.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) irq: usize,
    pub(super) vector: u8,
    pub(super) cpus: Vec<usize>,
    /// The map of used vectors that has the vector, or null.
    pub(super) map: *mut Mask,
}

/// An interrupt that is pending at the old place of an IRQ: the vector of the new place, and its
/// CPUs that are online.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    pub(super) vector: u8,
    pub(super) targets: Mask,
}

pub(super) fn fill_set(set: *mut sys::cpumask, cpus: Mask) {
    // SAFETY: as in `set_at`.
    unsafe { set.cast::<Mask>().write(cpus) };
}

/// The address of a function.
fn address(function: *const ()) -> usize {
    function as usize
}

/// Writes a variable.
fn write<T>(address: usize, value: T) {
    // SAFETY: a variable of the image, of that type; no call runs.
    unsafe { (address as *mut T).write(value) };
}

/// Writes one of Xen's variables, if the side refers to it.
fn set_variable<T>(image: &Image, name: &str, index: usize, value: T) {
    if let Some(address) = image.variable(name) {
        write(address + index * size_of::<T>(), value);
    }
}

/// Sees to it that the vector lock, which is the side's own, is held with IRQs off: handlers of
/// interrupts take it.
fn irqs_are_off(env: &mut Env) -> Result<(), String> {
    let is_own = |lock: &u64| env.arena.offset(*lock) >> 63 != 0;
    if env.irqs_on && env.held.iter().any(is_own) {
        return Err("the vector lock was taken with IRQs on".to_owned());
    }
    Ok(())
}

impl World {
    pub(super) fn build(side: &mut Side, spec: &Spec) -> Self {
        crate::cpu::read_msrs_by(platform::read_msr);
        crate::cpu::tell_msrs_to(nested::write_msr);
        let offsets = cpus::reset(&side.image);
        let symbol = |side: &Side, name: &str| side.image.symbol(name).expect("irq.o has it");
        let arena = &mut side.env().arena;
        let descs = arena.objects("irq_desc", 0, IRQS);
        let handlers = arena.objects("handler", 0, HANDLERS);
        let (action, mask, regs) = (
            arena.object("action", 0),
            arena.object("mask", 0),
            arena.object("regs", 0),
        );
        let maps = arena.objects("map", 0, DEVICES + 1);
        let vector = arena.object("vector", 0);
        let (pirq, request) = (arena.object("pirq", 0), arena.object("msi_info", 0));
        let (vcpu, spare) = (arena.object("vcpu", 0), arena.object("spare", 0));
        let mut world = Self {
            spec: spec.clone(),
            platform: Platform::new(spec.cpus),
            descs,
            handlers,
            no_irq_type: side.image.variable("no_irq_type").unwrap_or_default() as u64,
            action,
            mask,
            regs,
            maps,
            vector,
            pirq,
            request,
            vcpu,
            spare,
            direct: BTreeSet::new(),
            high_priority: 0,
            hpet: BTreeSet::new(),
            hpet_is_free: false,
            fresh: Vec::new(),
            fresh_slots: Vec::new(),
            script: Script::plain(0),
            offsets,
            vector_irq: symbol(side, "per_cpu__vector_irq") as u64,
            online: side.image.variable("cpu_online_map").unwrap_or_default() as *mut Mask,
            left: None,
            forwards: Vec::new(),
            cleaner: None,
        };
        world.set_delivery(side);
        side.env().guard = Some(irqs_are_off);
        world.platform.set_desc_affinity = symbol(side, "set_desc_affinity");
        world.platform.io_apic_map = maps.wrapping_add(DEVICES) as u64;
        world.set_domain(side);
        world.set_variables(side);
        write(symbol(side, "nr_irqs"), IRQS as u32);
        write(symbol(side, "nr_irqs_gsi"), GSIS as u32);
        write(symbol(side, "opt_irq_vector_map"), spec.maps as i32);
        let init = symbol(side, "init_irq_data");
        let outcome = world.call(side, 0, init, &[], false);
        assert_eq!(outcome, Ok(0), "init_irq_data()");
        // SAFETY: the array of a CPU; no call runs.
        world.fresh_slots = unsafe { (*world.slots(0)).to_vec() };
        // The descriptors of a world lie in its arena.
        let array = symbol(side, "irq_desc") as *mut u64;
        // SAFETY: a variable of the image, and the array that it leads to; no call runs.
        let allocated = unsafe {
            let allocated = array.replace(descs as u64);
            let fresh = std::slice::from_raw_parts(allocated as *const u8, DESCS);
            world.fresh = fresh.to_vec();
            allocated
        };
        let freed = side.env().heap.free(allocated, true);
        freed.expect("the array was allocated");
        world.set_handlers(side);
        for irq in 0..IRQS {
            world.set_desc(side, irq);
        }
        world.set_slots(side);
        for bound in spec.bound.clone() {
            world.bind(side, symbol(side, "bind_irq_vector"), bound);
        }
        if let Some(arrivals) = spec.delivery {
            world.set_arrivals(side, arrivals);
        }
        world
    }

    /// What the functions of the driver know of every world.
    fn set_delivery(&mut self, side: &mut Side) {
        let info = side.cpu.info() as usize;
        let image = &side.image;
        let template = |name: &str| image.variable(name).map(|address| address - PER_CPU_OFFSET);
        let symbol = |name: &str| image.symbol(name).expect("irq.o has it");
        let delivery = &mut self.platform.delivery;
        delivery.info = info;
        delivery.is_c = super::is_c(image);
        delivery.offsets = self.offsets.clone();
        delivery.irq_stat = image.variable("irq_stat").unwrap_or_default();
        delivery.irq_regs = template("per_cpu__irq_regs").unwrap_or_default() as u64;
        delivery.descs = self.descs as usize;
        delivery.handlers = self.handlers as usize;
        delivery.no_irq_type = self.no_irq_type;
        delivery.vector_irq = self.vector_irq;
        delivery.online = self.online as usize;
        delivery.asked = vec![None; self.spec.cpus];
        delivery.functions = Functions {
            affinity: symbol("pirq_set_affinity"),
            allocate_pirq: symbol("alloc_pirq_struct"),
            answer: symbol("pirq_guest_eoi"),
            answer_locked: symbol("desc_guest_eoi"),
            bind: symbol("pirq_guest_bind"),
            clean_up_pirq: symbol("pirq_cleanup_check"),
            complete_move: symbol("irq_complete_move"),
            destroy: symbol("destroy_irq"),
            do_irq: symbol("do_IRQ"),
            dump: image.function("dump_irqs").expect("irq.o has key i"),
            end: symbol("end_nonmaskable_irq"),
            fix_up: symbol("fixup_eoi"),
            handler: address(thunks::handle_irq as *const ()),
            has_pending: symbol("cpu_has_pending_apic_eoi"),
            lock: symbol("domain_spin_lock_irq_desc"),
            move_native: symbol("move_native_irq"),
            release: symbol("release_irq"),
            request: symbol("request_irq"),
            shared: symbol("pirq_shared"),
            unbind: symbol("pirq_guest_unbind"),
            unmap: symbol("unmap_domain_pirq"),
            unmask: symbol("pirq_guest_unmask"),
        };
    }

    /// Guests, and what else is there where interrupts arrive.
    fn set_arrivals(&mut self, side: &mut Side, arrivals: Arrivals) {
        let cpus = self.spec.cpus;
        let arena = &mut side.env().arena;
        let messages: *mut sys::msi_desc = arena.objects("msi_desc", 0, IRQS);
        let regs: *mut sys::cpu_user_regs = arena.objects("regs", 1, REGISTERS);
        let port_ops: *mut sys::evtchn_port_ops = arena.object("evtchn_port_ops", 0);
        // SAFETY: pointers to functions of an object that was just made.
        unsafe {
            let is_masked = (&raw mut (*port_ops).is_masked).cast::<u64>();
            is_masked.write(thunks::is_masked as *const () as u64);
            let is_pending = (&raw mut (*port_ops).is_pending).cast::<u64>();
            is_pending.write(thunks::is_pending as *const () as u64);
        }
        for domain in 0..DOMAINS {
            let arena = &mut side.env().arena;
            let [pirq_tree, irq_tree, emulated_tree] = [PIRQS.max(IRQS), IRQS, IRQS + 1]
                .map(|slots| arena.objects::<u64>("slot", domain, slots) as u64);
            // The pirqs are in the heap.
            for slot in 0..IRQS {
                arena.keep_private((pirq_tree as *const u64).wrapping_add(slot));
            }
            let channels = arena.objects::<sys::evtchn>("evtchn", domain, PIRQS) as u64;
            let vcpu: *mut sys::vcpu = arena.object("vcpu", 1 + domain);
            let place = self.platform.domains[domain] as *mut sys::domain;
            set!(vcpu, domain, place);
            set!(place, nr_pirqs, PIRQS as u32);
            set!(place, evtchn, channels as *mut sys::evtchn);
            set!(place, valid_evtchns, PIRQS as u32);
            set!(place, evtchn_port_ops, port_ops.cast_const());
            let is_hvm = domain % 2 == 1;
            if is_hvm {
                set!(place, options, sys::XEN_IRQ_CDF_HVM as u32);
            }
            if domain != 2 {
                let map: *mut [u64; 8] = arena.object("pirq_eoi_map", domain);
                set!(place, arch.pirq_eoi_map, map.cast());
            }
            for number in 0..PIRQS {
                let channel = (channels as *mut sys::evtchn).wrapping_add(number);
                set!(channel, port, number as u32);
            }
            self.platform.delivery.guests.push(Guest {
                domain: place as u64,
                vcpu: vcpu as u64,
                is_hvm,
                takes_dpci: mix(arrivals.salt ^ domain as u64).is_multiple_of(2),
                pirq_tree,
                irq_tree,
                emulated_tree,
                channels,
                ..Guest::default()
            });
        }
        self.set_devices(side, arrivals);
        for irq in 0..IRQS {
            let desc = self.desc(irq);
            let arena = &mut side.env().arena;
            arena.keep_private(addr!(desc, action));
            arena.keep_private(addr!(desc, rl_link));
            set!(desc, action, std::ptr::null_mut());
            set!(desc, status, sys::XEN_IRQ_DISABLED as u32);
            crate::xen::init_list(addr!(desc, rl_link));
            if irq < GSIS && !self.is_pic(irq) {
                let own = mix(arrivals.salt ^ irq as u64 ^ 0x50) as usize % 3;
                let kind = EDGE + arrivals.pins.unwrap_or(own);
                let handler = self.handlers.wrapping_add(kind);
                set!(desc, handler, handler.cast_const());
            }
        }
        let image = &side.image;
        let most = image.own_variable("irq_max_guests").expect("irq.o has it");
        write(most, arrivals.most_guests);
        let no_balance = image.symbol("opt_noirqbalance").expect("irq.o has it");
        write(no_balance, arrivals.no_balance);
        set_variable(
            image,
            "boot_cpu_data",
            1,
            if arrivals.amd { AMD } else { 1 },
        );
        let init = image.function_ending("ratelimit_init");
        let init = init.expect("what starts the limit of interrupts");
        let limit = side.image.option("irq_ratelimit").expect("a boot option");
        write(limit, arrivals.limit);
        let set_direct = side
            .image
            .symbol("set_direct_apic_vector")
            .expect("irq.o has it");
        let delivery = &mut self.platform.delivery;
        delivery.in_service = vec![[0; 4]; cpus];
        delivery.messages = messages as usize;
        delivery.regs = regs as usize;
        delivery.direct = DIRECT;
        let handler = thunks::direct as *const () as u64;
        let outcome = self.call(side, 0, set_direct, &[DIRECT.into(), handler], false);
        assert_eq!(outcome.map(|_| 0), Ok(0), "set_direct_apic_vector()");
        self.direct.insert(DIRECT);
        let outcome = self.call(side, 0, init, &[], false);
        assert_eq!(outcome.map(|_| 0), Ok(0), "irq_ratelimit_init()");
        self.set_pads(side);
        side.env().trace.clear();
    }

    /// Functions whose messages are mapped to pirqs.
    fn set_devices(&mut self, side: &mut Side, arrivals: Arrivals) {
        let arena = &mut side.env().arena;
        let blocks: *mut sys::msi_desc = arena.objects("block", 0, DEVICES * messages::DESCS);
        let delivery = &mut self.platform.delivery;
        delivery.blocks = blocks as usize;
        for number in 0..DEVICES {
            let device: *mut sys::pci_dev = side.env().arena.object("pci_dev", number);
            set!(
                device,
                domain,
                self.platform.domains[number] as *mut sys::domain
            );
            self.platform.delivery.devices.push(device as u64);
        }
        let image = &side.image;
        set_variable(image, "hardware_domain", 0, self.platform.domains[0]);
        let remaps = u8::from(!mix(arrivals.salt ^ 0x3e).is_multiple_of(4)) * 2;
        set_variable(image, "iommu_intremap", 0, remaps);
        set_variable(image, "boot_cpu_data", CAPABILITIES, HAS_APIC);
    }

    /// Each CPU has a set of CPUs of its own, for what runs there.
    fn set_pads(&self, side: &mut Side) {
        let Some(pad) = side.image.variable("per_cpu__scratch_cpumask") else {
            return;
        };
        let template = pad - PER_CPU_OFFSET;
        for cpu in 0..self.spec.cpus {
            let pad: *mut Mask = side.env().arena.object("scratch", 1 + cpu);
            side.env().arena.keep_private(pad);
            write(
                template.wrapping_add(self.offsets[cpu] as usize),
                pad as u64,
            );
        }
    }

    /// What a message's IRQ begins with where interrupts arrive.
    pub(super) fn begin_message(&mut self, irq: usize, handler: usize) {
        let desc = self.desc(irq);
        let numbers = [0, FIXED, UNMASKABLE, UNMASKABLE];
        let number = numbers[handler % numbers.len()];
        let handler = self.handlers.wrapping_add(number);
        set!(desc, handler, handler.cast_const());
        set!(desc, action, std::ptr::null_mut());
        set!(desc, status, sys::XEN_IRQ_DISABLED as u32);
        let messages = self.platform.delivery.messages as *mut sys::msi_desc;
        let message = messages.wrapping_add(irq);
        set!(message, msi_attrib.type_, CAPABILITY_OF_MSI);
        set!(message, __bindgen_anon_1.msi.nvec, 1);
        let maskable = number != UNMASKABLE;
        // SAFETY: an object of the world; no call runs.
        unsafe { (*message).msi_attrib.set_maskbit(maskable) };
        set!(desc, msi_desc, message);
        self.platform.delivery.masked.remove(&irq);
    }

    fn set_domain(&mut self, side: &mut Side) {
        let arena = &mut side.env().arena;
        for number in 0..DOMAINS {
            let domain: *mut sys::domain = arena.object("domain", number);
            let caps: *mut u64 = arena.object("irq_caps", number);
            set!(domain, domain_id, DOMAIN + number as u16);
            set!(domain, irq_caps, caps.cast());
            self.platform.domains[number] = domain as u64;
        }
        arena.keep_private(self.spare);
        self.platform.domain_lives = true;
        self.switch();
        let template = |name: &str| {
            let variable = side.image.variable(name);
            variable.map_or(0, |address| (address - PER_CPU_OFFSET) as u64)
        };
        self.platform.counts = ["per_cpu____preempt_count", "per_cpu__rcu_lock_cnt"].map(template);
    }

    /// Has the other domain run.
    pub(super) fn switch(&mut self) {
        self.platform.current ^= 1;
        let domain = self.platform.domains[self.platform.current];
        set!(self.vcpu, domain, domain as *mut sys::domain);
    }

    fn set_variables(&mut self, side: &mut Side) {
        let image = &side.image;
        set_variable(image, "nr_cpu_ids", 0, self.spec.cpus as u32);
        set_variable(image, "cpu_online_map", 0, self.spec.online);
        set_variable(image, "cpumask_all", 0, [u64::MAX; MOST_CPUS / 64]);
        set_variable(image, "tb_init_done", 0, 1u8);
        set_variable(image, "x2apic_enabled", 0, 1u8);
        set_variable(image, "io_apic_irqs", 0, u64::from(self.spec.io_apic_irqs));
        let genapic = [
            (ALLOCATION, thunks::vector_allocation_cpumask as *const ()),
            (TO_APICID, thunks::cpu_mask_to_apicid as *const ()),
        ];
        for (index, function) in genapic {
            set_variable(image, "genapic", index, function as u64);
        }
        for bit in 0..64 {
            set_variable(
                image,
                "cpu_bit_bitmap",
                (bit + 1) * MOST_CPUS / 64,
                1u64 << bit,
            );
        }
        for node in 0..2 {
            let mut cpus = Mask::default();
            for cpu in (0..self.spec.cpus).filter(|cpu| cpu % 2 == node) {
                cpus[cpu / 64] |= 1 << (cpu % 64);
            }
            set_variable(image, "node_to_cpumask", node, cpus);
        }
        // A PIC's function to enable IRQs is known by its address, and does nothing.
        set_variable(image, "enable_8259A_irq", 0, RET);
        let template = |name: &str| image.variable(name).map(|address| address - PER_CPU_OFFSET);
        let (scratch, regs) = (
            template("per_cpu__scratch_cpumask"),
            template("per_cpu__irq_regs"),
        );
        for cpu in 0..MOST_CPUS {
            set_variable(image, "__per_cpu_offset", cpu, self.offsets[cpu]);
        }
        for cpu in 0..self.spec.cpus {
            let own = |template: usize| template.wrapping_add(self.offsets[cpu] as usize);
            let arena = &mut side.env().arena;
            let single: *mut Mask = arena.object("single", cpu);
            // SAFETY: the object was just made.
            unsafe { single.write(only(cpu)) };
            if cpu == 0 {
                self.platform.single = single as u64;
            }
            if let Some(regs) = regs {
                write(own(regs), self.regs as u64);
            }
        }
        let pad: *mut Mask = side.env().arena.object("scratch", 0);
        side.env().arena.keep_private(pad);
        for cpu in 0..self.spec.cpus {
            if let Some(scratch) = scratch {
                write(scratch.wrapping_add(self.offsets[cpu] as usize), pad as u64);
            }
        }
    }

    fn set_handlers(&self, side: &mut Side) {
        let pic = side.image.variable("enable_8259A_irq").unwrap_or_default();
        let none = self.no_irq_type as *mut sys::hw_interrupt_type;
        let symbol = |name: &str| side.image.symbol(name).expect("irq.o has it");
        let complete_move = symbol("irq_complete_move");
        for number in 0..=HANDLERS {
            let kind = KINDS.get(number);
            let handler = match kind {
                Some(_) => self.handlers.wrapping_add(number),
                None => none,
            };
            let enable = match kind {
                Some((Kind::Pic, _)) => pic,
                _ => thunks::enable as *const () as usize,
            };
            let (ack, end) = match kind.map(|kind| kind.0) {
                Some(Kind::Unmaskable | Kind::Level) => {
                    (complete_move, address(thunks::end_level as *const ()))
                }
                Some(Kind::Masked) => (
                    address(thunks::ack_masked as *const ()),
                    address(thunks::end_masked as *const ()),
                ),
                Some(Kind::Pic) => (
                    address(thunks::ack_pic as *const ()),
                    address(thunks::end_masked as *const ()),
                ),
                _ => (address(thunks::ack_edge as *const ()), 0),
            };
            let moves = match kind.map(|kind| kind.0) {
                None | Some(Kind::Fixed | Kind::Pic) => 0,
                _ => thunks::set_affinity as *const () as usize,
            };
            let functions = [
                kind.map_or(0, |kind| kind.1.as_ptr() as usize),
                thunks::startup as *const () as usize,
                thunks::shutdown as *const () as usize,
                enable,
                thunks::disable as *const () as usize,
                ack,
                end,
                moves,
            ];
            // SAFETY: a handler is a name and seven pointers to functions.
            unsafe { handler.cast::<[usize; 8]>().write(functions) };
        }
        for number in [PIC, UNMASKABLE, HANDLERS - 1] {
            let handler = self.handlers.wrapping_add(number);
            side.env().arena.keep_private(handler);
        }
    }

    /// A descriptor.
    pub(super) fn desc(&self, irq: usize) -> *mut sys::irq_desc {
        self.descs.wrapping_add(irq)
    }

    fn set_desc(&self, side: &mut Side, irq: usize) {
        let desc = self.desc(irq);
        let arena = &mut side.env().arena;
        set!(desc, irq, irq as i32);
        arena.keep_private(addr!(desc, handler));
        arena.keep_private(addr!(desc, arch.used_vectors));
        set!(desc, arch.cpu_mask, arena.object("cpu_mask", irq));
        set!(desc, arch.old_cpu_mask, arena.object("old_cpu_mask", irq));
        set!(desc, arch.pending_mask, arena.object("pending_mask", irq));
        set!(desc, affinity, arena.object("affinity", irq));
        arena.keep_private(get!(desc, arch.old_cpu_mask));
        set!(desc, arch.vector, -1);
        set!(desc, arch.old_vector, -1);
        set!(desc, arch.creator_domid, DOMID_INVALID);
        fill_set(get!(desc, affinity), [u64::MAX; MOST_CPUS / 64]);
        let handler = if irq >= GSIS && irq != FILLER {
            self.no_irq_type as *const sys::hw_interrupt_type
        } else if irq < 16 && self.spec.io_apic_irqs >> irq & 1 == 0 {
            self.handlers.wrapping_add(PIC).cast_const()
        } else {
            self.handlers.wrapping_add(irq % 8 / 7 * FIXED).cast_const()
        };
        set!(desc, handler, handler);
        if self.is_pic(irq) {
            set!(desc, arch.vector, i16::from(FIRST) + irq as i16);
            fill_set(get!(desc, arch.cpu_mask), only(0));
        } else if irq < GSIS {
            set!(desc, action, self.action.cast());
        }
    }

    /// Whether a PIC handles an IRQ.
    pub(super) fn is_pic(&self, irq: usize) -> bool {
        get!(self.desc(irq), handler) == self.handlers.wrapping_add(PIC).cast_const()
    }

    /// Makes a PIC handle an IRQ (`make_8259A_irq()`).
    pub(super) fn make_pic(&self, side: &mut Side, irq: usize) {
        if let Some(irqs) = side.image.variable("io_apic_irqs") {
            // SAFETY: a variable of the image; no call runs.
            unsafe { *(irqs as *mut u64) &= !(1 << irq) };
        }
        let handler = self.handlers.wrapping_add(PIC).cast_const();
        set!(self.desc(irq), handler, handler);
    }

    /// Whether an IRQ of a message was created, and not destroyed.
    pub(super) fn is_created(&self, irq: usize) -> bool {
        irq >= GSIS && irq != FILLER && get!(self.desc(irq), handler) as u64 != self.no_irq_type
    }

    fn set_slots(&mut self, side: &mut Side) {
        let _ = side;
        for cpu in 0..self.spec.cpus {
            let slots = self.slots(cpu);
            for vector in 0..VECTORS {
                // SAFETY: the array of a CPU; no call runs.
                let slot = unsafe { &mut (*slots)[vector] };
                *slot = i32::MIN;
                let usable = vector > usize::from(CLEAN_UP) && vector <= usize::from(LAST);
                let legacy = cpu == 0 && vector <= usize::from(LAST_LEGACY);
                let first = if self.spec.alike { 0 } else { cpu * VECTORS };
                let word = mix(self.spec.salt ^ (first + vector) as u64);
                if legacy && vector >= usize::from(FIRST) {
                    let irq = vector - usize::from(FIRST);
                    if self.is_pic(irq) {
                        *slot = irq as i32;
                    }
                } else if usable && word % 100 < self.spec.fill {
                    *slot = FILLER as i32;
                }
            }
        }
    }

    fn bind(&mut self, side: &mut Side, function: usize, bound: Bound) {
        // SAFETY: an object of the world; no call runs.
        unsafe { self.mask.write(self.online()) };
        let mask = self.mask as u64;
        let arguments = [bound.irq as u64, bound.vector.into(), mask];
        let outcome = self.call(side, 0, function, &arguments, false);
        assert!(outcome.is_ok(), "bind_irq_vector() of {bound:?}");
    }

    /// The array `vector_irq[]` of a CPU.
    pub(super) fn slots(&self, cpu: usize) -> *mut [i32; VECTORS] {
        self.vector_irq.wrapping_add(self.offsets[cpu]) as *mut [i32; VECTORS]
    }

    /// What stands at a vector of a CPU.
    pub(super) fn slot(&self, cpu: usize, vector: u8) -> i32 {
        // SAFETY: the array of a CPU; no call runs.
        unsafe { (*self.slots(cpu))[usize::from(vector)] }
    }

    /// Changes what stands there.
    pub(super) fn set_slot(&self, cpu: usize, vector: u8, irq: i32) {
        // SAFETY: the array of a CPU; no call runs.
        unsafe { (*self.slots(cpu))[usize::from(vector)] = irq };
    }

    /// The CPUs that are online.
    pub(super) fn online(&self) -> Mask {
        // SAFETY: a variable of the image; no call runs.
        unsafe { self.online.read() }
    }

    pub(super) fn is_online(&self, cpu: usize) -> bool {
        has(&self.online(), cpu)
    }

    /// Switches a CPU on or off in the set of those that are online.
    pub(super) fn set_online(&self, cpu: usize, on: bool) {
        let mut online = self.online();
        online[cpu / 64] &= !(1 << (cpu % 64));
        online[cpu / 64] |= u64::from(on) << (cpu % 64);
        // SAFETY: as in `online`.
        unsafe { self.online.write(online) };
    }

    /// Whether a CPU has yet to clean up of an IRQ.
    pub(super) fn is_to_clean_up(&self, irq: usize, cpu: usize) -> bool {
        let desc = self.desc(irq);
        get!(desc, arch.move_cleanup_count) != 0
            && has(&set_at(get!(desc, arch.old_cpu_mask)), cpu)
            && !self.has_cleaned_up(irq, cpu)
    }

    /// Whether a CPU of an IRQ's old place, from which others have yet to go, has cleaned up.
    pub(super) fn has_cleaned_up(&self, irq: usize, cpu: usize) -> bool {
        let desc = self.desc(irq);
        let vector = get!(desc, arch.old_vector) as u8;
        get!(desc, arch.move_cleanup_count) != 0
            && has(&set_at(get!(desc, arch.old_cpu_mask)), cpu)
            && self.slot(cpu, vector) != irq as i32
    }

    /// Calls a function on a CPU. What it did is added to the trace.
    pub(super) fn call(
        &mut self,
        side: &mut Side,
        cpu: usize,
        function: usize,
        arguments: &[u64],
        irqs_off: bool,
    ) -> crate::side::Outcome {
        let mut trace = std::mem::take(&mut side.env().trace);
        side.cpu.set_current(self.vcpu, cpu as u32);
        side.cpu.set_per_cpu_offset(self.offsets[cpu]);
        let script = Script {
            irqs_off,
            ..self.script
        };
        self.platform.me = cpu;
        self.platform.offset = self.offsets[cpu];
        *side.env().unit.of_mut() = std::mem::take(&mut self.platform);
        let outcome = side.call(function, arguments, script);
        self.platform = std::mem::take(side.env().unit.of_mut());
        // SAFETY: variables of the CPU; no call runs.
        let count = |count: *mut i32| unsafe { count.replace(0) };
        let counts = self.platform.counts().map(|place| place.map_or(0, count));
        let outcome = outcome.and_then(|value| {
            let left = Trap::Fault("an RCU section, or preemption, was left off".to_owned());
            if counts == [0; 2] {
                Ok(value)
            } else {
                Err(left)
            }
        });
        trace.append(&mut side.env().trace);
        side.env().trace = trace;
        outcome
    }

    /// Whether the device's IRQs have a map of their own.
    pub(super) fn map_of(&self, device: usize) -> Option<*mut Mask> {
        (self.spec.maps == Maps::PerDevice).then(|| self.maps.wrapping_add(device % DEVICES))
    }
}
