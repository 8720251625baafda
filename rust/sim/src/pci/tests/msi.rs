//! MSI with mask bits: the mask register is told from who wants what masked, and never read. Two
//! CPUs change it: Xen masks and unmasks messages on one, while a guest's write of the register is
//! carried out on the other.

use crate::pci::msi::Function;
use irq_core::msi::mask::{Masks, register};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// What Xen does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// The guest's masks are left out.
    GuestForgotten,
    /// The host's masks are left out where the guest writes the register.
    HostForgotten,
    /// All messages but the one that is masked are unmasked.
    OthersForgotten,
    /// The register is written only where something is to be masked.
    UnmaskForgotten,
    /// What a guest's write comes to is computed under the lock, and written when it is no longer
    /// held.
    WrittenLater,
    /// The guest's mask of a message is read before the lock is taken.
    ReadEarlier,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An event of the function.
    Raise(u32),
    /// One CPU begins to mask or unmask a message for Xen, which it does not do yet.
    HostBegins(usize, bool),
    /// It has done so.
    HostEnds,
    /// Another begins to carry out the guest's write of the register.
    GuestBegins(u32),
    /// It has done so.
    GuestEnds,
    /// The guest enables or disables MSI.
    Enable(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u32..64).prop_map(Step::Raise),
        4 => (0usize..32, any::<bool>()).prop_map(|(number, mask)| Step::HostBegins(number, mask)),
        4 => Just(Step::HostEnds),
        3 => any::<u32>().prop_map(Step::GuestBegins),
        3 => Just(Step::GuestEnds),
        1 => any::<bool>().prop_map(Step::Enable),
    ]
}

/// How many messages the function is capable of, and how many of them are used, as powers of two;
/// and what happens.
fn case() -> impl Strategy<Value = (u32, u32, Vec<Step>)> {
    let sizes = (0u32..=5).prop_flat_map(|capable| (Just(1 << capable), 0..=capable));
    (sizes, prop::collection::vec(step(), 0..80))
        .prop_map(|((capable, used), steps)| (capable, 1 << used, steps))
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// Messages that came although they were masked.
    escaped: usize,
    /// Messages that did not come although nobody masked them.
    lost: usize,
    /// The register had something other than what it must.
    wrong: usize,
    /// Messages that came.
    delivered: usize,
}

struct Run {
    function: Function,
    capable: u32,
    /// Who wants which message masked, as Xen has noted.
    masks: Vec<Masks>,
    /// The same, told from what has ended.
    wanted: Vec<Masks>,
    /// What Xen's CPU is at: the message, whether it is to be masked, and the guest's mask as it
    /// was read.
    host: Option<(usize, bool, bool)>,
    /// What the guest's CPU is at: what was written, and what that comes to.
    guest: Option<(u32, Option<u32>)>,
    enabled: bool,
    owed: Vec<bool>,
    flaw: Flaw,
    report: Report,
}

fn run(flaw: Flaw, capable: u32, used: u32, steps: &[Step]) -> Report {
    let masks = Masks {
        host: false,
        guest: false,
    };
    let mut run = Run {
        function: Function::new(capable),
        capable,
        masks: vec![masks; used as usize],
        wanted: vec![masks; used as usize],
        host: None,
        guest: None,
        enabled: true,
        owed: vec![false; used as usize],
        flaw,
        report: Report::default(),
    };
    run.function.enable(used);
    run.write(0);
    for &step in steps {
        run.step(step);
        run.check();
    }
    run.report
}

impl Run {
    fn step(&mut self, step: Step) {
        let used = self.masks.len();
        match step {
            Step::Raise(event) => {
                if let Some(number) = self.function.raise(event) {
                    self.owed[number as usize] = true;
                }
            }
            Step::HostBegins(number, mask) => {
                self.host_ends();
                let number = number % used;
                self.host = Some((number, mask, self.masks[number].guest));
            }
            Step::HostEnds => self.host_ends(),
            Step::GuestBegins(bits) => {
                self.guest_ends();
                let later = (self.flaw == Flaw::WrittenLater).then(|| self.note_guest(bits));
                self.guest = Some((bits, later));
            }
            Step::GuestEnds => self.guest_ends(),
            Step::Enable(enabled) => {
                self.enabled = enabled;
                self.function.enable(if enabled { used as u32 } else { 0 });
            }
        }
    }

    /// Xen's CPU holds the lock from here to the end.
    fn host_ends(&mut self) {
        let Some((number, host, early)) = self.host.take() else {
            return;
        };
        let guest = if self.flaw == Flaw::ReadEarlier {
            early
        } else {
            self.masks[number].guest
        };
        self.masks[number] = Masks { host, guest };
        self.wanted[number].host = host;
        self.write(number);
    }

    /// The guest's CPU does.
    fn guest_ends(&mut self) {
        let Some((bits, later)) = self.guest.take() else {
            return;
        };
        let value = match later {
            Some(value) => value,
            None => self.note_guest(bits),
        };
        for (number, wanted) in self.wanted.iter_mut().enumerate() {
            wanted.guest = bits >> number & 1 != 0;
        }
        if self.flaw != Flaw::UnmaskForgotten || self.masks[0].any() {
            self.function.write_mask(value);
        }
    }

    /// Notes what the guest wants masked; returns what is to be written.
    fn note_guest(&mut self, bits: u32) -> u32 {
        for (number, masks) in self.masks.iter_mut().enumerate() {
            masks.guest = bits >> number & 1 != 0;
        }
        self.register(0)
    }

    /// Writes the mask register, after a change to one message or to all.
    fn write(&mut self, changed: usize) {
        if self.flaw == Flaw::UnmaskForgotten && !self.masks[changed].any() {
            return;
        }
        let value = self.register(changed);
        self.function.write_mask(value);
    }

    /// What the register has to be.
    fn register(&self, changed: usize) -> u32 {
        let flaw = self.flaw;
        let masks = self.masks.iter().enumerate().map(|(number, masks)| Masks {
            host: masks.host
                && flaw != Flaw::HostForgotten
                && (flaw != Flaw::OthersForgotten || number == changed),
            guest: masks.guest && flaw != Flaw::GuestForgotten,
        });
        register(self.capable, masks)
    }

    fn check(&mut self) {
        for number in self.function.take_sent() {
            self.report.delivered += 1;
            self.owed[number as usize] = false;
            // While the guest writes, its masks may be the old ones or the new ones.
            let new = self.guest.is_some_and(|(bits, _)| bits >> number & 1 == 0);
            let wanted = self.wanted[number as usize];
            self.report.escaped += usize::from(wanted.host || wanted.guest && !new);
        }
        if self.guest.is_some() {
            return;
        }
        let mut mask = u32::MAX >> (32 - self.capable);
        for (number, masks) in self.wanted.iter().enumerate() {
            let open = !masks.any();
            mask &= !(u32::from(open) << number);
            self.report.lost += usize::from(open && self.enabled && self.owed[number]);
        }
        self.report.wrong += usize::from(self.function.mask() != mask);
    }
}

proptest! {
    #[test]
    fn no_message_escapes_and_none_is_lost((capable, used, steps) in case()) {
        let report = run(Flaw::None, capable, used, &steps);
        let delivered = report.delivered;
        prop_assert_eq!(report, Report { delivered, ..Report::default() });
    }
}

/// What some runs with a flaw come to, all together.
fn total(flaw: Flaw) -> Report {
    let mut runner = TestRunner::deterministic();
    let mut total = Report::default();
    for _ in 0..100 {
        let tree = case().new_tree(&mut runner);
        let (capable, used, steps) = tree.expect("nothing is filtered").current();
        let report = run(flaw, capable, used, &steps);
        total.escaped += report.escaped;
        total.lost += report.lost;
        total.wrong += report.wrong;
        total.delivered += report.delivered;
    }
    total
}

#[test]
fn everybodys_masks_of_all_messages_are_needed() {
    assert!(total(Flaw::None).delivered > 200);
    for flaw in [
        Flaw::GuestForgotten,
        Flaw::HostForgotten,
        Flaw::OthersForgotten,
    ] {
        let report = total(flaw);
        assert!(
            report.escaped > 0 && report.wrong > 0,
            "{flaw:?}: {report:?}"
        );
    }
    for flaw in [Flaw::WrittenLater, Flaw::ReadEarlier] {
        let report = total(flaw);
        assert!(
            report.escaped > 0 && report.lost > 0 && report.wrong > 0,
            "{flaw:?}: {report:?}"
        );
    }
    let report = total(Flaw::UnmaskForgotten);
    assert!(report.lost > 0 && report.wrong > 0, "{report:?}");
}
