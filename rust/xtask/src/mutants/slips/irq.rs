//! Slips in vectors and moves of IRQs.

use super::super::slip::{Slip, slip};

const VECTORS: &str = "core/src/irq/vectors.rs";
const MOVES: &str = "core/src/irq/moves.rs";
const CPUS: &str = "core/src/irq/cpus.rs";
const UNIT: &str = "irq/src/lib.rs";
const TABLE: &str = "xen/src/irq/table.rs";
const CREATE: &str = "irq/src/create.rs";
const EVACUATE: &str = "irq/src/evacuate.rs";
const OBJECTS: &str = "xen/src/irq/create.rs";
const DIRECT: &str = "xen/src/irq/direct.rs";
const PLACE: &str = "xen/src/irq/place.rs";
const EXPORTS: &str = "exports/irq.rs";

pub(super) const SLIPS: &[Slip] = &[
    slip(
        "the vectors of the PICs are allocated on CPU 0",
        VECTORS,
        "",
        "cpu == 0",
        "cpu == 1",
    ),
    slip(
        "a vector that is reserved is allocated",
        VECTORS,
        "",
        "self.reserved.contains(vector)",
        "false",
    ),
    slip(
        "a vector is allocated twice to IRQs that must not share it",
        VECTORS,
        "",
        "self.used.is_some_and(|used| used.contains(vector))",
        "false",
    ),
    slip(
        "the next search begins where the last one did",
        VECTORS,
        "",
        "self.0 = vector;",
        "let _ = vector;",
    ),
    slip(
        "the CPUs of a set behind its first word are not seen",
        CPUS,
        "",
        "(cpu / 64 + 1) * 64",
        "self.limit()",
    ),
    slip(
        "an IRQ moves again while CPUs have yet to clean up",
        MOVES,
        "",
        "!self.is_moving()",
        "!self.in_progress",
    ),
    slip(
        "an IRQ returns to CPUs that are not wanted",
        MOVES,
        "",
        "self.cpus.retain(wanted);",
        "let _ = wanted;",
    ),
    slip(
        "an IRQ that returns waits for clean-ups",
        MOVES,
        "self.cpus.retain(wanted);",
        "self.cleanups = 0;",
        "",
    ),
    slip(
        "the old place has CPUs that are offline",
        MOVES,
        "self.old_cpus.copy(&self.cpus);",
        "self.old_cpus.retain(online);",
        "let _ = online;",
    ),
    slip(
        "an interrupt at the new vector of another CPU completes a move",
        MOVES,
        "",
        "!self.has(me)",
        "false",
    ),
    slip(
        "CPUs that are offline are waited for",
        MOVES,
        "return Completed::NotYet;",
        "self.old_cpus.retain(online);",
        "let _ = online;",
    ),
    slip(
        "the current vector is cleaned up",
        MOVES,
        "",
        "self.vector == Some(vector) && self.has(me)",
        "false",
    ),
    slip(
        "a vector is freed while an interrupt is pending at it",
        MOVES,
        "",
        "!is_pending()",
        "!is_pending() || true",
    ),
    slip(
        "a CPU that has cleaned up stays in the old place",
        MOVES,
        "and does not count again when it goes offline.",
        "self.old_cpus.remove(me);",
        "let _ = me;",
    ),
    slip(
        "an IRQ that is destroyed while CPUs clean up keeps its old vector in the map",
        MOVES,
        "",
        "self.is_moving().then(|| self.release_old()).flatten()",
        "self.in_progress.then(|| self.release_old()).flatten()",
    ),
    slip(
        "an IRQ that is destroyed while CPUs clean up keeps its old vector on them",
        MOVES,
        "",
        "self.old_vector.filter(|_| self.is_moving())",
        "self.old_vector.filter(|_| self.in_progress)",
    ),
    slip(
        "what is pending at the old place of a CPU that goes offline is lost",
        MOVES,
        "",
        "self.old_vector.is_some_and(is_pending)",
        "self.old_vector.is_some_and(is_pending) && false",
    ),
    slip(
        "a CPU that goes offline is waited for",
        MOVES,
        "",
        "self.cleanups.wrapping_sub(gone as u32)",
        "self.cleanups.wrapping_sub(0 * gone as u32)",
    ),
    slip(
        "a move goes on from CPUs that are all offline",
        MOVES,
        "if self.old_cpus.is_empty() {",
        "self.in_progress = false;",
        "",
    ),
    slip(
        "an IRQ moves to CPUs none of which is online",
        UNIT,
        "",
        "wanted.is_some_and(|wanted| !wanted.intersects(&online))",
        "wanted.is_some_and(|wanted| !wanted.intersects(&wanted))",
    )
    .equivalent("no vector is found on CPUs that are offline, and then it does not move either"),
    slip(
        "the affinity of an IRQ that moves is not noted",
        UNIT,
        "let wanted = wanted.unwrap_or(Cpus::all());",
        "place::affinity(desc).copy(&wanted);",
        "",
    ),
    slip(
        "a CPU that comes online has no vectors of high priority",
        UNIT,
        "",
        "is_high_priority(vector)",
        "false",
    ),
    slip(
        "the vector of a PIC is cleaned up",
        UNIT,
        "",
        "place::is_8259a(**desc)",
        "false",
    ),
    slip(
        "a vector that an IRQ gives up is not released in the map",
        UNIT,
        "let released = places.clear();",
        "release(place::used(*desc), vector);",
        "let _ = vector;",
    ),
    slip(
        "a CPU does not try again to clean up",
        UNIT,
        "",
        "signal::clean_up_again();",
        "",
    ),
    slip(
        "the vector lock is taken with IRQs on",
        TABLE,
        "",
        "_lock: Some(unsafe { IrqLocked::take(&raw mut sys::shim_vector_lock) }),",
        "_lock: Some(unsafe {
                if $slipped {
                    let flags = sys::_spin_lock_irqsave(&raw mut sys::shim_vector_lock);
                    sys::_spin_unlock_irqrestore(&raw mut sys::shim_vector_lock, flags);
                    sys::_spin_lock(&raw mut sys::shim_vector_lock);
                    IrqLocked::adopt(&raw mut sys::shim_vector_lock, flags)
                } else {
                    IrqLocked::take(&raw mut sys::shim_vector_lock)
                }
            }),",
    ),
    slip(
        "vectors of CPUs that are offline are changed",
        TABLE,
        "",
        "!Cpus::online().contains(cpu)",
        "!Cpus::online().contains(cpu) && false",
    ),
    slip(
        "a CPU that comes online has the vectors that it had",
        TABLE,
        "",
        "slot.store(i32::MIN, Ordering::Relaxed);",
        "",
    ),
    slip(
        "the number of clean-ups is not written",
        PLACE,
        "",
        "set_field!(desc, arch.move_cleanup_count)(place.cleanups);",
        "",
    ),
    slip(
        "the bits beside that of a move are cleared",
        PLACE,
        "",
        "u8::load(bits(desc)) & !MOVE_IN_PROGRESS",
        "u8::load(bits(desc)) & 0",
    )
    .equivalent("the byte has no other bit"),
    slip(
        "an IRQ whose set-up fails stays reserved",
        CREATE,
        "",
        "new.free();",
        "core::mem::forget(new);",
    ),
    slip(
        "an IRQ that is destroyed keeps its map of used vectors",
        CREATE,
        "",
        "place::set_used(*held, None);",
        "",
    ),
    slip(
        "what handled an IRQ that is destroyed is not freed",
        CREATE,
        "",
        "action.free();",
        "core::mem::forget(action);",
    ),
    slip(
        "a domain may use an IRQ that is destroyed",
        OBJECTS,
        "",
        "self.set_access(domain, false)",
        "self.set_access(domain, true)",
    ),
    slip(
        "the creator of an IRQ that is destroyed stays noted",
        OBJECTS,
        "complain(domain, errno);",
        "set_field!(self.0, arch.creator_domid)(Domain::NO_ID);",
        "",
    ),
    slip(
        "what is pending on a CPU that goes offline is lost",
        EVACUATE,
        "",
        "was_here && vector.is_some_and(signal::is_pending)",
        "was_here && vector.is_some_and(signal::is_pending) && false",
    ),
    slip(
        "the IRQ between PICs leaves a CPU",
        EVACUATE,
        "",
        "desc.irq() != CASCADE",
        "true",
    ),
    slip(
        "an affinity is broken while one of its CPUs is online",
        EVACUATE,
        "",
        "!online.intersects(&affinity)",
        "!online.intersects(&affinity) || true",
    ),
    slip(
        "an IRQ that has a vector is bound to another",
        UNIT,
        "",
        "places.vector.is_some()",
        "false",
    ),
    slip(
        "a wish for other CPUs is not noted",
        UNIT,
        "place::pending(desc).copy(&cpus);",
        "desc.set(Status::MOVE_PENDING);",
        "",
    ),
    slip(
        "a wish for other CPUs stays when it was fulfilled",
        UNIT,
        "",
        "pending.clear();",
        "",
    ),
    slip(
        "an IRQ of an IO-APIC with a PIC's vector has none",
        PLACE,
        "",
        "is_legacy && is_8259a(desc)",
        "is_legacy",
    ),
    slip(
        "a vector of high priority is allocated although there is one",
        DIRECT,
        "",
        "vector.load(Ordering::Relaxed) == 0",
        "vector.load(Ordering::Relaxed) == 0 || true",
    ),
    slip(
        "an IRQ that cannot move answers APIC ID 0",
        EXPORTS,
        "",
        "irq::set_affinity(placed!(desc, NONE), cpus!(mask)).unwrap_or(NONE)",
        "irq::set_affinity(placed!(desc, NONE), cpus!(mask)).unwrap_or(0 & NONE)",
    ),
    slip(
        "the vector at which an interrupt arrived has a bit too few",
        EXPORTS,
        "",
        "irq::complete(placed!(desc), cpu, vector as u8);",
        "irq::complete(placed!(desc), cpu, vector as u8 & 0x7f);",
    ),
];
