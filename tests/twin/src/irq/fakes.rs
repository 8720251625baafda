//! The functions of Xen that this part of irq.c calls.

use xen_sys as sys;

use super::act::When;
use super::delivery::IRQ_STAT;
use super::handled::Handled;
use super::nested::{self, meanwhile, state};
use super::platform::{self, apic_id};
use super::spec::{DOMAIN, GSIS, IRQS, MOST_ARRIVALS, MOST_CPUS, Mask};
use super::{calls, guests, messages, timers};
use crate::bits;
use crate::loader::Import;
use crate::side::{fault, record, with};
use crate::trace::Event;
use crate::xen::get;

/// Room for `struct cpuinfo_x86` and `struct genapic`.
const CPU: usize = 256;
const GENAPIC: usize = 64;
/// `struct hw_interrupt_type` and a function that does nothing.
const HANDLER: usize = 64;
const FUNCTION: usize = 16;
/// The bits of a trace record's first word that say which event it tells.
const EVENT: u32 = 0xffff_ffff >> 4;
/// `TRC_HW_IRQ_HANDLED`.
const HANDLED: u32 = 0x80_2008;

pub(super) fn import(name: &str) -> Option<Import> {
    let function = match name {
        "init_one_irq_desc" => init_one_irq_desc as *const (),
        "io_apic_get_used_vector_map" => io_apic_get_used_vector_map as *const (),
        "get_random" => get_random as *const (),
        "rangeset_add_singleton" => rangeset_add_singleton as *const (),
        "rangeset_remove_singleton" => rangeset_remove_singleton as *const (),
        "rcu_lock_domain_by_id" => rcu_lock_domain_by_id as *const (),
        "send_IPI_mask" => send_ipi_mask as *const (),
        "send_IPI_self" => send_ipi_self as *const (),
        "trace" => trace as *const (),
        "init_timer" => timers::init_timer as *const (),
        "set_timer" => timers::set_timer as *const (),
        "stop_timer" => timers::stop_timer as *const (),
        "migrate_timer" => timers::migrate_timer as *const (),
        "kill_timer" => timers::kill_timer as *const (),
        "get_s_time" => timers::get_s_time as *const (),
        "xfree" => timers::xfree as *const (),
        "_xmalloc" => xmalloc as *const (),
        "_xzalloc" => xzalloc as *const (),
        "on_selected_cpus" => calls::on_selected_cpus as *const (),
        "radix_tree_lookup" => guests::radix_tree_lookup as *const (),
        "radix_tree_lookup_slot" => guests::radix_tree_lookup_slot as *const (),
        "radix_tree_insert" => guests::radix_tree_insert as *const (),
        "pirq_get_info" => guests::pirq_get_info as *const (),
        "pt_pirq_init" => guests::pt_pirq_init as *const (),
        "rangeset_contains_singleton" => rangeset_contains_singleton as *const (),
        "pci_get_pdev" => messages::pci_get_pdev as *const (),
        "pci_enable_msi" => messages::pci_enable_msi as *const (),
        "setup_msi_irq" => messages::setup_msi_irq as *const (),
        "pcidevs_lock_unsafe" | "pcidevs_unlock" => nothing as *const (),
        "radix_tree_delete" => guests::radix_tree_delete as *const (),
        "radix_tree_gang_lookup" => guests::radix_tree_gang_lookup as *const (),
        "send_guest_pirq" => guests::send_guest_pirq as *const (),
        "hvm_do_IRQ_dpci" => guests::hvm_do_irq_dpci as *const (),
        "free_pirq_struct" => guests::free_pirq_struct as *const (),
        "pt_pirq_cleanup_check" => guests::pt_pirq_cleanup_check as *const (),
        "bogus_8259A_irq" => bogus_8259a_irq as *const (),
        "msi_maskable_irq" => msi_maskable_irq as *const (),
        "msi_free_irq" => msi_free_irq as *const (),
        "pci_disable_msi" => messages::pci_disable_msi as *const (),
        "register_keyhandler" | "dump_ioapic_irq_info" => nothing as *const (),
        "strcmp" => libc::strcmp as *const (),
        "irq_stat" => return Some(Import::Variable(IRQ_STAT * MOST_ARRIVALS)),
        "x2apic_enabled" | "tb_init_done" | "iommu_intremap" => return Some(Import::Variable(1)),
        "nr_cpu_ids" => return Some(Import::Variable(4)),
        "hardware_domain" => return Some(Import::Variable(8)),
        "io_apic_irqs" => return Some(Import::Variable(8)),
        "cpu_online_map" | "cpumask_all" => return Some(Import::Variable(size_of::<Mask>())),
        "node_to_cpumask" => return Some(Import::Variable(2 * size_of::<Mask>())),
        "cpu_bit_bitmap" => return Some(Import::Variable(65 * size_of::<Mask>())),
        "__per_cpu_offset" => return Some(Import::Variable(8 * MOST_CPUS)),
        "per_cpu__scratch_cpumask" | "per_cpu__irq_regs" => return Some(Import::PerCpu(8)),
        "no_irq_type" => return Some(Import::Variable(HANDLER)),
        "enable_8259A_irq" => return Some(Import::Variable(FUNCTION)),
        "boot_cpu_data" => return Some(Import::Variable(CPU)),
        "genapic" => return Some(Import::Variable(GENAPIC)),
        _ => return bits::import(name),
    };
    Some(Import::Call(function as usize))
}

/// All descriptors of a world are initialized. Those of messages were reserved before.
extern "C" fn init_one_irq_desc(desc: *const sys::irq_desc) -> i32 {
    let irq = get!(desc, irq);
    let is_reserved = get!(desc, arch.used) == sys::IRQ_RESERVED as i8;
    if irq >= GSIS as i32 && !is_reserved {
        fault(format!(
            "IRQ {irq} is set up, and another CPU may find it free"
        ));
    }
    platform::with(|platform| platform.set_up.push(irq));
    failure()
}

/// 0, or the negative errno of a call that shall fail.
fn failure() -> i32 {
    -with(|env| env.script.outcome())
}

fn change_set(name: &'static str, set: u64, irq: u64) -> i32 {
    let set = with(|env| env.arena.offset(set));
    record(Event::Call(name, [set, irq, 0, 0, 0, 0]));
    failure()
}

/// The domain that has a set of IRQs.
fn domain_of(set: u64) -> usize {
    let domain = platform::with(|platform| {
        let caps = |domain: &u64| get!(*domain as *const sys::domain, irq_caps) as u64;
        platform
            .domains
            .iter()
            .position(|domain| caps(domain) == set)
    });
    match domain {
        Some(domain) => domain,
        None => fault("a set of IRQs that is none of a domain".to_owned()),
    }
}

extern "C" fn rangeset_add_singleton(set: u64, irq: u64) -> i32 {
    let error = change_set("rangeset_add_singleton", set, irq);
    if error == 0 {
        let domain = domain_of(set);
        state(|state| state.access.insert((domain, irq)));
    }
    error
}

extern "C" fn rangeset_remove_singleton(set: u64, irq: u64) -> i32 {
    let error = change_set("rangeset_remove_singleton", set, irq);
    if error == 0 {
        let domain = domain_of(set);
        state(|state| state.access.remove(&(domain, irq)));
    } else {
        state(|state| state.is_denial_refused = true);
    }
    error
}

extern "C" fn rangeset_contains_singleton(set: u64, irq: u64) -> u64 {
    let domain = domain_of(set);
    crate::services::garble(state(|state| state.access.contains(&(domain, irq))))
}

/// Leaves an RCU section open where it finds a domain that does not run.
extern "C" fn rcu_lock_domain_by_id(id: u32) -> u64 {
    let found = platform::with(|platform| {
        let number = usize::from((id as u16).wrapping_sub(DOMAIN));
        let domain = *platform.domains.get(number)?;
        let counts = if number == platform.current {
            [None; 2]
        } else {
            platform.counts()
        };
        platform.domain_lives.then_some((domain, counts))
    });
    let Some((domain, counts)) = found else {
        return 0;
    };
    for count in counts.into_iter().flatten() {
        // SAFETY: a variable of the CPU that runs.
        unsafe { *count += 1 };
    }
    domain
}

extern "C" fn io_apic_get_used_vector_map() -> u64 {
    platform::with(|platform| platform.io_apic_map)
}

/// The last of several CPUs is the one that is picked from them.
extern "C" fn get_random() -> u32 {
    0
}

/// Reads a set of CPUs.
fn mask_at(mask: *const Mask) -> Mask {
    // SAFETY: the caller passes a set of as many CPUs as Xen is built for.
    unsafe { mask.read_unaligned() }
}

extern "C" fn send_ipi_mask(mask: *const Mask, vector: i32) {
    let mask = mask_at(mask);
    let [a, b, c, d] = mask;
    record(Event::Call("send_IPI_mask", [a, b, c, d, vector as u64, 0]));
    platform::with(|platform| {
        platform.pend_all(&mask, vector as u8);
    });
}

extern "C" fn send_ipi_self(vector: u32) {
    let vector = vector as u8;
    record(Event::Call("send_IPI_self", [vector.into(), 0, 0, 0, 0, 0]));
    platform::with(|platform| platform.pend(platform.me, vector));
}

/// Whether a trace record tells that an IRQ was handled.
pub(super) fn is_handled(event: u32) -> bool {
    event & EVENT == HANDLED & EVENT
}

extern "C" fn trace(event: u32, size: u32, data: *const u32) {
    let busy = platform::with(|platform| platform.handled.iter().any(Handled::is_busy));
    if busy && event & EVENT == sys::XEN_IRQ_TRC_CLEAR_VECTOR as u32 & EVENT {
        fault("an IRQ loses its vector while another CPU handles it".to_owned());
    }
    let words = size as usize / 4;
    // SAFETY: the caller passes so many bytes.
    let word = |at: usize| (at < words).then(|| unsafe { data.add(at).read_unaligned() });
    // What was handled carries the time before and after.
    let words = if is_handled(event) { 1 } else { words };
    let word = |at: usize| word(at).filter(|_| at < words);
    let pair = |at| u64::from(word(at).unwrap_or(0)) | u64::from(word(at + 1).unwrap_or(0)) << 32;
    let told = [
        event.into(),
        size.into(),
        pair(0),
        pair(2),
        pair(4),
        pair(6),
    ];
    record(Event::Call("trace", told));
}

/// Memory is allocated; meanwhile other CPUs go on.
fn allocates() {
    let is_first = state(|state| !std::mem::replace(&mut state.has_allocated, true));
    if is_first {
        meanwhile(When::Allocate);
    }
}

extern "C" fn xmalloc(len: u64, align: u64) -> u64 {
    allocates();
    crate::services::xmalloc(len, align)
}

extern "C" fn xzalloc(len: u64, align: u64) -> u64 {
    allocates();
    crate::services::xzalloc(len, align)
}

/// The PIC knows of every third of its interrupts nothing.
extern "C" fn bogus_8259a_irq(irq: u32) -> u64 {
    record(Event::Call("bogus_8259A_irq", [irq.into(), 0, 0, 0, 0, 0]));
    crate::services::garble(irq.is_multiple_of(3))
}

/// The IRQ of a message.
fn irq_of_message(message: u64) -> usize {
    if messages::place_of(message).is_some() {
        return get!(message as *const sys::msi_desc, irq) as usize;
    }
    let first = state(|state| state.messages);
    let irq = (message as usize).wrapping_sub(first) / size_of::<sys::msi_desc>();
    if irq >= IRQS {
        fault("a message that is none of the world".to_owned());
    }
    irq
}

extern "C" fn msi_maskable_irq(message: u64) -> i32 {
    let irq = irq_of_message(message);
    let kind = state(|state| state.kind(irq));
    kind.is_some_and(|kind| !kind.needs_eoi()).into()
}

/// The IRQ of a message is destroyed.
extern "C" fn msi_free_irq(message: u64) -> i32 {
    if messages::free(message) {
        return 0;
    }
    let irq = irq_of_message(message);
    record(Event::Call("msi_free_irq", [irq as u64, 0, 0, 0, 0, 0]));
    let (me, destroy) = platform::with(|platform| {
        platform.sources[irq] = None;
        platform.delivery.lose(irq);
        (platform.me, platform.delivery.functions.destroy)
    });
    nested::call(me, destroy, [irq as u64], false);
    0
}

extern "C" fn nothing() {}

/// Records a call of an IRQ's handler.
fn handle(name: &'static str, desc: *const sys::irq_desc) {
    let irq = get!(desc, irq) as u64;
    let locked = with(|env| env.irqs_on) || !crate::services::is_locked(lock_of(desc));
    if locked {
        fault(format!("{name} of IRQ {irq} without its lock"));
    }
    record(Event::Call(name, [irq, 0, 0, 0, 0, 0]));
}

/// The pin of an IRQ is masked, or no longer.
pub(super) fn mask(desc: *const sys::irq_desc, masks: bool) {
    let irq = get!(desc, irq) as usize;
    state(|state| {
        if masks {
            state.masked.insert(irq);
        } else {
            state.masked.remove(&irq);
        }
    });
}

fn lock_of(desc: *const sys::irq_desc) -> u64 {
    crate::xen::addr!(desc.cast_mut(), lock) as u64
}

pub(super) extern "C" fn startup(desc: *const sys::irq_desc) -> u32 {
    handle("startup", desc);
    mask(desc, false);
    0
}

pub(super) extern "C" fn shutdown(desc: *const sys::irq_desc) {
    handle("shutdown", desc);
    mask(desc, true);
    platform::with(|platform| platform.handled.iter().for_each(Handled::end));
}

pub(super) extern "C" fn enable(desc: *const sys::irq_desc) {
    handle("enable", desc);
    mask(desc, false);
}

pub(super) extern "C" fn disable(desc: *const sys::irq_desc) {
    handle("disable", desc);
    mask(desc, true);
}

/// What a handler does: chooses a place, and has the source send there.
pub(super) extern "C" fn set_affinity(desc: *mut sys::irq_desc, mask: *const Mask) {
    handle("set_affinity", desc);
    let function = platform::with(|platform| platform.set_desc_affinity);
    // SAFETY: the function of the image that runs, with this prototype; nothing is borrowed.
    let destination = unsafe {
        let function: extern "C" fn(*mut sys::irq_desc, *const Mask) -> u32 =
            std::mem::transmute(function);
        function(desc, mask)
    };
    record(Event::Call(
        "destination",
        [destination.into(), 0, 0, 0, 0, 0],
    ));
    platform::with(|platform| platform.program(desc, destination));
}

pub(super) extern "C" fn vector_allocation_cpumask(cpu: u32) -> u64 {
    let single = platform::with(|platform| platform.single);
    single + u64::from(cpu) * size_of::<Mask>() as u64
}

pub(super) extern "C" fn cpu_mask_to_apicid(mask: *const Mask) -> u32 {
    let mask = mask_at(mask);
    let cpus = platform::with(|platform| platform.cpus);
    match (0..cpus).find(|&cpu| super::spec::has(&mask, cpu)) {
        Some(cpu) => apic_id(cpu),
        None => fault("the APIC ID of no CPU".to_owned()),
    }
}
