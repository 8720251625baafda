//! The rows of the benchmark: what runs when an interrupt arrives in a move.
//!
//! What is counted is irq.c with the Rust for it, and the handler of the IRQ.

use super::op::{HandledBy, Op};
use super::perform::{Api, perform};
use super::spec::{GSIS, Maps, Spec, only};
use super::world::World;
use crate::answer::Answer;
use crate::meter::Meter;
use crate::side::{Script, Side};

pub(super) fn rows(side: &mut Side, api: &Api, meter: &mut Meter) {
    for (fill, size) in [(0, "0 % in use"), (99, "99 % in use")] {
        let spec = Spec {
            cpus: 4,
            online: [0xf, 0, 0, 0],
            maps: Maps::None,
            io_apic_irqs: 0,
            bound: Vec::new(),
            fill,
            salt: 1,
            alike: false,
            delivery: None,
        };
        side.clear();
        let mut world = World::build(side, &spec);
        let mut step = |side: &mut Side, op: &Op| {
            let answer = perform(side, api, &mut world, op, Script::plain(0));
            answer.unwrap_or_else(|| Answer::void(Ok(0)))
        };
        let create = Op::Create {
            cpu: 0,
            device: 0,
            handler: 0,
            node: 2,
            permit: false,
            handled_by: HandledBy::Xen,
        };
        step(side, &create);
        let irq = GSIS;
        let move_to = |cpu| Op::SetAffinity {
            cpu: 0,
            irq,
            mask: Some(only(cpu)),
            irqs_on: false,
        };
        let arrive = |cpu| Op::Acknowledge {
            cpu,
            irq,
            vector: None,
        };
        for (name, op) in [
            ("acknowledge", arrive(0)),
            ("move", move_to(1)),
            ("acknowledge, the first after a move", arrive(1)),
            ("clean up", Op::CleanUp { cpu: 0 }),
            ("stay", move_to(1)),
        ] {
            meter.count(side, (name, size, fill > 0), |side| step(side, &op));
        }
    }
}
