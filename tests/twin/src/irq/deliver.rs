//! Carries out what happens to an IRQ that is set up, also in the middle of something else.

use xen_sys as sys;

use super::act::Act;
use super::delivery::{Frame, Functions, REGISTERS, dev_id_of};
use super::guest::{Guest, PIRQS};
use super::kinds::Kind;
use super::nested::{self, is_idle, state};
use super::platform::{self, CLEAN_UP, set_at};
use super::spec::{FILLER, GSIS, IRQS, has};
use super::{calls, timers};
use crate::argument::word;
use crate::services::{lock, unlock};
use crate::side::{attempt, fault, record, with};
use crate::trace::Event;
use crate::xen::{addr, get, set};

const FIRST: u8 = sys::XEN_IRQ_FIRST_DYNAMIC_VECTOR as u8;
/// What is left of the entry's vector when it is cut to a byte.
const ABOVE_VECTOR: u32 = 0x5a00;
const NAME: &std::ffi::CStr = c"a handler";
/// What is wrong where a guest binds such an IRQ.
pub(super) const GONE: &str = "a guest has an IRQ that was destroyed";

/// The call that carries out an act.
pub(super) extern "C" fn root() {
    let act = state(|state| state.act.take());
    let Some(act) = act else {
        fault("nothing is to be done".to_owned());
    };
    let was_possible = run(&act);
    state(|state| state.was_possible = was_possible);
    let cpus = platform::with(|platform| platform.cpus);
    for cpu in (0..cpus).filter(|&cpu| is_online(cpu)) {
        let function = state(|state| state.functions.has_pending);
        let pending = nested::call(cpu, function, [], true) & 0xff;
        if pending != 0 {
            record(Event::Call(
                "pending EOIs",
                [cpu as u64, pending, 0, 0, 0, 0],
            ));
        }
    }
}

fn is_online(cpu: usize) -> bool {
    has(&state(|state| state.online()), cpu)
}

/// A CPU on which a hypercall or a softirq may run; it has done before what it was asked to do.
fn idle(cpu: usize) -> Option<usize> {
    let cpu = cpu % platform::with(|platform| platform.cpus);
    if !is_online(cpu) || !is_idle(cpu) {
        return None;
    }
    calls::answer(cpu);
    Some(cpu)
}

fn guest(domain: usize) -> (usize, Guest) {
    state(|state| {
        let domain = domain % state.guests.len();
        (domain, state.guests[domain].clone())
    })
}

/// A domain whose event lock is free, and its pirq.
fn unlocked(domain: usize, pirq: usize) -> Option<(usize, Guest, usize)> {
    let (domain, guest) = guest(domain);
    (!guest.is_locked()).then_some((domain, guest, 1 + pirq % (PIRQS - 1)))
}

fn told(what: &'static str, value: u64) {
    record(Event::Call(what, [value, 0, 0, 0, 0, 0]));
}

fn functions<R>(pick: impl FnOnce(&Functions) -> R) -> R {
    state(|state| pick(&state.functions))
}

fn desc_of(irq: usize) -> *mut sys::irq_desc {
    state(|state| state.desc(irq))
}

fn has_handler(irq: usize) -> bool {
    let none = state(|state| state.no_irq_type);
    get!(desc_of(irq), handler) as u64 != none
}

fn is_bound(irq: usize) -> bool {
    let bound = |guest: &Guest| {
        (1..PIRQS).any(|pirq| guest.pirqs[pirq].is_bound && guest.irq_of(pirq) == irq as i32)
    };
    state(|state| state.guests.iter().any(bound))
}

/// Carries out an act. Returns whether it is possible.
pub(super) fn run(act: &Act) -> bool {
    perform(act).is_some()
}

fn perform(act: &Act) -> Option<()> {
    match *act {
        Act::Arrive { choice, irq } => arrive(choice, irq % FILLER),
        Act::Stray {
            cpu,
            vector,
            in_service,
        } => stray(cpu, vector, in_service),
        Act::SetUp { cpu, irq } => set_up(cpu, irq % FILLER),
        Act::Release { cpu, irq } => release(cpu, irq % FILLER),
        Act::Map { domain, pirq, irq } => map(domain, pirq, irq % FILLER),
        Act::Unmap { cpu, domain, pirq } => unmap(cpu, domain, pirq),
        Act::Remove { cpu, irq } => remove(cpu, irq % FILLER),
        Act::Bind {
            cpu,
            domain,
            pirq,
            shares,
        } => bind(cpu, domain, pirq, shares),
        Act::Unbind { cpu, domain, pirq } => unbind(cpu, domain, pirq),
        Act::Answer {
            cpu,
            domain,
            pirq,
            locked,
        } => answer(cpu, domain, pirq, locked),
        Act::Unmask { cpu, domain } => {
            let (_, guest) = guest(domain);
            let cpu = idle(cpu)?;
            let function = functions(|functions| functions.unmask);
            let value = nested::call(cpu, function, [guest.domain], false);
            told("pirq_guest_unmask", value & 0xffff_ffff);
            Some(())
        }
        Act::Channel {
            domain,
            pirq,
            masked,
        } => {
            let (domain, _, pirq) = unlocked(domain, pirq)?;
            state(|state| state.guests[domain].pirqs[pirq].is_masked = masked);
            Some(())
        }
        Act::Shared { cpu, domain, pirq } => {
            let (_, guest) = guest(domain);
            let cpu = idle(cpu)?;
            let function = functions(|functions| functions.shared);
            let arguments = [guest.domain, word((pirq % PIRQS) as u32)];
            let value = nested::call(cpu, function, arguments, false);
            told("pirq_shared", value & 0xffff_ffff);
            Some(())
        }
        Act::Affinity {
            cpu,
            domain,
            pirq,
            mask,
        } => {
            let (_, guest) = guest(domain);
            let pirq = pirq % PIRQS;
            let irq = usize::try_from(guest.irq_of(pirq)).unwrap_or(0);
            let is_pic = irq < GSIS && state(|state| state.is_pic(irq));
            let cpu = idle(cpu)?;
            // What cannot move is not asked to.
            if is_pic {
                return None;
            }
            let function = functions(|functions| functions.affinity);
            let set = &raw const mask as u64;
            let arguments = [guest.domain, word(pirq as u32), set];
            nested::call(cpu, function, arguments, false);
            Some(())
        }
        Act::Lock { cpu, domain, pirq } => lock_desc(cpu, domain, pirq),
        Act::Expire { irq } => expire(desc_of(irq % FILLER) as u64),
        Act::Limit => expire(0),
        Act::Call { cpu } => {
            let cpu = cpu % platform::with(|platform| platform.cpus);
            (is_online(cpu) && calls::answer(cpu)).then_some(())
        }
        Act::Wait { time } => {
            state(|state| state.now += time as i64 * 1000);
            Some(())
        }
        Act::Dump { cpu } => {
            let cpu = idle(cpu)?;
            let function = functions(|functions| functions.dump);
            nested::call(cpu, function, [u64::from(b'i')], false);
            Some(())
        }
        Act::Finish => {
            finish();
            Some(())
        }
    }
}

/// Takes the next registers for an interrupt, and has the CPU enter.
fn enter(frame: Frame, from_apic: bool) {
    let Frame { cpu, vector, .. } = frame;
    let (regs, do_irq) = state(|state| {
        let depth = state.frames.len() % REGISTERS;
        if from_apic {
            state.begin_service(cpu, vector);
        }
        state.frames.push(frame);
        let regs = (state.regs as *mut sys::cpu_user_regs).wrapping_add(depth);
        (regs, state.functions.do_irq)
    });
    set!(regs, entry_vector, ABOVE_VECTOR | u32::from(vector));
    record(Event::Call(
        "arrives",
        [cpu as u64, vector.into(), 0, 0, 0, 0],
    ));
    let before = nested::registers_of(cpu);
    nested::call(cpu, do_irq, [regs as u64], true);
    if nested::registers_of(cpu) != before {
        fault("the registers of the interrupted code are lost".to_owned());
    }
    state(|state| state.frames.pop());
}

/// The vectors of a PIC's IRQs.
fn pic_vector(irq: usize) -> u8 {
    FIRST + irq as u8
}

fn arrive(choice: usize, irq: usize) -> Option<()> {
    let desc = desc_of(irq);
    let (is_pic, is_masked, cpus) = platform::with(|platform| {
        let state = &platform.delivery;
        // Of other kinds one may be on its way when the IRQ is disabled.
        let is_still = matches!(state.kind(irq), Some(Kind::Pic | Kind::Masked | Kind::Edge));
        let is_masked = is_still && state.masked.contains(&irq);
        (state.is_pic(irq), is_masked, platform.cpus)
    });
    let places = if is_pic {
        vec![(i16::from(pic_vector(irq)), get!(desc, arch.cpu_mask))]
    } else {
        let mut places = vec![(get!(desc, arch.vector), get!(desc, arch.cpu_mask))];
        // One that was sent before the IRQ moved.
        if get!(desc, arch.move_in_progress()) {
            places.push((get!(desc, arch.old_vector), get!(desc, arch.old_cpu_mask)));
        }
        places
    };
    let mut targets = Vec::new();
    for (vector, set) in places {
        let vector = u8::try_from(vector).ok()?;
        let set = set_at(set);
        let cpus = (0..cpus).filter(|&cpu| has(&set, cpu) && is_online(cpu));
        targets.extend(cpus.map(|cpu| (cpu, vector)));
    }
    let (cpu, vector) = *targets.get(choice % targets.len().max(1))?;
    if is_masked || !has_handler(irq) || slot(cpu, vector) != irq as i32 {
        return None;
    }
    if !state(|state| is_pic || state.accepts(cpu, vector)) {
        return None;
    }
    calls::answer(cpu);
    let (has_end, by_xen) = state(|state| {
        let has_end = state.kind(irq).is_some_and(Kind::has_end);
        (has_end, state.by_xen.contains(&irq))
    });
    let frame = Frame {
        cpu,
        vector,
        ends_later: has_end && by_xen,
    };
    enter(frame, !is_pic);
    Some(())
}

fn slot(cpu: usize, vector: u8) -> i32 {
    let slots = state(|state| state.vector_irq.wrapping_add(state.offsets[cpu]));
    // SAFETY: the array of a CPU.
    unsafe { (slots as *const i32).add(vector.into()).read() }
}

fn stray(cpu: usize, vector: u8, in_service: bool) -> Option<()> {
    let cpu = cpu % platform::with(|platform| platform.cpus);
    let has_irq = slot(cpu, vector) >= 0;
    let accepts = state(|state| state.accepts(cpu, vector));
    if !is_online(cpu) || has_irq || !accepts || vector < FIRST || vector == CLEAN_UP {
        return None;
    }
    // What has a function comes from a local APIC.
    let is_direct = state(|state| state.direct == vector);
    let in_service = in_service || is_direct;
    calls::answer(cpu);
    let frame = Frame {
        cpu,
        vector,
        ends_later: false,
    };
    enter(frame, in_service);
    Some(())
}

fn set_up(cpu: usize, irq: usize) -> Option<()> {
    let cpu = idle(cpu)?;
    if !has_handler(irq) || state(|state| state.leaving.contains(&irq)) {
        return None;
    }
    let (function, handler) = functions(|functions| (functions.request, functions.handler as u64));
    let name = NAME.as_ptr() as u64;
    let arguments = [
        word(irq as u32),
        word(0),
        handler,
        name,
        dev_id_of(irq as u32),
    ];
    let value = nested::call(cpu, function, arguments, false) as u32;
    told("request_irq", value.into());
    if value == 0 {
        state(|state| state.by_xen.insert(irq));
    }
    Some(())
}

fn release(cpu: usize, irq: usize) -> Option<()> {
    let cpu = idle(cpu)?;
    let in_progress = get!(desc_of(irq), status) & sys::XEN_IRQ_INPROGRESS as u32 != 0;
    if in_progress || !state(|state| state.by_xen.remove(&irq)) {
        return None;
    }
    let function = functions(|functions| functions.release);
    nested::call(cpu, function, [word(irq as u32)], false);
    Some(())
}

fn map(domain: usize, pirq: usize, irq: usize) -> Option<()> {
    let (_, guest, pirq) = unlocked(domain, pirq)?;
    let is_mapped = state(|state| {
        let mapped = |guest: &Guest| guest.number_of(irq) != 0;
        state.guests.iter().any(mapped)
    });
    // A message has one domain.
    let is_free = if irq < GSIS {
        guest.number_of(irq) == 0
    } else {
        !is_mapped
    };
    if irq == 0 || !has_handler(irq) || !is_free || guest.irq_of(pirq) != 0 {
        return None;
    }
    guest.map(pirq, irq);
    Some(())
}

fn unmap(cpu: usize, domain: usize, pirq: usize) -> Option<()> {
    let (domain, guest, pirq) = unlocked(domain, pirq)?;
    let irq = usize::try_from(guest.irq_of(pirq))
        .ok()
        .filter(|&irq| irq != 0)?;
    let desc = desc_of(irq);
    let moves = may_clean_up(desc);
    let in_progress = get!(desc, status) & sys::XEN_IRQ_INPROGRESS as u32 != 0;
    let is_message = irq >= GSIS;
    let leaves = state(|state| state.leaving.contains(&irq));
    let by_xen = is_message && state(|state| state.by_xen.contains(&irq));
    let is_gone = is_message && !has_handler(irq);
    // C goes by the first guest for all of a block.
    let is_of_block = super::messages::is_of_block(desc);
    if moves || in_progress || leaves || by_xen || is_gone || is_of_block {
        return None;
    }
    let cpu = idle(cpu)?;
    guest.lock(true);
    state(|state| state.leaving.insert(irq));
    let function = functions(|functions| functions.unmap);
    let arguments = [guest.domain, word(pirq as u32)];
    let value = nested::call(cpu, function, arguments, false) as u32;
    state(|state| state.leaving.remove(&irq));
    told("unmap_domain_pirq", value.into());
    guest.lock(false);
    let _ = domain;
    Some(())
}

/// Whether CPUs have yet to clean up after a move, or may have to before a call ends.
fn may_clean_up(desc: *mut sys::irq_desc) -> bool {
    let arrives = state(|state| !state.meanwhile.is_empty());
    get!(desc, arch.move_cleanup_count) != 0 || get!(desc, arch.move_in_progress()) && arrives
}

/// Destroys the IRQ of a message whatever has it. Its pirqs stay.
fn remove(cpu: usize, irq: usize) -> Option<()> {
    let desc = desc_of(irq);
    let moves = may_clean_up(desc);
    let in_progress = get!(desc, status) & sys::XEN_IRQ_INPROGRESS as u32 != 0;
    let leaves = state(|state| state.leaving.contains(&irq));
    // A message of a function is freed with its IRQ.
    let is_of_function = super::messages::place_of(get!(desc, msi_desc) as u64).is_some();
    if irq < GSIS || !has_handler(irq) || moves || in_progress || leaves || is_of_function {
        return None;
    }
    let cpu = idle(cpu)?;
    platform::with(|platform| {
        platform.sources[irq] = None;
        platform.delivery.by_xen.remove(&irq);
        platform.delivery.lose(irq);
        platform.delivery.leaving.insert(irq);
    });
    let function = functions(|functions| functions.destroy);
    nested::call(cpu, function, [word(irq as u32)], false);
    state(|state| state.leaving.remove(&irq));
    Some(())
}

fn bind(cpu: usize, domain: usize, number: usize, shares: bool) -> Option<()> {
    let (domain, guest, number) = unlocked(domain, number)?;
    let pirq = guest.pirq(number);
    if pirq.is_null() || guest.pirqs[number].is_bound {
        return None;
    }
    let irq = guest.irq_of(number);
    let leaves = usize::try_from(irq).is_ok_and(|irq| state(|state| state.leaving.contains(&irq)));
    let is_gone = irq > 0 && !has_handler(irq as usize);
    if leaves || is_gone && irq < GSIS as i32 {
        return None;
    }
    let cpu = idle(cpu)?;
    guest.lock(true);
    guest.open(number, true);
    let vcpu = guest.vcpu as *mut sys::vcpu;
    set!(vcpu, processor, cpu as i32);
    state(|state| state.has_allocated = false);
    let function = functions(|functions| functions.bind);
    let arguments = [guest.vcpu, pirq as u64, word(shares.into())];
    let value = nested::call(cpu, function, arguments, false) as u32;
    told("pirq_guest_bind", value.into());
    if value == 0 && is_gone {
        fault(GONE.to_owned());
    }
    if value == 0 {
        state(|state| state.guests[domain].pirqs[number].is_bound = true);
    } else {
        guest.open(number, false);
    }
    guest.lock(false);
    Some(())
}

fn unbind(cpu: usize, domain: usize, number: usize) -> Option<()> {
    let (domain, guest, number) = unlocked(domain, number)?;
    if !guest.pirqs[number].is_bound {
        return None;
    }
    let irq = guest.irq_of(number).unsigned_abs() as usize;
    if state(|state| state.leaving.contains(&irq)) {
        return None;
    }
    let cpu = idle(cpu)?;
    guest.lock(true);
    state(|state| state.leaving.insert(irq));
    let pirq = guest.pirq(number) as u64;
    let (function, clean_up) = functions(|functions| (functions.unbind, functions.clean_up_pirq));
    nested::call(cpu, function, [guest.domain, pirq], false);
    state(|state| {
        state.leaving.remove(&irq);
        state.guests[domain].pirqs[number].is_bound = false;
    });
    guest.open(number, false);
    if !guest.pirq(number).is_null() {
        nested::call(cpu, clean_up, [pirq, guest.domain], false);
    }
    guest.lock(false);
    Some(())
}

fn answer(cpu: usize, domain: usize, number: usize, locked: bool) -> Option<()> {
    let (_, guest) = guest(domain);
    let number = number % PIRQS;
    let pirq = guest.pirq(number);
    if pirq.is_null() {
        return None;
    }
    let cpu = idle(cpu)?;
    let irq = usize::try_from(guest.irq_of(number))
        .ok()
        .filter(|&irq| irq != 0);
    if locked {
        let desc = desc_of(irq?);
        let place = addr!(desc, lock) as u64;
        let function = functions(|functions| functions.answer_locked);
        // The function unlocks, and switches IRQs on.
        attempt(|env| {
            lock(env, place, true)?;
            env.held.retain(|held| *held != place);
            env.irqs_on = true;
            Ok(())
        });
        release_locked(cpu, function, [desc as u64, pirq as u64]);
        return Some(());
    }
    let function = functions(|functions| functions.answer);
    nested::call(cpu, function, [pirq as u64], false);
    Some(())
}

/// Calls a function on a CPU with a lock held and IRQs off; it returns without either.
fn release_locked(cpu: usize, function: usize, [desc, pirq]: [u64; 2]) {
    let answer: extern "C" fn(u64, u64, u64) -> u64 = answer_under_lock;
    nested::call(cpu, answer as usize, [function as u64, desc, pirq], false);
}

extern "C" fn answer_under_lock(function: u64, desc: u64, pirq: u64) -> u64 {
    with(|env| env.irqs_on = false);
    // SAFETY: a function of the image that runs, with two arguments; nothing is borrowed.
    unsafe {
        let function: extern "C" fn(u64, u64) = std::mem::transmute(function as usize);
        function(desc, pirq);
    }
    let place = addr!(desc as *mut sys::irq_desc, lock) as u64;
    if crate::services::is_locked(place) {
        fault("a descriptor was left locked".to_owned());
    }
    0
}

/// Locks the descriptor of a pirq, and unlocks it.
fn lock_desc(cpu: usize, domain: usize, number: usize) -> Option<()> {
    let (_, guest) = guest(domain);
    let cpu = idle(cpu)?;
    let lock: extern "C" fn(u64, u64, u64) -> u64 = lock_and_unlock;
    let function = functions(|functions| functions.lock) as u64;
    let arguments = [function, guest.domain, word((number % PIRQS) as u32)];
    let irq = nested::call(cpu, lock as usize, arguments, false);
    told("domain_spin_lock_irq_desc", irq);
    Some(())
}

extern "C" fn lock_and_unlock(function: u64, domain: u64, pirq: u64) -> u64 {
    let mut flags = 0u64;
    // SAFETY: a function of the image that runs, with three arguments; nothing is borrowed.
    let desc = unsafe {
        let function: extern "C" fn(u64, u64, *mut u64) -> u64 =
            std::mem::transmute(function as usize);
        function(domain, pirq, &raw mut flags)
    };
    if desc == 0 {
        return u64::MAX;
    }
    if !nested::is_locked(desc as *const sys::irq_desc) {
        fault("a descriptor is answered that is not locked".to_owned());
    }
    let place = addr!(desc as *mut sys::irq_desc, lock) as u64;
    attempt(|env| unlock(env, place, true));
    with(|env| env.irqs_on = flags & 1 << 9 != 0);
    state(|state| state.name_of(desc))
}

/// The timer of some data runs out, if it is set.
fn expire(data: u64) -> Option<()> {
    let (timer, cpu) = state(|state| {
        let mut timers = state.timers.iter();
        timers.find_map(|(&at, timer)| {
            let is_set = timer.data == data && timer.expires.is_some();
            is_set.then_some((at, timer.cpu))
        })
    })?;
    idle(cpu)?;
    timers::expire(timer);
    Some(())
}

/// Ends what is left. Then no interrupt is in service.
fn finish() {
    let (cpus, domains) =
        platform::with(|platform| (platform.cpus, platform.delivery.guests.len()));
    let settle = || {
        for cpu in 0..cpus {
            calls::answer(cpu);
        }
    };
    settle();
    // One guest answers, the timer forces the others.
    for irq in 0..IRQS {
        let _ = expire(desc_of(irq) as u64);
        settle();
    }
    let _ = expire(0);
    if let Some((cpu, vector)) = state(|state| state.stuck()) {
        fault(format!("vector {vector:#x} of CPU {cpu} stays in service"));
    }
    for domain in 0..domains {
        for pirq in 0..PIRQS - 1 {
            let _ = unbind(0, domain, pirq);
            settle();
        }
    }
    for irq in 0..FILLER {
        let _ = release(0, irq);
    }
    let still = state(|state| state.timers.values().any(|timer| timer.data != 0));
    if still {
        fault("an IRQ without guests has a timer".to_owned());
    }
    if let Some(irq) = (0..FILLER).find(|&irq| is_bound(irq)) {
        fault(format!("IRQ {irq} is bound still"));
    }
    for domain in 0..domains {
        let guest = state(|state| state.guests[domain].clone());
        for number in 0..PIRQS {
            let pirq = guest.pirq(number);
            if !pirq.is_null() {
                attempt(|env| env.heap.free(pirq as u64, true));
                guest.forget(number);
            }
        }
    }
}
