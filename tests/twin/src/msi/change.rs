//! Changes of the world.

use super::call::choose;
use super::cpus::set_cpus;
use super::op::Change;
use super::platform::Platform;
use super::world::{World, set_online};
use crate::machine::function::Function;
use crate::side::{Script, Side};
use crate::xen::{get, set};

/// Grace periods after which nobody waits any more.
const MOST_PERIODS: usize = 3;

/// Carries out a change of which msi.c is not told.
pub(super) fn alter(side: &mut Side, world: &mut World, change: &Change) {
    side.env().trace.clear();
    world.note(change);
    let interrupt = |irq: usize| world.irq(irq % world.spec.irqs);
    match *change {
        Change::Boot { done } => world.boot(side, done),
        Change::CreateHardwareDomain => World::begin_hardware_domain(side),
        Change::Run(runner) => world.run(side, runner),
        Change::Online { cpus } => {
            side.env().unit.of_mut::<Platform>().online = cpus;
            set_online(side, cpus);
        }
        Change::Status { irq, bits } => {
            let desc = interrupt(irq);
            set!(desc, status, get!(desc, status) ^ bits);
        }
        Change::Vector { irq, vector, cpus } => {
            let desc = interrupt(irq);
            set!(desc, arch.vector, vector.into());
            set_cpus(get!(desc, arch.cpu_mask), cpus);
        }
        Change::Pending { irq, cpus } => {
            set_cpus(get!(interrupt(irq), arch.pending_mask), cpus);
        }
        Change::Own { device, owner } => world.own(choose(world, device), owner),
        Change::Pages { guest, pages } => {
            let domain = if guest { world.guest } else { world.dom_io };
            set!(domain.domain, tot_pages, pages);
        }
        Change::Grace { once } => {
            for _ in 0..if once { 1 } else { MOST_PERIODS } {
                // What is waited for does not fail, and does nothing that others see.
                let done = side.grace_period();
                assert!(done == Ok(0) && side.env().trace.is_empty(), "{done:?}");
            }
        }
        Change::Sleep => {
            let functions = &mut side.env().machine.pci.functions;
            functions.iter_mut().for_each(|function| function.reset());
            if let Ok(resume) = side.image.symbol("msi_resume") {
                let script = Script {
                    irqs_off: true,
                    ..Script::plain(0)
                };
                let done = side.call(resume, &[], script);
                assert!(done.is_ok() && side.env().trace.is_empty(), "{done:?}");
            }
        }
        Change::Disable { device } => function(side, world, device).disable_itself(),
        Change::EnableItself { device } => function(side, world, device).enable_itself(),
        Change::Reset { device } => function(side, world, device).reset(),
        Change::Pull { device, gone } => function(side, world, device).gone = gone,
        Change::Command { device, command } => {
            function(side, world, device).write(4, 2, command.into());
        }
    }
}

fn function<'a>(side: &'a mut Side, world: &World, device: usize) -> &'a mut Function {
    &mut side.env().machine.pci.functions[choose(world, device)]
}
