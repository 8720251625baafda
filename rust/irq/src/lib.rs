//! Vectors of IRQs and their moves from one CPU to another, the interrupts that arrive there, and
//! the pirqs by which domains name IRQs: a part of `arch/x86/irq.c`.
//!
//! The steps of a move are told in `irq_core::irq::moves`.
#![no_std]
#![forbid(unsafe_code)]

pub mod allocate;
pub mod create;
pub mod deliver;
pub mod emulated;
pub mod evacuate;
pub mod guests;
pub mod own;
pub mod pirqs;

use irq_core::irq::cpus::{CpuSet, CpuSetMut, each};
use irq_core::irq::moves::{CleanUp, Completed, Target};
use irq_core::irq::vectors::{
    FIRST_DYNAMIC, FIRST_HIGH_PRIORITY, LAST_HIGH_PRIORITY, Taken, VectorSet, is_high_priority,
    is_irq_vector,
};
use xen::base::errno::Errno;
use xen::irq::cpus::Cpus;
use xen::irq::handler::Status;
use xen::irq::log;
use xen::irq::place::{self, Apart, PlacedDesc};
use xen::irq::signal::{self, Event};
use xen::irq::table::{self, VectorLock, Vectors};
use xen::objects::irq_desc::{HeldDesc, IrqDesc};
use xen::sync::irqs::IrqsOff;
use xen::xen_assert;

/// Releases a vector in a map of used ones.
#[doc(alias = "release_old_vec")]
fn release(used: Option<&VectorSet>, vector: Option<u8>) {
    if let (Some(used), Some(vector)) = (used, vector) {
        let was_used = used.remove(vector);
        xen_assert!(was_used);
    }
}

/// Chooses the map of used vectors for an IRQ that is to get its first vector
/// (`irq_get_used_vector_mask()`).
#[doc(alias = "irq_get_used_vector_mask")]
fn choose_used(desc: PlacedDesc<'_>, lock: &VectorLock) -> Option<&'static VectorSet> {
    let irq = desc.irq();
    match place::apart() {
        Apart::All => {
            let map = table::map_of_all();
            match place::known_vector(**desc) {
                _ if place::used(*desc).is_some() => log::has_map(irq),
                Some(vector) if is_irq_vector(vector) => {
                    log::has_vector(irq, vector);
                    let was_used = map.insert(vector);
                    xen_assert!(!was_used);
                }
                Some(vector) => log::has_bogus_vector(irq, vector),
                None => {}
            }
            Some(map)
        }
        Apart::OfDevice if desc.is_of_io_apic() => place::map_of_io_apic(*desc, lock),
        Apart::OfDevice | Apart::None => None,
    }
}

/// Gives an IRQ a vector on one of the CPUs, unless it has one there
/// (`_assign_irq_vector()`).
#[doc(alias = "_assign_irq_vector")]
fn assign(desc: PlacedDesc<'_>, wanted: Cpus<'_>, lock: &mut VectorLock) -> Result<(), Errno> {
    let online = Cpus::online();
    let known = place::known_vector(**desc).filter(|&vector| is_irq_vector(vector));
    let mut places = place::read(desc);
    match places.retarget(known, &wanted, &online) {
        Target::Stays => {}
        Target::Busy => return Err(Errno::AGAIN),
        Target::Returns(old) => {
            enter(desc, places.cpus.cpus(), places.vector, lock);
            release(place::used(*desc), old);
        }
        Target::Search => {
            let chosen = (!place::has_been_assigned(*desc)).then(|| choose_used(desc, lock));
            let used = chosen.unwrap_or(place::used(*desc));
            let taken = Taken {
                reserved: table::reserved(),
                used,
            };
            let mut cursor = *lock.cursor();
            let (cpu, vector) = each(&wanted)
                .find_map(|cpu| {
                    let vectors = lock.vectors(cpu)?;
                    let vector = cursor.find(cpu, taken, |vector| vectors.get(vector))?;
                    Some((cpu, vector))
                })
                .ok_or(Errno::NOSPC)?;
            *lock.cursor() = cursor;
            let old = places.settle(known, (cpu, vector), &online);
            release(place::used(*desc), old);
            signal::trace_cpus(Event::Assign, *desc, vector, places.cpus.cpus());
            enter(desc, places.cpus.cpus(), Some(vector), lock);
            place::set_assigned(*desc);
            let before = place::used(*desc);
            xen_assert!(before.is_none_or(|map| used.is_some_and(|used| core::ptr::eq(map, used))));
            if let Some(chosen) = chosen {
                place::set_used(*desc, chosen);
            }
            if let Some(used) = used {
                let was_used = used.insert(vector);
                xen_assert!(!was_used);
            }
        }
    }
    place::write(desc, &places);
    Ok(())
}

/// Enters an IRQ at a vector of some CPUs.
fn enter(desc: PlacedDesc<'_>, cpus: Cpus<'_>, vector: Option<u8>, lock: &VectorLock) {
    let Some(vector) = vector else { return };
    for vectors in each(&cpus).filter_map(|cpu| lock.vectors(cpu)) {
        vectors.set(vector, desc.irq());
    }
}

/// Runs something with the locks of an IRQ's descriptor and of vectors; `None` before the IRQ is
/// initialized.
fn with_vectors<R>(
    desc: IrqDesc<'_>,
    run: impl FnOnce(PlacedDesc<'_>, &mut VectorLock) -> R,
) -> Option<R> {
    let locked = desc.lock();
    let desc = PlacedDesc::of(locked.held())?;
    Some(run(desc, &mut VectorLock::take()))
}

/// Gives an IRQ a vector on one of some CPUs, or of all that are online. Returns the vector
/// (`assign_irq_vector()`).
#[doc(alias = "assign_irq_vector")]
pub fn assign_vector(desc: IrqDesc<'_>, wanted: Option<Cpus<'_>>) -> Result<Option<u8>, Errno> {
    with_vectors(desc, |desc, lock| {
        assign(desc, wanted.unwrap_or(Cpus::online()), lock)?;
        place::affinity(desc).copy(&wanted.unwrap_or(Cpus::all()));
        Ok(place::read(desc).vector)
    })
    .unwrap_or(Err(Errno::INVAL))
}

/// Moves an IRQ to one of some CPUs, or of all. Returns the APIC ID for its source; `None` where it
/// cannot be moved (`set_desc_affinity()`).
#[doc(alias = "set_desc_affinity")]
pub fn set_affinity(desc: PlacedDesc<'_>, wanted: Option<Cpus<'_>>) -> Option<u32> {
    let online = Cpus::online();
    if wanted.is_some_and(|wanted| !wanted.intersects(&online)) {
        return None;
    }
    let mut lock = VectorLock::take();
    assign(desc, wanted.unwrap_or(online), &mut lock).ok()?;
    let wanted = wanted.unwrap_or(Cpus::all());
    place::affinity(desc).copy(&wanted);
    signal::destination(wanted, place::read(desc).cpus.cpus(), &mut lock)
}

/// Gives an IRQ a certain vector on those of some CPUs that are online (`bind_irq_vector()`).
///
/// # Errors
///
/// [`Errno::INVAL`] where none of them is, [`Errno::BUSY`] where the IRQ has another.
#[doc(alias = "bind_irq_vector")]
#[doc(alias = "_bind_irq_vector")]
pub fn bind_vector(desc: IrqDesc<'_>, vector: u8, wanted: Cpus<'_>) -> Result<(), Errno> {
    with_vectors(desc, |desc, lock| bind(desc, vector, wanted, lock)).unwrap_or(Err(Errno::INVAL))
}

fn bind(
    desc: PlacedDesc<'_>,
    vector: u8,
    wanted: Cpus<'_>,
    lock: &VectorLock,
) -> Result<(), Errno> {
    let online = Cpus::online();
    if !wanted.intersects(&online) {
        return Err(Errno::INVAL);
    }
    let mut places = place::read(desc);
    if places.vector == Some(vector) && places.cpus.is_both(&wanted, &online) {
        return Ok(());
    }
    if places.vector.is_some() {
        return Err(Errno::BUSY);
    }
    places.vector = Some(vector);
    places.cpus.copy(&wanted);
    places.cpus.retain(&online);
    signal::trace_cpus(Event::Bind, *desc, vector, places.cpus.cpus());
    enter(desc, places.cpus.cpus(), places.vector, lock);
    if let Some(used) = place::used(*desc) {
        let was_used = used.insert(vector);
        xen_assert!(!was_used);
    }
    place::set_assigned(*desc);
    place::write(desc, &places);
    Ok(())
}

/// Lets IRQs have a vector that was reserved (`free_lopriority_vector()`).
#[doc(alias = "free_lopriority_vector")]
pub fn free_low_priority(vector: u8) {
    xen_assert!(vector < FIRST_HIGH_PRIORITY);
    table::reserved().remove(vector);
}

/// Takes all vectors from an IRQ that is not destroyed (`clear_irq_vector()`).
#[doc(alias = "clear_irq_vector")]
pub fn clear_vector(desc: IrqDesc<'_>) {
    let cleared = with_vectors(desc, |desc, lock| clear(desc, lock));
    xen_assert!(cleared.is_some());
}

/// Has an IRQ move to other CPUs when it is acknowledged next (`irq_set_affinity()`).
#[doc(alias = "irq_set_affinity")]
pub fn set_pending_affinity(desc: PlacedDesc<'_>, cpus: Cpus<'_>) {
    if desc.can_move() {
        xen_assert!(desc.is_locked());
        desc.set_move_pending(false);
        place::pending(desc).copy(&cpus);
        desc.set_move_pending(true);
    }
}

/// Moves an IRQ whose source sends nothing meanwhile, if it is to move (`move_masked_irq()`).
#[doc(alias = "move_masked_irq")]
pub fn move_masked(desc: HeldDesc<'_>) {
    if let Some(desc) = to_move(desc) {
        move_now(desc);
    }
}

/// Moves an IRQ, if it is to move (`move_native_irq()`).
#[doc(alias = "move_native_irq")]
pub fn move_native(desc: HeldDesc<'_>) {
    if let Some(desc) = to_move(desc)
        && !desc.has(Status::DISABLED)
    {
        desc.disable();
        move_now(desc);
        desc.enable();
    }
}

/// An IRQ, if it is to move. Handlers ask this at each interrupt.
fn to_move(desc: HeldDesc<'_>) -> Option<PlacedDesc<'_>> {
    desc.has(Status::MOVE_PENDING)
        .then(|| PlacedDesc::of(desc))
        .flatten()
}

fn move_now(desc: PlacedDesc<'_>) {
    desc.set_move_pending(false);
    if !desc.can_move() {
        return;
    }
    let mut pending = place::pending(desc);
    if pending.intersects(&Cpus::online()) {
        desc.move_to(pending.cpus());
    }
    pending.clear();
}

/// Takes all vectors from an IRQ (`_clear_irq_vector()`).
#[doc(alias = "_clear_irq_vector")]
pub fn clear(desc: PlacedDesc<'_>, lock: &VectorLock) {
    let mut places = place::read(desc);
    let (irq, current) = (desc.irq(), places.vector);
    xen_assert!(current.is_some_and(is_irq_vector));
    places.cpus.retain(&Cpus::online());
    if let Some(vector) = current {
        signal::trace_cpus(Event::Clear, *desc, vector, places.cpus.cpus());
    }
    for (number, held) in places.held().into_iter().enumerate() {
        let Some((cpus, vector)) = held else { continue };
        let online = each(cpus).filter_map(|cpu| lock.vectors(cpu));
        for vectors in online {
            xen_assert!(vectors.get(vector) == irq);
            vectors.set(vector, !irq);
            if number != 0 {
                signal::trace(Event::Finish, *desc, vector, vectors.cpu());
            }
        }
    }
    let released = places.clear();
    for vector in released {
        release(place::used(*desc), vector);
    }
    place::write(desc, &places);
    place::set_unused(*desc);
}

/// Fills in the vectors of a CPU that is coming online (`setup_vector_irq()`).
#[doc(alias = "setup_vector_irq")]
pub fn set_up(vectors: Vectors<'_>, lock: &VectorLock) {
    vectors.reset();
    for desc in IrqDesc::all().filter(|desc| desc.is_initialized()) {
        let Some(vector) = place::known_vector(desc) else {
            continue;
        };
        let on = if is_high_priority(vector) {
            place::join(desc, vectors, lock)
        } else {
            place::is_on(desc, vectors)
        };
        if on {
            vectors.set(vector, desc.irq());
        }
    }
}

/// Acts on an interrupt that this CPU has received while a move is in progress
/// (`irq_complete_move()`).
#[doc(alias = "irq_complete_move")]
#[doc(alias = "send_cleanup_vector")]
pub fn complete(desc: PlacedDesc<'_>, me: u32, vector: u8) {
    let mut places = place::read(desc);
    match places.complete(me, vector, &Cpus::online()) {
        Completed::NotYet => return,
        Completed::Tell => signal::clean_up(places.old_cpus.cpus()),
        Completed::Release(vector) => release(place::used(*desc), vector),
    }
    place::write(desc, &places);
}

/// Frees vectors of this CPU from which IRQs have moved away (`irq_move_cleanup_interrupt()`).
#[doc(alias = "irq_move_cleanup_interrupt")]
pub fn clean_up(vectors: Vectors<'_>, irqs: IrqsOff<'_>) {
    for vector in FIRST_DYNAMIC..=LAST_HIGH_PRIORITY {
        let Ok(irq) = u32::try_from(vectors.get(vector)) else {
            continue;
        };
        let Some(desc) = IrqDesc::numbered(irq) else {
            continue;
        };
        signal::with_lock(desc, irqs, |desc| {
            if let Some(desc) = PlacedDesc::of(desc) {
                clean_up_vector(desc, vector, vectors);
            }
        });
    }
}

fn clean_up_vector(desc: PlacedDesc<'_>, vector: u8, vectors: Vectors<'_>) {
    // Before the lock was taken, the IRQ may have lost the vector, and another may have got it.
    if vectors.get(vector) != desc.irq() || place::is_8259a(**desc) {
        return;
    }
    let mut places = place::read(desc);
    let me = vectors.cpu();
    match places.clean_up(me, vector, || signal::is_pending(vector)) {
        CleanUp::Leave => {}
        CleanUp::Never => xen_assert!(false),
        CleanUp::Later => {
            signal::clean_up_again();
            signal::trace(Event::Delay, *desc, vector, me);
        }
        CleanUp::Free => {
            xen_assert!(places.cleanups != 1 || places.old_vector == Some(vector));
            signal::trace(Event::CleanUp, *desc, vector, me);
            vectors.set(vector, !desc.irq());
            release(place::used(*desc), places.freed(me));
            place::write(desc, &places);
        }
    }
}

/// Takes CPUs that went offline, of which this is one, from the old place of an IRQ (the first part
/// of `fixup_irqs()` for each IRQ).
pub fn leave(desc: PlacedDesc<'_>, me: u32) {
    let mut places = place::read(desc);
    let left = places.leave(me, &Cpus::online(), signal::is_pending);
    if left.forward
        && let Some(vector) = places.vector
    {
        signal::forward(places.cpus.cpus(), vector);
    }
    release(place::used(*desc), left.release);
    place::write(desc, &places);
}
