//! Several CPUs: all interleavings, and all values that a weakly ordered memory may answer.
//!
//! Two CPUs change configuration space; the second one's change makes the device not ready. A third
//! looks whether it is ready, and keeps the number of the generation if so.

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
    /// The end of a wait is taken for the end of all changes.
    AgainForgotten,
    /// The number is given out while a change is under way.
    ChangingIgnored,
    /// An announcement does not end the generation.
    SameNumber,
    /// A change is announced once it has been carried out.
    AnnouncedLate,
    /// The wait ends before the change has been carried out.
    NoWait,
    /// The number is asked for after the device has been read.
    AskedLate,
    /// The number is read without any order.
    Unordered,
}

/// A CPU that changes configuration space.
#[derive(Default)]
struct Changer {
    /// It is about to announce a change.
    begun: AtomicBool,
    /// It has carried it out.
    done: AtomicBool,
}

struct World {
    generation: Generation,
    /// Whether the device is ready, as configuration space says.
    ready: AtomicBool,
    changers: [Changer; 2],
    flaw: Flaw,
}

impl World {
    fn new(flaw: Flaw) -> Self {
        Self {
            generation: Generation::at(NEXT),
            ready: AtomicBool::new(true),
            changers: Default::default(),
            flaw,
        }
    }

    /// Announces a change and carries it out. Whoever is the first waits for the others.
    fn change(&self, number: usize) {
        let changer = &self.changers[number];
        changer.begun.store(true, Ordering::Release);
        let carry_out = || {
            if number == 1 {
                self.ready.store(false, Ordering::Relaxed);
            }
            changer.done.store(true, Ordering::Release);
        };
        if self.flaw == Flaw::AnnouncedLate {
            carry_out();
        }
        let is_first = self.announce();
        if is_first && self.flaw == Flaw::NoWait {
            while self.settle() {}
        }
        if self.flaw != Flaw::AnnouncedLate {
            carry_out();
        }
        if is_first && self.flaw != Flaw::NoWait {
            self.wait();
            while self.settle() {
                self.wait();
            }
        }
    }

    /// Waits for the CPUs that are seen to have begun, as a grace period of RCU does.
    fn wait(&self) {
        for changer in &self.changers {
            if changer.begun.load(Ordering::Acquire) {
                while !changer.done.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            }
        }
    }

    fn announce(&self) -> bool {
        if self.flaw != Flaw::SameNumber {
            return self.generation.changing();
        }
        let before = self.generation.update(|now| match now & CHANGING {
            0 => now | CHANGING,
            _ => now | AGAIN,
        });
        before & CHANGING == 0
    }

    fn settle(&self) -> bool {
        if self.flaw != Flaw::AgainForgotten {
            return self.generation.settled();
        }
        self.generation.update(|now| now & !(CHANGING | AGAIN));
        false
    }

    fn current(&self) -> Option<Seen> {
        match self.flaw {
            Flaw::ChangingIgnored => Some(Seen(self.generation.0.load(Ordering::SeqCst))),
            Flaw::Unordered => {
                let now = self.generation.0.load(Ordering::Relaxed);
                (now & (CHANGING | AGAIN) == 0).then_some(Seen(now))
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

    /// Whether a number that was kept says what is not true any more, although the change has been
    /// carried out.
    fn is_stale(&self, kept: Option<Seen>) -> bool {
        let carried_out = self.changers[1].done.load(Ordering::Acquire);
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
    /// A change was announced while another one was waited for.
    again: bool,
}

/// Runs all interleavings, or as many as it takes to find something stale.
fn explore(flaw: Flaw) -> Findings {
    let findings = std::sync::Arc::new(Mutex::new(Findings::default()));
    let result = findings.clone();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    let run = move || {
        let world = Arc::new(World::new(flaw));
        let second = world.clone();
        let second = thread::spawn(move || second.change(1));
        let reader = world.clone();
        let reader = thread::spawn(move || {
            let kept = reader.learn();
            let stale = reader.is_stale(kept);
            (kept, stale, reader.generation.0.load(Ordering::Relaxed))
        });
        world.change(0);
        let (kept, mut stale, word) = reader.join().expect("it does not panic");
        second.join().expect("it does not panic");
        stale |= world.is_stale(kept);
        // No change is under way for ever.
        assert!(world.generation.current().is_some());
        let mut findings = findings.lock().expect("nobody panicked");
        findings.stale |= stale;
        findings.kept |= kept.is_some();
        findings.refused |= kept.is_none() && word & CHANGING != 0;
        findings.again |= word & AGAIN != 0;
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
        again: true,
    };
    assert_eq!(explore(Flaw::None), expected);
}

#[test]
fn each_part_of_the_protocol_is_needed() {
    for flaw in [
        Flaw::AgainForgotten,
        Flaw::ChangingIgnored,
        Flaw::SameNumber,
        Flaw::AnnouncedLate,
        Flaw::NoWait,
        Flaw::AskedLate,
        Flaw::Unordered,
    ] {
        assert!(explore(flaw).stale, "{flaw:?}");
    }
}
