//! What lies outside the arenas, or is kept private there.

use std::collections::BTreeSet;

use super::delivery::Delivery;
use super::guest::{Guest, PIRQS};
use super::spec::{IRQS, Mask};
use super::world::{VECTORS, World, set_at};
use crate::side::Side;
use crate::xen::{addr, get};

pub(super) fn compare(
    (c, c_world): (&mut Side, &World),
    (rust, rust_world): (&mut Side, &World),
) -> Result<(), String> {
    let differ = |what: String| Err(format!("{what} differ"));
    if c_world.online() != rust_world.online() {
        return differ("the CPUs that are online".to_owned());
    }
    // What is pending on a CPU is lost when the CPU goes offline.
    let pending = |world: &World| {
        let online = (0..world.spec.cpus).filter(|&cpu| world.is_online(cpu));
        online
            .map(|cpu| world.platform.pending[cpu])
            .collect::<Vec<_>>()
    };
    if pending(c_world) != pending(rust_world) {
        return differ("the pending interrupts".to_owned());
    }
    if c_world.platform.sources != rust_world.platform.sources {
        return differ("the sources".to_owned());
    }
    if c_world.fresh != rust_world.fresh {
        return differ("the descriptors that were allocated".to_owned());
    }
    if c_world.fresh_slots != rust_world.fresh_slots {
        return differ("the vectors that CPU 0 begins with".to_owned());
    }
    if c_world.platform.set_up != rust_world.platform.set_up {
        return differ("the IRQs that were set up".to_owned());
    }
    // SAFETY: variables of the images, of that type; no call runs.
    let most_guests =
        [&*c, &*rust].map(|side| unsafe { (own(side, "irq_max_guests") as *const u8).read() });
    if most_guests[0] != most_guests[1] {
        return differ("the most guests of an IRQ".to_owned());
    }
    // SAFETY: as above.
    let functions = [&*c, &*rust]
        .map(|side| unsafe { (own(side, "direct_apic_vector") as *const [u64; VECTORS]).read() });
    if functions[0] != functions[1] {
        return differ("the functions of vectors".to_owned());
    }
    compare_delivery(c_world, rust_world)?;
    for cpu in 0..c_world.spec.cpus {
        // SAFETY: the arrays of the CPUs; no call runs.
        let (a, b) = unsafe { (&*c_world.slots(cpu), &*rust_world.slots(cpu)) };
        if let Some(vector) = (0..a.len()).find(|&vector| a[vector] != b[vector]) {
            let (a, b) = (a[vector], b[vector]);
            return differ(format!("CPU {cpu}'s vectors {vector:#x}: {a} and {b}"));
        }
    }
    for irq in 0..IRQS {
        let descs = [c_world.desc(irq), rust_world.desc(irq)];
        let handlers = descs.map(|desc| get!(desc, handler) as u64);
        let none = [c_world, rust_world].map(|world| world.no_irq_type);
        let both_none = handlers == none;
        if !both_none
            && c.env().offset(handlers[0] as *const u8)
                != rust.env().offset(handlers[1] as *const u8)
        {
            return differ(format!("the handlers of IRQ {irq}"));
        }
        let maps = descs.map(|desc| get!(desc, arch.used_vectors) as *const Mask);
        let offsets = [c.env().offset(maps[0]), rust.env().offset(maps[1])];
        // A map of all IRQs is a variable of irq.c.
        let are_global = offsets
            .iter()
            .all(|offset| offset >> 63 != 0 && *offset != u64::MAX);
        // SAFETY: a map that is none of the world's is that variable.
        if are_global && unsafe { maps[0].read() != maps[1].read() }
            || !are_global && offsets[0] != offsets[1]
        {
            return differ(format!("the maps of IRQ {irq}"));
        }
        let [a, b] = descs.map(|desc| set_at(get!(desc, arch.old_cpu_mask)));
        if a != b {
            return differ(format!("the CPUs of IRQ {irq}'s old place"));
        }
    }
    Ok(())
}

/// Compares what is there where interrupts arrive.
fn compare_delivery(c_world: &World, rust_world: &World) -> Result<(), String> {
    if c_world.spec.delivery.is_none() {
        return Ok(());
    }
    let worlds = [c_world, rust_world];
    let [c, rust] = worlds.map(|world| &world.platform.delivery);
    let differ = |what: &str| Err(format!("{what} differ"));
    if c.in_service != rust.in_service {
        return differ("the vectors in service");
    }
    if c.access != rust.access {
        return differ("the IRQs that domains may use");
    }
    if c.enabled != rust.enabled {
        return differ("the messages that functions may send");
    }
    if c.masked != rust.masked {
        return differ("the pins that are masked");
    }
    let timers = |state: &Delivery| {
        let timers = state.timers.values();
        let known = timers.map(|timer| (state.name_of(timer.data), timer.cpu, timer.expires));
        known.collect::<BTreeSet<_>>()
    };
    if timers(c) != timers(rust) {
        return differ("the timers");
    }
    let asked = |state: &Delivery| {
        let asked = state.asked.iter();
        asked
            .map(|asked| asked.map(|(_, data)| state.name_of(data)))
            .collect::<Vec<_>>()
    };
    if asked(c) != asked(rust) {
        return differ("what CPUs are asked to do");
    }
    for (domain, (a, b)) in c.guests.iter().zip(&rust.guests).enumerate() {
        let pirqs = |guest: &Guest| {
            let known = |number| {
                let pirq = guest.pirq(number);
                let read = (!pirq.is_null())
                    .then(|| (get!(pirq, arch.irq), get!(pirq, masked), get!(pirq, evtchn)));
                let emulated = guest.is_hvm && !pirq.is_null();
                let emulated = emulated.then(|| get!(pirq, arch.__bindgen_anon_1.hvm.emuirq));
                (read, emulated, guest.pirqs[number].is_bound)
            };
            (0..PIRQS).map(known).collect::<Vec<_>>()
        };
        if pirqs(a) != pirqs(b) {
            let (c, rust) = (pirqs(a), pirqs(b));
            let both: Vec<_> = (0..PIRQS)
                .filter(|&number| c[number] != rust[number])
                .map(|number| (number, c[number], rust[number]))
                .collect();
            return differ(&format!("the pirqs of domain {domain}, {both:?}"));
        }
    }
    for irq in 0..IRQS {
        let private = worlds.map(|world| {
            let desc = world.desc(irq);
            let link = addr!(desc, rl_link);
            (get!(desc, action).is_null(), get!(link, next) == link)
        });
        if private[0] != private[1] {
            return differ(&format!("whether IRQ {irq} has an action, or is limited,"));
        }
    }
    Ok(())
}

/// Where a variable of irq.c is.
fn own(side: &Side, name: &str) -> usize {
    side.image.own_variable(name).expect("irq.o has it")
}
