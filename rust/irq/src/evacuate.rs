//! IRQs leave a CPU that goes offline.

use crate::leave;
use core::sync::atomic::{AtomicBool, Ordering};
use irq_core::irq::cpus::CpuSet;
use irq_core::irq::vectors::is_high_priority;
use xen::irq::cpus::Cpus;
use xen::irq::place::{self, PlacedDesc};
use xen::irq::{log, signal};
use xen::objects::irq_desc::IrqDesc;
use xen::sync::irqs::IrqsOff;
use xen::xen_assert;

/// The IRQ by which one PIC sends to the other: it is never handled.
const CASCADE: i32 = 2;

/// What the log is told of an IRQ.
enum Report {
    Nothing,
    CannotMove,
    AffinityBroken,
}

/// Moves IRQs away from this CPU, `me`, and others that are offline (`fixup_irqs()`).
#[doc(alias = "fixup_irqs")]
pub fn evacuate(me: u32, irqs: IrqsOff<'_>) {
    xen_assert!(!Cpus::online().contains(me));
    let all = IrqDesc::all().filter(|desc| desc.irq() != CASCADE && desc.is_initialized());
    for desc in all {
        let mut report = Report::Nothing;
        signal::with_lock(desc, irqs, |held| {
            if let Some(held) = PlacedDesc::of(held) {
                report = evacuate_one(held, me, irqs);
            }
        });
        match report {
            Report::Nothing => {}
            Report::CannotMove => log::cannot_move(desc.irq()),
            Report::AffinityBroken => log::affinity_broken(desc.irq(), Cpus::scratch(irqs)),
        }
    }
}

/// Moves one IRQ away. Where its affinity is to be shown, this CPU's scratch set has it.
fn evacuate_one(desc: PlacedDesc<'_>, me: u32, irqs: IrqsOff<'_>) -> Report {
    static WARNED: AtomicBool = AtomicBool::new(false);

    let vector = place::known_vector(**desc);
    if vector.is_some_and(is_high_priority) && desc.is_unused() {
        // A serial console's that is not set up yet, while CPUs are parked at boot.
        return Report::Nothing;
    }
    leave(desc, me);
    let online = Cpus::online();
    let cpus = place::read(desc).cpus;
    if !desc.has_action() || cpus.is_subset(&online) {
        return Report::Nothing;
    }
    let affinity = place::affinity(desc).cpus();
    let broken = !online.intersects(&affinity);
    let was_here = cpus.contains(me);

    desc.disable();
    let can_move = desc.move_to(if broken { Cpus::all() } else { affinity });
    desc.enable();
    // As late as possible: what is on its way to this CPU is to have arrived.
    let pending = was_here && vector.is_some_and(signal::is_pending);
    if pending && let Some(vector) = place::read(desc).vector {
        signal::forward(cpus.cpus(), vector);
    }
    affinity.copy_to_scratch(irqs);
    if !can_move && !WARNED.swap(true, Ordering::Relaxed) {
        Report::CannotMove
    } else if broken {
        Report::AffinityBroken
    } else {
        Report::Nothing
    }
}
