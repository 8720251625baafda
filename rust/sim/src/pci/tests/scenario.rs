//! A run: a history of one function, with others who act while Xen masks and unmasks.

use super::flaws::Flaw;
use super::ledger::{Ledger, NOBODY, Violation};
use super::owner::{Owner, Write};
use super::steps::{ENTRIES, Step};
use super::xen::Xen;
use crate::dice::Dice;
use crate::pci::msix::{Function, Traits};
use irq_core::msi::mask::{Masks, Outcome};
use irq_core::msi::place::Table;
use std::cell::{Cell, RefCell, RefMut};

/// What the machine is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) traits: Traits,
    /// Whether the owner writes to configuration space even while Xen masks and unmasks.
    pub(super) crowded: bool,
    /// The number of the step from which on the function lies.
    pub(super) lies_from: Option<usize>,
}

/// A machine while it runs.
pub(super) struct World {
    pub(super) xen: Xen,
    machine: Machine,
    function: RefCell<Function>,
    ledger: RefCell<Ledger>,
    owner: RefCell<Owner>,
    dice: RefCell<Dice>,
    /// Nobody acts while Xen masks and unmasks.
    quiet: Cell<bool>,
    /// The owner's oldest write is carried out before an entry is written.
    interferes: Cell<bool>,
    /// The owner has announced something during this call.
    announced: Cell<bool>,
    /// The function has been changed during this call.
    torn: Cell<bool>,
    /// The function is known to be ready, told from its history alone.
    steady: Cell<bool>,
    /// Calls that read nothing of configuration space.
    free: Cell<usize>,
}

/// Runs software, flawed or not, on a machine. Returns what came of it, and how many calls read
/// nothing of configuration space.
pub(super) fn run(machine: Machine, flaw: Flaw, steps: &[Step], seed: u64) -> (Ledger, usize) {
    let world = World::new(machine, flaw, seed);
    world.start();
    for (number, &step) in steps.iter().enumerate() {
        if machine.lies_from == Some(number) {
            world.function().lie(Dice::new(seed));
            world.steady.set(false);
        }
        world.step(step);
    }
    (world.ledger.into_inner(), world.free.get())
}

impl World {
    pub(super) fn new(machine: Machine, flaw: Flaw, seed: u64) -> Self {
        Self {
            xen: Xen::new(ENTRIES, flaw),
            machine,
            function: RefCell::new(Function::new(machine.traits)),
            ledger: RefCell::new(Ledger::new(ENTRIES)),
            owner: RefCell::default(),
            dice: RefCell::new(Dice::new(seed)),
            quiet: Cell::new(false),
            interferes: Cell::new(false),
            announced: Cell::new(false),
            torn: Cell::new(false),
            steady: Cell::new(false),
            free: Cell::new(0),
        }
    }

    pub(super) fn function(&self) -> RefMut<'_, Function> {
        self.function.borrow_mut()
    }

    pub(super) fn ledger(&self) -> RefMut<'_, Ledger> {
        self.ledger.borrow_mut()
    }

    pub(super) fn table(&self) -> Table {
        self.function.borrow().table()
    }

    /// Sees what has been sent.
    pub(super) fn look(&self) {
        for index in self.function().take_sent() {
            self.ledger().came(index);
        }
    }

    fn raise(&self, index: usize) {
        if self.function().raise(index) {
            self.ledger().raised(index);
        }
        self.look();
    }

    /// From now on others do nothing while Xen masks and unmasks.
    pub(super) fn keep_others_quiet(&self) {
        self.quiet.set(true);
    }

    /// But for this: the owner's oldest write is carried out before Xen next writes an entry.
    pub(super) fn carry_out_before_next_entry(&self) {
        self.interferes.set(true);
    }

    /// Xen is about to write an entry.
    pub(super) fn before_entry(&self) {
        if self.interferes.take() {
            self.torn.set(true);
            self.owner.borrow_mut().carry_out(self);
        }
        self.others_act();
    }

    /// Others do what they like while Xen is at something.
    pub(super) fn others_act(&self) {
        if self.quiet.get() {
            return;
        }
        let below = |end| self.dice.borrow_mut().below(end);
        let most = if self.machine.crowded { 6 } else { 3 };
        for _ in 0..below(most) {
            match below(12) {
                0..6 => self.raise(below(ENTRIES)),
                6..8 => {
                    self.function().arrive();
                    self.look();
                }
                _ if !self.machine.crowded => {}
                8 => {
                    let writes = [
                        Write::Decode(true),
                        Write::Decode(false),
                        Write::GiveAway,
                        Write::Other,
                    ];
                    let write = self.dice.borrow_mut().of(&writes);
                    self.announced.set(true);
                    self.owner.borrow_mut().announce(self, write);
                }
                9 if self.owner.borrow().may_interfere() => {
                    self.torn.set(true);
                    self.owner.borrow_mut().carry_out(self);
                }
                _ => self.owner.borrow_mut().announce_late(self),
            }
        }
    }

    pub(super) fn step(&self, step: Step) {
        match step {
            Step::Raise(index) => self.raise(index),
            Step::Arrive => self.function().arrive(),
            Step::Host(index, host) => {
                let guest = self.xen.entries.borrow()[index].guest;
                self.set(index, Masks { host, guest });
            }
            Step::Guest(index, guest) => {
                let host = self.xen.entries.borrow()[index].host;
                self.set(index, Masks { host, guest });
            }
            Step::Announce(write) => {
                self.steady.set(false);
                self.owner.borrow_mut().announce(self, write);
            }
            Step::Enable => {
                let mask_all = self.xen.all.get().guest;
                self.write(Write::Control {
                    enabled: true,
                    mask_all,
                });
            }
            Step::CarryOut => self.owner.borrow_mut().carry_out(self),
            Step::AnnounceLate => self.owner.borrow_mut().announce_late(self),
            Step::DecodeBehind(decodes) => {
                self.steady.set(false);
                self.function().set_decoding(decodes);
            }
            Step::DisableBehind => {
                self.steady.set(false);
                self.function().disable_itself();
                self.ledger().disabled_itself();
            }
            Step::ResetBehind => self.lose_all(Function::reset),
            Step::Sleep => {
                self.owner.borrow_mut().finish(self);
                self.lose_all(Function::reset_to_other_bits);
                if self.xen.flaw != Flaw::SleepForgotten {
                    self.xen.generation.changed();
                }
            }
            Step::Restore => self.restore(),
            Step::Reassign => {
                self.write(Write::Reset);
                self.xen.reassign(ENTRIES);
                self.ledger().reassign(ENTRIES);
                self.start();
            }
            Step::Remove => self.lose_all(Function::remove),
        }
        self.look();
        if self.function().is_up_to_date() {
            self.ledger().quiet();
        }
    }

    fn lose_all(&self, how: impl FnOnce(&mut Function)) {
        self.steady.set(false);
        how(&mut self.function());
        self.ledger().lost_all();
    }

    /// The owner writes, and all that it has written is carried out.
    fn write(&self, write: Write) {
        self.steady.set(false);
        let mut owner = self.owner.borrow_mut();
        owner.announce(self, write);
        owner.finish(self);
    }

    /// A new owner enables the function and unmasks everything.
    fn start(&self) {
        self.restore();
        for index in 0..ENTRIES {
            self.set(index, NOBODY);
        }
    }

    /// The owner enables the function, and Xen masks and unmasks the entries as it remembers them.
    fn restore(&self) {
        self.write(Write::Decode(true));
        let mask_all = self.xen.all.get().guest;
        self.write(Write::Control {
            enabled: true,
            mask_all,
        });
        let mut done = true;
        for index in 0..ENTRIES {
            let masks = self.xen.entries.borrow()[index];
            done &= self.set(index, masks) == Outcome::Done && !self.torn.get();
        }
        if done {
            self.ledger().restored();
        }
    }

    /// Xen masks or unmasks an entry.
    pub(super) fn set(&self, index: usize, masks: Masks) -> Outcome {
        self.announced.set(false);
        self.torn.set(false);
        let trampled = self.function().trampled();
        let all = self.xen.all.get();
        let kept = self.xen.entries.borrow()[index];
        let idle = self.owner.borrow().is_idle();
        // An entry that is not as Xen left it makes Xen look at the function.
        let expected = self.function().is_masked(index) == kept.any();

        let before = self.ledger().begin(index);
        let (outcome, took) = self.xen.set(self, index, masks);
        let torn = self.torn.get();
        self.look();
        self.ledger().end(index, before, masks, outcome, torn);

        let done = outcome == Outcome::Done;
        let newly = outcome == Outcome::AllMasked { newly: true };
        let host = all.host || newly;
        let mut right = self.xen.all.get() == Masks { host, ..all };
        right &= self.xen.entries.borrow()[index] == if done { masks } else { kept };
        right &= match outcome {
            Outcome::Done => true,
            Outcome::AllMasked { .. } => masks.any(),
            Outcome::Unreachable => !masks.any(),
        };
        self.expect(right, Violation::WrongState);
        let stays = torn || self.function().trampled() == trampled;
        self.expect(stays, Violation::Trampled);

        let steady = self.steady.get() && !self.announced.get() && expected;
        self.free
            .set(self.free.get() + usize::from(took.reads == 0));
        // What does not answer is asked again whether it decodes memory.
        let again = u32::from(took.unanswered);
        let most = if steady {
            [0, 0, 1, 2]
        } else {
            [2 + again, 2, 2, 4]
        };
        let all = [took.reads, took.writes, took.entry, took.looks];
        let cheap = all.iter().zip(most).all(|(took, most)| *took <= most);
        self.expect(cheap, Violation::Costly);

        if torn {
            // Another function answered when the entry was read.
            self.function().accept_bits(index);
        }
        let function = self.function.borrow();
        let answers = function.is_honest() && function.decodes();
        let keeps = !answers || function.keeps_own_bits(index);
        self.expect(keeps, Violation::Overwritten);
        let ready = idle && function.is_honest() && function.is_enabled() && function.decodes();
        self.steady
            .set(!self.announced.get() && (self.steady.get() || done && ready));
        outcome
    }

    fn expect(&self, right: bool, violation: Violation) {
        if !right {
            self.ledger().violations.push(violation);
        }
    }
}
