//! Pirqs of domains are allocated, mapped to IRQs and unmapped.

use xen_sys as sys;

use super::guest::{Guest, PIRQS};
use super::messages;
use super::spec::{DOMAINS, GSIS, IRQS};
use super::world::World;
use crate::answer::Answer;
use crate::argument::word;
use crate::side::{Outcome, Side};
use crate::xen::{addr, get, set};

/// A call about the pirqs of a domain, or a change of the domain. A pirq of -1 is one that is to be
/// chosen.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// A pirq is chosen.
    Free {
        pin: bool,
    },
    FreeBlock {
        messages: u32,
    },
    /// A pirq is mapped to a pin that the current domain names, or to any IRQ.
    MapPin {
        index: i32,
        pirq: i32,
    },
    Map {
        pirq: i32,
        irq: i32,
    },
    /// A pirq is mapped to a function's message, or entry of its table, or a run of them to a
    /// block.
    MapMessages {
        function: usize,
        index: i32,
        pirq: i32,
        block: bool,
        table: bool,
        messages: i32,
    },
    Unmap {
        pirq: i32,
    },
    UnmapAll,
    /// A pirq stands for an emulated interrupt, or no longer.
    Emulate {
        pirq: i32,
        emuirq: i32,
    },
    StopEmulating {
        pirq: i32,
    },
    /// An event channel is bound to a pirq that has no message.
    Channel {
        pirq: i32,
    },
    /// The domain may use an IRQ, or no longer.
    Permit {
        irq: usize,
        allow: bool,
    },
    /// A pirq is reserved.
    Reserve {
        pirq: usize,
    },
    /// A pirq is freed if nothing uses it.
    CleanUp {
        pirq: usize,
    },
}

impl Call {
    /// Whether a block of messages is mapped.
    pub(super) fn is_block(&self) -> bool {
        matches!(self, Self::MapMessages { block: true, .. })
    }
}

/// What the driver sees of a call, in the low bits of an answer's output.
pub(super) const LEFT_BEHIND: u64 = 1;
/// An IRQ that was created for a call that succeeded is no pirq's.
pub(super) const LOST: u64 = 2;
/// A guest was bound to a message of a block that was unmapped.
pub(super) const BOUND_BLOCK: u64 = 4;
/// All of them.
pub(super) const SEEN: u64 = 7;

/// What a mapping that fails leaves as it was.
#[derive(Debug, PartialEq, Eq)]
struct State {
    links: Vec<Vec<i32>>,
    irqs: Vec<Vec<i64>>,
    access: std::collections::BTreeSet<(usize, u64)>,
    created: Vec<bool>,
    enabled: std::collections::BTreeSet<usize>,
}

fn state_of(world: &World) -> State {
    let delivery = &world.platform.delivery;
    let guests = delivery.guests.iter();
    let created = created(world);
    let is_in_use = |irq: usize| irq < GSIS || created.get(irq - GSIS).is_some_and(|it| *it);
    State {
        links: guests
            .clone()
            .map(|guest| (0..PIRQS).map(|pirq| guest.irq_of(pirq)).collect())
            .collect(),
        irqs: guests
            .map(|guest| (0..IRQS).map(|irq| guest.number_of(irq)).collect())
            .collect(),
        // What could not be taken back of an IRQ that is not in use ends with its next use.
        access: delivery
            .access
            .iter()
            .filter(|&&(_, irq)| is_in_use(irq as usize))
            .copied()
            .collect(),
        created,
        enabled: delivery.enabled.clone(),
    }
}

/// Which IRQs of messages are in use.
fn created(world: &World) -> Vec<bool> {
    (GSIS..IRQS)
        .map(|irq| get!(world.desc(irq), arch.used) != sys::IRQ_UNUSED as i8)
        .collect()
}

/// Whether some IRQ is in use that no pirq of the domain stands for.
fn has_lost(world: &World, guest: &Guest, before: &[bool]) -> bool {
    // The map from IRQs does not tell pirq 0 from none.
    let stands_for = |pirq, irq| usize::try_from(guest.irq_of(pirq)) == Ok(irq);
    let is_mapped = |irq: usize| (0..PIRQS).any(|pirq| stands_for(pirq, irq));
    created(world)
        .into_iter()
        .zip(before)
        .enumerate()
        .any(|(number, (is_used, was_used))| is_used && !was_used && !is_mapped(GSIS + number))
}

/// What stands in the way of unmapping a pirq now.
fn is_busy(world: &World, guest: &Guest, pirq: usize) -> bool {
    let delivery = &world.platform.delivery;
    let Some(irq) = usize::try_from(guest.irq_of(pirq))
        .ok()
        .filter(|irq| *irq != 0)
    else {
        return false;
    };
    let desc = world.desc(irq);
    let moves = get!(desc, arch.move_cleanup_count) != 0;
    let in_progress = get!(desc, status) & sys::XEN_IRQ_INPROGRESS as u32 != 0;
    let by_xen = irq >= GSIS && delivery.by_xen.contains(&irq);
    moves || in_progress || by_xen || delivery.leaving.contains(&irq)
}

/// How many messages the block has that begins at a pirq; 1 where there is none.
fn messages_at(world: &World, guest: &Guest, pirq: usize) -> usize {
    let irq = usize::try_from(guest.irq_of(pirq)).unwrap_or(0);
    let message = get!(world.desc(irq), msi_desc);
    if irq != 0 && place_in(world, message as u64) {
        get!(message, __bindgen_anon_1.msi.nvec).max(1) as usize
    } else {
        1
    }
}

/// The pirqs of the block that begins at a pirq, or it alone.
fn block_at(world: &World, guest: &Guest, pirq: usize) -> std::ops::Range<usize> {
    pirq..(pirq + messages_at(world, guest, pirq)).min(PIRQS)
}

/// Whether a block begins at a pirq that is mapped to other pirqs, or in part: C has a BUG there.
fn is_elsewhere(world: &World, guest: &Guest, pirq: usize) -> bool {
    let message = |pirq: usize| {
        let irq = usize::try_from(guest.irq_of(pirq)).ok();
        irq.filter(|irq| *irq != 0)
            .map(|irq| get!(world.desc(irq), msi_desc))
    };
    let first = message(pirq);
    let reaches_beyond = pirq + messages_at(world, guest, pirq) > PIRQS;
    reaches_beyond
        || block_at(world, guest, pirq)
            .enumerate()
            .any(|(number, pirq)| {
                let expected = first.map(|first| first.wrapping_add(number));
                message(pirq).is_some_and(|it| Some(it) != expected)
            })
}

/// Whether a message is one of a function's MSI capability.
fn place_in(world: &World, message: u64) -> bool {
    let first = world.platform.delivery.blocks;
    let place = (message as usize).wrapping_sub(first) / size_of::<sys::msi_desc>();
    message != 0 && place % messages::DESCS < messages::MESSAGES
}

/// Carries a call out. `None` where the world does not allow it, or where C goes on with what is
/// not so any more.
pub(super) fn perform(
    side: &mut Side,
    world: &mut World,
    (cpu, domain): (usize, usize),
    call: &Call,
) -> Option<Answer> {
    world.spec.delivery?;
    let number = domain % DOMAINS;
    let delivery = &mut world.platform.delivery;
    delivery.is_denial_refused = false;
    // What was to happen in the middle of an act that did not get there.
    delivery.meanwhile.clear();
    let guest = world.platform.delivery.guests[number].clone();
    let domain = guest.domain as *mut sys::domain;
    if guest.is_locked() {
        return None;
    }
    let locked = |side: &mut Side, world: &mut World, name: &str, rest: &[i32]| -> Outcome {
        let function = side.image.symbol(name).expect("irq.o has it");
        let mut arguments = vec![guest.domain];
        arguments.extend(rest.iter().map(|it| word(it.cast_unsigned())));
        guest.lock(true);
        let outcome = world.call(side, cpu, function, &arguments, false);
        guest.lock(false);
        outcome
    };
    match *call {
        Call::Free { pin } => {
            let outcome = locked(side, world, "get_free_pirq", &[i32::from(pin)]);
            Some(Answer::int(outcome))
        }
        Call::FreeBlock { messages } => {
            let messages = messages.cast_signed();
            Some(Answer::int(locked(
                side,
                world,
                "get_free_pirqs",
                &[messages],
            )))
        }
        Call::Map { pirq, irq } => {
            let function = side.image.symbol("map_domain_pirq").expect("irq.o has it");
            let before = state_of(world);
            let arguments = [
                guest.domain,
                word(pirq as u32),
                word(irq as u32),
                word(1),
                0,
            ];
            guest.lock(true);
            let outcome = world.call(side, cpu, function, &arguments, false);
            guest.lock(false);
            Some(seen((world, &guest), outcome, &before, 0))
        }
        Call::MapPin { index, pirq } => {
            let function = side.image.symbol("allocate_and_map_gsi_pirq");
            let function = function.expect("irq.o has it");
            let before = state_of(world);
            // SAFETY: an object of the world; no call runs.
            unsafe { world.pirq.write(pirq) };
            let arguments = [guest.domain, word(index as u32), world.pirq as u64];
            let outcome = world.call(side, cpu, function, &arguments, false);
            let chosen = u64::from(get_pirq(world).cast_unsigned());
            Some(seen((world, &guest), outcome, &before, chosen << 8))
        }
        Call::MapMessages { .. } => map_messages(side, world, (cpu, number), call),
        Call::Unmap { pirq } => {
            let mut is_bound_block = false;
            if let Ok(first) = usize::try_from(pirq)
                && first < PIRQS
            {
                let block = block_at(world, &guest, first);
                let is_busy = block.clone().any(|pirq| is_busy(world, &guest, pirq));
                if is_busy || is_elsewhere(world, &guest, first) {
                    return None;
                }
                let is_bound = |pirq: usize| guest.pirqs[pirq].is_bound;
                is_bound_block = block.len() > 1 && block.clone().any(is_bound);
            }
            let outcome = locked(side, world, "unmap_domain_pirq", &[pirq]);
            Some(Answer {
                output: Some(if is_bound_block { BOUND_BLOCK } else { 0 }),
                ..Answer::int(outcome)
            })
        }
        Call::UnmapAll => {
            let busy = |pirq| is_busy(world, &guest, pirq) || is_elsewhere(world, &guest, pirq);
            if (0..PIRQS).any(busy) {
                return None;
            }
            let is_bound_block = (0..PIRQS).any(|first| {
                let block = block_at(world, &guest, first);
                block.len() > 1 && block.clone().any(|pirq| guest.pirqs[pirq].is_bound)
            });
            let function = side
                .image
                .symbol("free_domain_pirqs")
                .expect("irq.o has it");
            let outcome = world.call(side, cpu, function, &[guest.domain], false);
            Some(Answer {
                output: Some(if is_bound_block { BOUND_BLOCK } else { 0 }),
                ..Answer::void(outcome)
            })
        }
        Call::Emulate { pirq, emuirq } => {
            let outcome = locked(side, world, "map_domain_emuirq_pirq", &[pirq, emuirq]);
            Some(Answer::int(outcome))
        }
        Call::StopEmulating { pirq } => {
            let outcome = locked(side, world, "unmap_domain_pirq_emuirq", &[pirq]);
            Some(Answer::int(outcome))
        }
        Call::Channel { pirq } => {
            let number = usize::try_from(pirq).ok().filter(|pirq| *pirq < PIRQS)?;
            let irq = usize::try_from(guest.irq_of(number)).unwrap_or(0);
            // What unmasks a message is msi.c's.
            if !get!(world.desc(irq), msi_desc).is_null() {
                return None;
            }
            let outcome = locked(side, world, "arch_evtchn_bind_pirq", &[pirq]);
            Some(Answer::void(outcome))
        }
        Call::Permit { irq, allow } => {
            let access = (number, (irq % GSIS) as u64);
            let set = &mut world.platform.delivery.access;
            if allow {
                set.insert(access);
            } else {
                set.remove(&access);
            }
            None
        }
        Call::Reserve { pirq } => {
            let pirq = guest.pirq(pirq % PIRQS);
            if !pirq.is_null() && get!(pirq, arch.irq) == 0 {
                set!(pirq, arch.irq, -1);
            }
            None
        }
        Call::CleanUp { pirq } => {
            let pirq = guest.pirq(pirq % PIRQS);
            if pirq.is_null() || get!(pirq, evtchn) != 0 {
                return None;
            }
            let function = side
                .image
                .symbol("pirq_cleanup_check")
                .expect("irq.o has it");
            guest.lock(true);
            let outcome = world.call(side, cpu, function, &[pirq as u64, domain as u64], false);
            guest.lock(false);
            Some(Answer::void(outcome))
        }
    }
}

/// The pirq that a call has chosen.
fn get_pirq(world: &World) -> i32 {
    // SAFETY: an object of the world; no call runs.
    unsafe { world.pirq.read() }
}

/// The answer of a mapping, with what it leaves.
fn seen((world, guest): (&World, &Guest), outcome: Outcome, before: &State, output: u64) -> Answer {
    let fails = outcome.as_ref().is_ok_and(|value| *value as i32 != 0);
    let mut flags = 0;
    let mut after = state_of(world);
    if world.platform.delivery.is_denial_refused {
        // Access that cannot be taken back stays.
        after.access.clone_from(&before.access);
    }
    if fails && after != *before {
        flags |= LEFT_BEHIND;
    }
    if !fails && has_lost(world, guest, &before.created) {
        flags |= LOST;
    }
    Answer {
        output: Some(output | flags),
        ..Answer::int(outcome)
    }
}

fn map_messages(
    side: &mut Side,
    world: &mut World,
    (cpu, number): (usize, usize),
    call: &Call,
) -> Option<Answer> {
    let Call::MapMessages {
        function,
        index,
        pirq,
        block,
        table,
        messages,
    } = *call
    else {
        return None;
    };
    let guest = world.platform.delivery.guests[number].clone();
    if block {
        // C looks at the first pirq and the first IRQ alone.
        let is_used = created(world);
        let is_held = |irq: usize| {
            let number = guest.number_of(irq);
            number < 0 || number != 0 && irq >= GSIS && !is_used[irq - GSIS]
        };
        let far = usize::try_from(pirq).map_or(0..0, |first| first + 1..first + MOST);
        let is_taken = |pirq: usize| pirq >= PIRQS || guest.irq_of(pirq) != 0;
        if (0..IRQS).any(is_held) || far.clone().any(is_taken) {
            return None;
        }
    } else if usize::try_from(index).is_ok_and(|irq| irq >= IRQS) {
        return None;
    }
    let before = state_of(world);
    let request = world.request;
    set!(request, sbdf.sbdf, function as u32);
    set!(request, irq, 0);
    set!(request, entry_nr, messages);
    set!(
        request,
        table_base,
        if table && !block { 0x1000 } else { 0 }
    );
    // SAFETY: an object of the world; no call runs.
    unsafe { world.pirq.write(pirq) };
    let kind = if block { MULTIPLE } else { 0 };
    let place = side.image.symbol("allocate_and_map_msi_pirq");
    let place = place.expect("irq.o has it");
    let arguments = [
        guest.domain,
        word(index as u32),
        world.pirq as u64,
        word(kind),
        request as u64,
    ];
    let lock = addr!(guest.domain as *mut sys::domain, pci_lock);
    set!(lock, cnts.counter, READER);
    let outcome = world.call(side, cpu, place, &arguments, false);
    set!(lock, cnts.counter, 0);
    let chosen = u64::from(get_pirq(world).cast_unsigned());
    let entries = get!(request, entry_nr) as u64 & 0xff;
    Some(seen(
        (world, &guest),
        outcome,
        &before,
        chosen << 8 | entries << 48,
    ))
}

/// As many messages as a block has at most here.
const MOST: usize = 8;
/// `MAP_PIRQ_TYPE_MULTI_MSI`.
const MULTIPLE: u32 = 4;
/// The word of a read-write lock that one reader has.
const READER: i32 = 1 << 16;
