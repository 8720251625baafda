//! Several CPUs: all interleavings, and all values that a weakly ordered memory may answer.
//!
//! Two CPUs change configuration space; the second one's change makes the device not ready. A third
//! looks whether it is ready, and keeps the number of the generation if so. Then it relies on that:
//! what it does between the look at the generation and the access may come after a change that
//! began meanwhile, as between upstream's look at the registers and the access.

use super::super::*;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// What a CPU does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Nothing.
    None,
    /// The number is given out while a change is under way.
    CountIgnored,
    /// The beginning of a change does not end the generation.
    SameNumber,
    /// A change begins once it has been carried out.
    BegunLate,
    /// A change ends before it has been carried out.
    EndedEarly,
    /// The end of one change is taken for the end of all.
    OthersForgotten,
    /// The number is asked for after the device has been read.
    AskedLate,
    /// The number is read without any order.
    Unordered,
}

struct World {
    generation: Generation,
    /// Whether the device is ready, as configuration space says.
    ready: AtomicBool,
    /// Whether the change has been carried out that makes it not ready.
    done: AtomicBool,
    flaw: Flaw,
}

impl World {
    fn new(flaw: Flaw) -> Self {
        Self {
            generation: Generation::at(1),
            ready: AtomicBool::new(true),
            done: AtomicBool::new(false),
            flaw,
        }
    }

    /// Makes a change.
    fn change(&self, number: usize) {
        let carry_out = || {
            if number == 1 {
                self.ready.store(false, Ordering::Relaxed);
                self.done.store(true, Ordering::Release);
            }
        };
        match self.flaw {
            Flaw::BegunLate => {
                carry_out();
                self.generation.changed();
            }
            Flaw::EndedEarly => {
                self.generation.changed();
                carry_out();
            }
            Flaw::SameNumber => {
                self.generation.0.fetch_add(ONE, Ordering::SeqCst);
                carry_out();
                self.generation.end();
            }
            Flaw::OthersForgotten => {
                self.generation.begin();
                carry_out();
                let now = self.generation.0.load(Ordering::SeqCst);
                self.generation.0.store(now >> 32 << 32, Ordering::SeqCst);
            }
            _ => {
                self.generation.begin();
                carry_out();
                self.generation.end();
            }
        }
    }

    fn current(&self) -> Option<Seen> {
        let number = |now: u64| Seen(NonZeroU32::new((now >> 32) as u32).unwrap());
        match self.flaw {
            Flaw::CountIgnored => Some(number(self.generation.0.load(Ordering::SeqCst))),
            Flaw::Unordered => {
                let now = self.generation.0.load(Ordering::Relaxed);
                (now as u32 == 0).then_some(number(now))
            }
            _ => self.generation.current(),
        }
    }

    /// Looks whether the device is ready; returns the generation in which it was.
    fn learn(&self) -> Option<Seen> {
        if self.flaw == Flaw::AskedLate {
            let ready = self.ready.load(Ordering::Relaxed);
            return self.current().filter(|_| ready);
        }
        let seen = self.current()?;
        self.ready.load(Ordering::Relaxed).then_some(seen)
    }

    /// Whether a number that was kept says what is not true any more, although the change had been
    /// carried out when it was asked.
    fn is_stale(&self, kept: Option<Seen>) -> bool {
        let carried_out = self.done.load(Ordering::Acquire);
        carried_out && kept.is_some_and(|seen| self.generation.is(seen.number()))
    }
}

/// What was seen in all interleavings.
#[derive(Debug, Default, PartialEq, Eq)]
struct Findings {
    /// A number that was kept held although the device was not ready any more.
    stale: bool,
    /// A number was kept.
    kept: bool,
    /// No number was given out, because a change was under way.
    refused: bool,
    /// Two changes were under way at once.
    two: bool,
}

/// Runs all interleavings, or as many as it takes to find something stale.
fn explore(flaw: Flaw) -> Findings {
    let findings = std::sync::Arc::new(Mutex::new(Findings::default()));
    let result = findings.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    let run = move || {
        let world = Arc::new(World::new(flaw));
        let second = world.clone();
        let second = thread::spawn(move || second.change(1));
        let reader = world.clone();
        let reader = thread::spawn(move || {
            let kept = reader.learn();
            let stale = reader.is_stale(kept);
            let under_way = reader.generation.0.load(Ordering::Relaxed) as u32;
            (kept, stale, under_way)
        });
        world.change(0);
        let (kept, mut stale, under_way) = reader.join().expect("it does not panic");
        second.join().expect("it does not panic");
        stale |= world.is_stale(kept);
        // No change is under way for ever.
        assert!(flaw != Flaw::None || world.generation.current().is_some());
        let mut findings = findings.lock().expect("no thread panicked");
        findings.stale |= stale;
        findings.kept |= kept.is_some();
        findings.refused |= kept.is_none() && under_way != 0;
        findings.two |= under_way == 2;
        drop(findings);
        assert!(!stale, "no need to look further");
    };
    let whole = catch_unwind(AssertUnwindSafe(|| model.check(run))).is_ok();
    let findings = take(&mut *result.lock().expect("it was not held"));
    assert_ne!(whole, findings.stale, "the model itself panicked");
    findings
}

#[test]
fn nothing_stale_is_relied_on() {
    let expected = Findings {
        stale: false,
        kept: true,
        refused: true,
        two: true,
    };
    assert_eq!(explore(Flaw::None), expected);
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    for flaw in [
        Flaw::CountIgnored,
        Flaw::SameNumber,
        Flaw::BegunLate,
        Flaw::EndedEarly,
        Flaw::OthersForgotten,
        Flaw::AskedLate,
        Flaw::Unordered,
    ] {
        assert!(explore(flaw).stale, "{flaw:?}");
    }
}
