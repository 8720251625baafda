//! Carries out a step.

use anyhow::Result;
use xen_sys as sys;

use super::act::{Act, When};
use super::guest::Guest;
use super::handled::{Handled, Handler};
use super::op::{HandledBy, Op};
use super::pirqs;
use super::platform;
use super::spec::{FILLER, GSIS, HPET, IRQS, Maps, Mask, has, only};
use super::thunks;
use super::world::{CLEAN_UP, Forward, Left, MESSAGES, World, fill_set, set_at};
use crate::answer::Answer;
use crate::argument::{byte, word};
use crate::heap::Failure;
use crate::loader::Image;
use crate::services::{force_lock, force_unlock};
use crate::side::{Outcome, Script, Side};
use crate::trap::Trap;
use crate::xen::{addr, get, set};

/// How many vectors of high priority there are.
const MOST_HIGH_PRIORITY: usize = 8;
/// `NUMA_NO_NODE`.
const NO_NODE: u8 = 0xff;

/// Addresses of what irq.c exports.
pub(crate) struct Api {
    allocate_direct: usize,
    assign: usize,
    bind: usize,
    clear: usize,
    clean_up: usize,
    complete: usize,
    create: usize,
    destroy: usize,
    fix_up: usize,
    free_vector: usize,
    init_desc: usize,
    move_native: usize,
    set_affinity: usize,
    set_direct: usize,
    set_up: usize,
    to_vector: usize,
    wish: usize,
}

impl Api {
    pub(super) fn new(image: &Image) -> Result<Self> {
        Ok(Self {
            allocate_direct: image.symbol("alloc_direct_apic_vector")?,
            assign: image.symbol("assign_irq_vector")?,
            bind: image.symbol("bind_irq_vector")?,
            clear: image.symbol("clear_irq_vector")?,
            clean_up: image.symbol("irq_move_cleanup_interrupt")?,
            complete: image.symbol("irq_complete_move")?,
            create: image.symbol("create_irq")?,
            destroy: image.symbol("destroy_irq")?,
            fix_up: image.symbol("fixup_irqs")?,
            free_vector: image.symbol("free_lopriority_vector")?,
            init_desc: image.symbol("arch_init_one_irq_desc")?,
            move_native: image.symbol("move_native_irq")?,
            set_affinity: image.symbol("set_desc_affinity")?,
            set_direct: image.symbol("set_direct_apic_vector")?,
            set_up: image.symbol("setup_vector_irq")?,
            to_vector: image.symbol("irq_to_vector")?,
            wish: image.symbol("irq_set_affinity")?,
        })
    }
}

pub(super) fn perform(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    op: &Op,
    script: Script,
) -> Option<Answer> {
    side.env().trace.clear();
    world.script = script;
    world.left = None;
    world.forwards.clear();
    world.cleaner = None;
    let online = |world: &World, cpu: &usize| {
        let cpu = cpu % world.spec.cpus;
        world.is_online(cpu).then_some(cpu)
    };
    match op {
        Op::Create {
            cpu,
            device,
            handler,
            node,
            permit,
            handled_by,
        } => {
            let cpu = online(world, cpu)?;
            let by = (cpu, *node, *permit);
            create(side, api, world, by, (*device, *handler, *handled_by))
        }
        Op::Destroy {
            cpu,
            irq,
            handled_by,
            in_progress,
        } => {
            let cpu = online(world, cpu)?;
            destroy(side, api, world, (cpu, *irq), (*handled_by, *in_progress))
        }
        Op::Assign { cpu, irq, mask } => {
            let (cpu, irq) = (online(world, cpu)?, movable(world, *irq)?);
            let mask = pass(world, mask.as_ref());
            let arguments = [word(irq as u32), mask];
            let outcome = world.call(side, cpu, api.assign, &arguments, false);
            if outcome.as_ref().is_ok_and(|vector| (*vector as i32) >= 0) {
                program_first(world, irq);
            }
            Some(Answer::int(outcome))
        }
        Op::SetAffinity {
            cpu,
            irq,
            mask,
            irqs_on,
        } => {
            let (cpu, irq) = (online(world, cpu)?, movable(world, *irq)?);
            let mask = pass(world, mask.as_ref());
            let desc = world.desc(irq);
            let lock = addr!(desc, lock) as u64;
            force_lock(lock);
            let function = api.set_affinity;
            let outcome = world.call(side, cpu, function, &[desc as u64, mask], !irqs_on);
            force_unlock(lock);
            if let Ok(destination) = &outcome {
                let destination = *destination as u32;
                world.platform.program(desc, destination);
            }
            Some(Answer::int(outcome))
        }
        Op::Wish { cpu, irq, mask } => {
            let (cpu, irq) = (online(world, cpu)?, movable(world, *irq)?);
            let mask = pass(world, Some(mask));
            let desc = world.desc(irq);
            let arguments = [desc as u64, mask];
            let outcome = locked(side, world, cpu, (api.wish, &arguments), desc);
            Some(Answer::void(outcome))
        }
        Op::Send { irq } => {
            let (cpu, vector) = world.platform.sources[irq % FILLER]?;
            world
                .is_online(cpu)
                .then(|| world.platform.pend(cpu, vector))?;
            Some(Answer::void(Ok(0)))
        }
        Op::Pend { cpu, vector } => {
            let cpu = online(world, cpu)?;
            world.platform.pend(cpu, *vector);
            Some(Answer::void(Ok(0)))
        }
        Op::Take { cpu } => {
            let cpu = online(world, cpu)?;
            let vector = world.platform.take(cpu)?;
            if vector == CLEAN_UP {
                return clean_up(side, api, world, cpu);
            }
            let irq = world.slot(cpu, vector);
            match movable(world, usize::try_from(irq).unwrap_or(FILLER)) {
                Some(irq) => acknowledge(side, api, world, (cpu, irq, vector)),
                None => Some(Answer::int(Ok(irq as u32 as u64))),
            }
        }
        Op::Acknowledge { cpu, irq, vector } => {
            let (cpu, irq) = (online(world, cpu)?, movable(world, *irq)?);
            let current = get!(world.desc(irq), arch.vector) as u8;
            acknowledge(side, api, world, (cpu, irq, vector.unwrap_or(current)))
        }
        Op::CleanUp { cpu } => {
            let cpu = online(world, cpu)?;
            clean_up(side, api, world, cpu)
        }
        Op::Offline { cpu } => {
            let cpu = online(world, cpu)?;
            (cpu != 0).then(|| offline(side, api, world, cpu))
        }
        Op::Online { cpu } => {
            let cpu = cpu % world.spec.cpus;
            if world.is_online(cpu) {
                return None;
            }
            let outcome = world.call(side, cpu, api.set_up, &[word(cpu as u32)], true);
            world.set_online(cpu, true);
            world.platform.pending[cpu] = [0; 4];
            Some(Answer::void(outcome))
        }
        Op::FreeVector { vector } => {
            if !world.hpet.is_empty() {
                return None;
            }
            world.hpet_is_free |= *vector == HPET;
            let outcome = world.call(side, 0, api.free_vector, &[byte((*vector).into())], false);
            Some(Answer::void(outcome))
        }
        Op::MakePic { irq } => {
            let irq = irq % 16;
            (!world.is_pic(irq)).then(|| world.make_pic(side, irq))?;
            Some(Answer::void(Ok(0)))
        }
        Op::ToVector { irq } => {
            let irq = irq % IRQS;
            let outcome = world.call(side, 0, api.to_vector, &[word(irq as u32)], false);
            Some(Answer::int(outcome))
        }
        Op::DomainGoes => {
            world.platform.domain_lives ^= true;
            Some(Answer::void(Ok(0)))
        }
        Op::Switch => {
            world.switch();
            Some(Answer::void(Ok(0)))
        }
        Op::Bind { irq, vector, mask } => bind(side, api, world, (irq % GSIS, *vector, mask)),
        Op::Clear { irq } => {
            let irq = irq % GSIS;
            if world.is_pic(irq) || get!(world.desc(irq), arch.vector) < 0 {
                return None;
            }
            let cleans_up = get!(world.desc(irq), arch.move_cleanup_count) != 0;
            world.left = cleans_up.then(|| left_of(world, irq));
            world.platform.sources[irq] = None;
            let outcome = world.call(side, 0, api.clear, &[word(irq as u32)], false);
            Some(Answer::void(outcome))
        }
        Op::ShareHpet { irq } => share_hpet(side, api, world, irq % IRQS),
        Op::AttachHpet { cpu, irq } => {
            let (cpu, irq) = (online(world, cpu)?, irq % IRQS);
            if !world.hpet.contains(&irq) {
                return None;
            }
            world.set_slot(cpu, HPET, irq as i32);
            fill_set(get!(world.desc(irq), arch.cpu_mask), only(cpu));
            Some(Answer::void(Ok(0)))
        }
        Op::InitDesc => Some(init_desc(side, api, world)),
        Op::Direct { has_vector } => {
            if world.high_priority == MOST_HIGH_PRIORITY {
                return None;
            }
            // SAFETY: an object of the world; no call runs.
            unsafe { world.vector.write(if *has_vector { 0xf5 } else { 0 }) };
            let handler = thunks::startup as *const () as u64;
            let arguments = [world.vector as u64, handler];
            // C has a lock of its own for that, which no interrupt takes.
            let guard = side.env().guard.take();
            let outcome = world.call(side, 0, api.allocate_direct, &arguments, false);
            side.env().guard = guard;
            if !has_vector {
                world.high_priority += 1;
                // SAFETY: as above.
                world.direct.insert(unsafe { world.vector.read() });
            }
            Some(Answer::void(outcome))
        }
        Op::Deliver { act, meanwhile } => deliver(side, world, act, meanwhile),
        Op::Pirqs { cpu, domain, call } => {
            let cpu = online(world, cpu)?;
            pirqs::perform(side, world, (cpu, *domain), call)
        }
        Op::SetDirect { vector } => {
            // What is set already makes C crash, and so does what is allocated later.
            if (0xf1..=0xf8).contains(vector) || !world.direct.insert(*vector) {
                return None;
            }
            let handler = thunks::startup as *const () as u64;
            let arguments = [byte((*vector).into()), handler];
            let outcome = world.call(side, 0, api.set_direct, &arguments, false);
            Some(Answer::void(outcome))
        }
    }
}

/// Binds a vector that is free on all CPUs, and in the IRQ's map.
fn bind(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (irq, vector, mask): (usize, u8, &Mask),
) -> Option<Answer> {
    let desc = world.desc(irq);
    let map: *mut Mask = get!(desc, arch.used_vectors).cast();
    let bit = 1 << (vector % 64);
    // SAFETY: a map of the world, or none; no call runs.
    let is_used = !map.is_null() && unsafe { (*map)[usize::from(vector / 64)] } & bit != 0;
    let is_free = (0..world.spec.cpus).all(|cpu| world.slot(cpu, vector) < 0) && !is_used;
    let has_it = get!(desc, arch.vector) >= 0;
    if world.is_pic(irq) || !is_free && !has_it {
        return None;
    }
    let arguments = [
        word(irq as u32),
        word(vector.into()),
        pass(world, Some(mask)),
    ];
    Some(Answer::int(
        world.call(side, 0, api.bind, &arguments, false),
    ))
}

/// Allocates the sets of a descriptor, and frees them.
fn init_desc(side: &mut Side, api: &Api, world: &mut World) -> Answer {
    let desc = world.spare;
    // SAFETY: an object of the world; zero bytes are a descriptor. No call runs.
    unsafe { desc.write_bytes(0, 1) };
    let outcome = world.call(side, 0, api.init_desc, &[desc as u64], false);
    let mut output = None;
    if outcome == Ok(0) {
        let words = [
            get!(desc, arch.vector) as u16,
            get!(desc, arch.old_vector) as u16,
            get!(desc, arch.creator_domid),
            u16::from(set_at(get!(desc, arch.cpu_mask)) == Mask::default()),
        ];
        output = Some(
            words
                .iter()
                .fold(0, |all, word| all << 16 | u64::from(*word)),
        );
        let sets = [
            get!(desc, arch.cpu_mask),
            get!(desc, arch.old_cpu_mask),
            get!(desc, arch.pending_mask),
        ];
        for set in sets {
            let freed = side.env().heap.free(set as u64, false);
            freed.expect("three sets were allocated");
        }
    }
    Answer {
        output,
        ..Answer::int(outcome)
    }
}

/// An IRQ that can move: of an IO-APIC, or of a message that was created. The HPET's driver moves
/// its own.
fn movable(world: &World, irq: usize) -> Option<usize> {
    let irq = irq % IRQS;
    let of_message = world.is_created(irq) && !world.hpet.contains(&irq);
    let can_move = irq < GSIS && !world.is_pic(irq) || of_message;
    can_move.then_some(irq)
}

/// Puts a set of CPUs where a caller has it.
fn pass(world: &World, mask: Option<&Mask>) -> u64 {
    let Some(mask) = mask else { return 0 };
    // SAFETY: an object of the world; no call runs.
    unsafe { world.mask.write(*mask) };
    world.mask as u64
}

/// Calls a function on a CPU with an IRQ's lock held, and IRQs off.
fn locked(
    side: &mut Side,
    world: &mut World,
    cpu: usize,
    (function, arguments): (usize, &[u64]),
    desc: *mut sys::irq_desc,
) -> Outcome {
    let lock = addr!(desc, lock) as u64;
    force_lock(lock);
    let outcome = world.call(side, cpu, function, arguments, true);
    force_unlock(lock);
    outcome
}

fn create(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (cpu, node, permit): (usize, u8, bool),
    (device, handler, handled_by): (usize, usize, HandledBy),
) -> Option<Answer> {
    let node = if node < 2 { node } else { NO_NODE };
    let arguments = [byte(node.into()), byte(permit.into())];
    let outcome = world.call(side, cpu, api.create, &arguments, false);
    if let Ok(irq) = outcome
        && let irq = irq as u32 as usize
        && irq < IRQS
    {
        let desc = world.desc(irq);
        if world.spec.delivery.is_some() {
            world.begin_message(irq, handler);
            program_first(world, irq);
            return Some(Answer::int(outcome));
        }
        // Handlers of messages can move them, but for a few.
        let handler = world.handlers.wrapping_add(handler % MESSAGES);
        set!(desc, handler, handler.cast_const());
        let action = match handled_by {
            HandledBy::Nothing => std::ptr::null_mut(),
            _ => world.action.cast(),
        };
        set!(desc, action, action);
        set!(desc, status, 0);
        let vector = get!(desc, arch.vector) as u8;
        if get!(desc, arch.used_vectors).is_null()
            && let Some(map) = world.map_of(device)
        {
            // SAFETY: an object of the world; no call runs.
            let map = unsafe { &mut *map };
            let (index, bit) = (usize::from(vector / 64), 1 << (vector % 64));
            if map[index] & bit == 0 {
                map[index] |= bit;
                set!(desc, arch.used_vectors, (&raw mut *map).cast());
            }
        }
        program_first(world, irq);
    }
    Some(Answer::int(outcome))
}

/// Has the source of an IRQ send to the first CPU of its place.
fn program_first(world: &mut World, irq: usize) {
    let desc = world.desc(irq);
    let cpus = set_at(get!(desc, arch.cpu_mask));
    let first = (0..world.spec.cpus).find(|&cpu| has(&cpus, cpu));
    if let Some(first) = first {
        world.platform.program(desc, platform::apic_id(first));
    }
}

fn destroy(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (cpu, irq): (usize, usize),
    (handled_by, in_progress): (HandledBy, bool),
) -> Option<Answer> {
    let irq = irq % IRQS;
    if !world.is_created(irq) {
        return None;
    }
    let desc = world.desc(irq);
    world.left = (get!(desc, arch.move_cleanup_count) != 0).then(|| left_of(world, irq));
    if world.spec.delivery.is_some() {
        return destroy_idle(side, api, world, (cpu, irq));
    }
    let action = action_of(side, handled_by);
    set!(desc, action, action);
    world.platform.sources[irq] = None;
    let handler = in_progress.then(|| {
        let (handled, handler) = Handled::begin(desc);
        world.platform.handled = Some(handled);
        handler
    });
    let outcome = world.call(side, cpu, api.destroy, &[word(irq as u32)], false);
    world.platform.handled = None;
    world.hpet.remove(&irq);
    handler.into_iter().for_each(Handler::join);
    // What is a part of something else is not freed; here it is, to see whether it was.
    let is_part = handled_by == HandledBy::Part && outcome.is_ok();
    let was_freed = is_part.then(|| side.env().heap.free(action as u64, true).is_err());
    Some(Answer {
        output: was_freed.map(u64::from),
        ..Answer::void(outcome)
    })
}

/// Destroys an IRQ that no guest has.
fn destroy_idle(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (cpu, irq): (usize, usize),
) -> Option<Answer> {
    let delivery = &mut world.platform.delivery;
    let is_mapped = |guest: &Guest| guest.number_of(irq) != 0;
    if delivery.guests.iter().any(is_mapped) {
        return None;
    }
    delivery.by_xen.remove(&irq);
    delivery.lose(irq);
    world.platform.sources[irq] = None;
    let outcome = world.call(side, cpu, api.destroy, &[word(irq as u32)], false);
    Some(Answer::void(outcome))
}

/// Carries out what happens where interrupts arrive.
fn deliver(
    side: &mut Side,
    world: &mut World,
    act: &Act,
    meanwhile: &[(When, Act)],
) -> Option<Answer> {
    world.spec.delivery?;
    let delivery = &mut world.platform.delivery;
    delivery.act = Some(act.clone());
    delivery.run = Some(super::deliver::run);
    delivery.meanwhile = meanwhile.to_vec().into();
    delivery.is_early = false;
    delivery.has_allocated = false;
    let root = thunks::root as *const () as usize;
    let outcome = world.call(side, 0, root, &[], false);
    let delivery = &mut world.platform.delivery;
    let outcome = match delivery.broken.take() {
        Some(what) => outcome.and(Err(Trap::Fault(what))),
        None => outcome,
    };
    let says = u64::from(delivery.is_early) | u64::from(delivery.is_c) << 1 | delivery.owed() << 2;
    (delivery.was_possible || outcome.is_err()).then(|| Answer {
        output: Some(says),
        ..Answer::void(outcome)
    })
}

/// What handles an IRQ.
fn action_of(side: &mut Side, handled_by: HandledBy) -> *mut sys::irqaction {
    if handled_by == HandledBy::Nothing {
        return std::ptr::null_mut();
    }
    let len = size_of::<sys::irqaction>();
    // What failed in the last call does not fail here.
    side.env().heap.start_call(Failure::Never);
    let action = side.env().heap.allocate(len, 8, true);
    let action = action.expect("the heap has memory left") as *mut sys::irqaction;
    set!(action, free_on_release, handled_by == HandledBy::Xen);
    action
}

/// Makes a created IRQ one of the HPET's (`hpet_setup_msi_irq()`): they all have the same vector.
fn share_hpet(side: &mut Side, api: &Api, world: &mut World, irq: usize) -> Option<Answer> {
    let desc = world.desc(irq);
    let moves = get!(desc, arch.move_in_progress()) || get!(desc, arch.move_cleanup_count) != 0;
    // A map would have to have the vector twice.
    let has_map = world.spec.maps != Maps::None;
    if !world.is_created(irq) || moves || has_map || world.hpet_is_free {
        return None;
    }
    world.hpet.insert(irq);
    let cleared = world.call(side, 0, api.clear, &[word(irq as u32)], false);
    if cleared.is_err() {
        return Some(Answer::void(cleared));
    }
    world.platform.sources[irq] = None;
    let arguments = [
        word(irq as u32),
        word(HPET.into()),
        pass(world, Some(&only(0))),
    ];
    let bound = world.call(side, 0, api.bind, &arguments, false);
    Some(Answer::int(bound))
}

/// The old place of an IRQ.
fn left_of(world: &World, irq: usize) -> Left {
    let desc = world.desc(irq);
    let vector = get!(desc, arch.old_vector) as u8;
    let has_it = |cpu: &usize| world.is_online(*cpu) && world.is_to_clean_up(irq, *cpu);
    Left {
        irq,
        vector,
        cpus: (0..world.spec.cpus).filter(has_it).collect(),
        map: get!(desc, arch.used_vectors).cast(),
    }
}

/// What a CPU that goes offline has to forward of an IRQ.
fn forward_of(world: &World, irq: usize, cpu: usize) -> Option<Forward> {
    let desc = world.desc(irq);
    let old = set_at(get!(desc, arch.old_cpu_mask));
    let old_vector = get!(desc, arch.old_vector) as u8;
    let word = world.platform.pending[cpu][usize::from(old_vector / 64)];
    let is_pending = word >> (old_vector % 64) & 1 != 0;
    let moves = get!(desc, arch.move_in_progress()) && has(&old, cpu);
    (moves && is_pending).then(|| place_of(world, irq))
}

/// Whether an IRQ is on a CPU, and pending there.
fn is_pending_on(world: &World, irq: usize, cpu: usize) -> bool {
    let desc = world.desc(irq);
    let Ok(vector) = u8::try_from(get!(desc, arch.vector)) else {
        return false;
    };
    let word = world.platform.pending[cpu][usize::from(vector / 64)];
    has(&set_at(get!(desc, arch.cpu_mask)), cpu) && word >> (vector % 64) & 1 != 0
}

/// An IRQ's vector, and those of its CPUs that are online.
fn place_of(world: &World, irq: usize) -> Forward {
    let desc = world.desc(irq);
    let mut targets = set_at(get!(desc, arch.cpu_mask));
    let online = world.online();
    let both = targets.iter_mut().zip(online);
    both.for_each(|(to, on)| *to &= on);
    Forward {
        vector: get!(desc, arch.vector) as u8,
        targets,
    }
}

/// An IRQ arrived at a vector: what its handler does when it acknowledges it.
fn acknowledge(
    side: &mut Side,
    api: &Api,
    world: &mut World,
    (cpu, irq, vector): (usize, usize, u8),
) -> Option<Answer> {
    let desc = world.desc(irq);
    set!(world.regs, entry_vector, vector.into());
    let arguments = [desc as u64];
    let completed = locked(side, world, cpu, (api.complete, &arguments), desc);
    if completed.is_err() {
        return Some(Answer::void(completed));
    }
    let moved = locked(side, world, cpu, (api.move_native, &arguments), desc);
    Some(Answer::void(moved))
}

fn clean_up(side: &mut Side, api: &Api, world: &mut World, cpu: usize) -> Option<Answer> {
    if world.spec.delivery.is_some() {
        let delivery = &mut world.platform.delivery;
        if !delivery.accepts(cpu, CLEAN_UP) {
            return None;
        }
        delivery.begin_service(cpu, CLEAN_UP);
    }
    let irqs = (0..IRQS).filter(|&irq| world.is_to_clean_up(irq, cpu));
    world.cleaner = Some((cpu, irqs.collect()));
    let outcome = world.call(side, cpu, api.clean_up, &[], true);
    let broken = world.platform.delivery.broken.take();
    let outcome = broken.map_or(outcome, |what| Err(Trap::Fault(what)));
    Some(Answer::void(outcome))
}

fn offline(side: &mut Side, api: &Api, world: &mut World, cpu: usize) -> Answer {
    // All CPUs stop, when they have done what they were asked to.
    for asked in 0..world.spec.cpus {
        if let Some(answer) = deliver(side, world, &Act::Call { cpu: asked }, &[])
            && answer.outcome.is_err()
        {
            return answer;
        }
    }
    world.set_online(cpu, false);
    world.forwards = (0..IRQS)
        .filter_map(|irq| forward_of(world, irq, cpu))
        .collect();
    let waiting: Vec<_> = (0..IRQS)
        .filter(|&irq| is_pending_on(world, irq, cpu))
        .collect();
    let mut outcome = world.call(side, cpu, api.fix_up, &[], true);
    if world.spec.delivery.is_some() && outcome.is_ok() {
        let function = world.platform.delivery.functions.fix_up;
        outcome = world.call(side, cpu, function, &[], true);
        world.platform.leave(cpu);
    }
    let places: Vec<_> = waiting
        .into_iter()
        .map(|irq| place_of(world, irq))
        .collect();
    world.forwards.extend(places);
    world.platform.pending[cpu] = [0; 4];
    Answer::void(outcome)
}
