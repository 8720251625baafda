//! MSI with mask bits: the mask register is told from who wants what masked, and never read.

use crate::pci::msi::Function;
use irq_core::host::mask::{Masks, register};
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
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An event of the function.
    Raise(u32),
    /// Xen masks or unmasks a message.
    Host(usize, bool),
    /// The guest writes the register.
    Guest(u32),
    /// The guest enables or disables MSI.
    Enable(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u32..64).prop_map(Step::Raise),
        4 => (0usize..32, any::<bool>()).prop_map(|(number, mask)| Step::Host(number, mask)),
        2 => any::<u32>().prop_map(Step::Guest),
        1 => any::<bool>().prop_map(Step::Enable),
    ]
}

/// How many messages the function is capable of, and how many of them are used, as powers of two; and what happens.
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
    masks: Vec<Masks>,
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
            Step::Host(number, mask) => {
                self.masks[number % used].host = mask;
                self.write(number % used);
            }
            Step::Guest(bits) => {
                for (number, masks) in self.masks.iter_mut().enumerate() {
                    masks.guest = bits >> number & 1 != 0;
                }
                self.write(0);
            }
            Step::Enable(enabled) => {
                self.enabled = enabled;
                self.function.enable(if enabled { used as u32 } else { 0 });
            }
        }
    }

    /// Writes the mask register, after a change to one message or to all.
    fn write(&mut self, changed: usize) {
        let flaw = self.flaw;
        if flaw == Flaw::UnmaskForgotten && !self.masks[changed].any() {
            return;
        }
        let masks = self.masks.iter().enumerate().map(|(number, masks)| Masks {
            host: masks.host
                && flaw != Flaw::HostForgotten
                && (flaw != Flaw::OthersForgotten || number == changed),
            guest: masks.guest && flaw != Flaw::GuestForgotten,
        });
        self.function.write_mask(register(self.capable, masks));
    }

    fn check(&mut self) {
        for number in self.function.take_sent() {
            self.report.delivered += 1;
            self.owed[number as usize] = false;
            self.report.escaped += usize::from(self.masks[number as usize].any());
        }
        let mut mask = u32::MAX >> (32 - self.capable);
        for (number, masks) in self.masks.iter().enumerate() {
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
    let report = total(Flaw::UnmaskForgotten);
    assert!(report.lost > 0 && report.wrong > 0, "{report:?}");
}
