//! CPUs are threads, and the list of each is a flag of its own. The domain's event lock and the
//! lock of the IRQ's descriptor are mutexes. What upstream met before it was repaired is planted
//! beside: those models must fail.

use super::*;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Arc, Mutex};
use loom::thread;

/// The steps, right or with a flaw.
trait Steps: Send + Sync + 'static {
    /// Also returns whether there is a reference to be dropped.
    fn begin(state: &State) -> (Turn, bool) {
        (state.begin(), true)
    }

    fn finish(state: &State) {
        state.finish();
    }

    /// Returns how many references are to be dropped.
    fn cancel(state: &State) -> usize {
        state.cancel();
        0
    }
}

struct Right;
impl Steps for Right {}

/// Unbinding takes SCHEDULED while a list has the pirq (upstream 104072fc1c).
struct CancelsScheduled;
impl Steps for CancelsScheduled {
    fn begin(state: &State) -> (Turn, bool) {
        if state.0.fetch_or(RUNNING, Ordering::AcqRel) & RUNNING != 0 {
            return (Turn::Wait, false);
        }
        let before = state.0.fetch_and(!SCHEDULED, Ordering::AcqRel);
        (Turn::Deliver, before & SCHEDULED != 0)
    }

    fn cancel(state: &State) -> usize {
        let before = state.0.fetch_and(!(SCHEDULED | MASKED), Ordering::AcqRel);
        usize::from(before & SCHEDULED != 0)
    }
}

/// A softirq expects to be the only one (upstream a2a935bc5e).
struct RunsAlone;
impl Steps for RunsAlone {
    fn begin(state: &State) -> (Turn, bool) {
        assert_eq!(state.begin(), Turn::Deliver, "two softirqs");
        (Turn::Deliver, true)
    }
}

/// SCHEDULED is cleared when the interrupt was delivered, as RUNNING is.
struct ClearsLate;
impl Steps for ClearsLate {
    fn begin(state: &State) -> (Turn, bool) {
        let before = state.0.fetch_or(RUNNING, Ordering::AcqRel);
        let runs = before & RUNNING != 0;
        (if runs { Turn::Wait } else { Turn::Deliver }, true)
    }

    fn finish(state: &State) {
        let both = SCHEDULED | RUNNING;
        state.0.fetch_and(!both, Ordering::AcqRel);
    }
}

/// What a pirq has, and what is known of it.
struct Pirq<S> {
    state: State,
    /// How many lists have it.
    lists: AtomicUsize,
    references: AtomicUsize,
    /// How many interrupts the device has sent.
    sent: AtomicUsize,
    freed: AtomicBool,
    /// Whether the interrupt comes, under the lock of the descriptor.
    comes: Mutex<bool>,
    /// How many had been sent when one was delivered last, under the event lock.
    delivered: Mutex<usize>,
    steps: std::marker::PhantomData<S>,
}

impl<S: Steps> Pirq<S> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: State::new(),
            lists: AtomicUsize::new(0),
            references: AtomicUsize::new(0),
            sent: AtomicUsize::new(0),
            freed: AtomicBool::new(false),
            comes: Mutex::new(true),
            delivered: Mutex::new(0),
            steps: std::marker::PhantomData,
        })
    }

    fn touch(&self) -> &State {
        assert!(
            !self.freed.load(Ordering::SeqCst),
            "used after it was freed"
        );
        &self.state
    }

    fn append(&self) {
        let others = self.lists.fetch_add(1, Ordering::SeqCst);
        assert_eq!(others, 0, "on two lists");
    }

    /// An interrupt on this CPU; returns whether the CPU's list has the pirq.
    fn interrupt(&self) -> bool {
        let comes = self.comes.lock().expect("nothing panics");
        if !*comes {
            return false;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.touch().arrive() == Arrival::Queued {
            return false;
        }
        self.references.fetch_add(1, Ordering::SeqCst);
        self.append();
        true
    }

    /// The softirq of a CPU whose list has the pirq.
    fn softirq(&self) {
        let drops = loop {
            self.lists.fetch_sub(1, Ordering::SeqCst);
            match S::begin(self.touch()) {
                (Turn::Deliver, drops) => break drops,
                (Turn::Wait, _) => self.append(),
            }
            thread::yield_now();
        };
        {
            let mut delivered = self.delivered.lock().expect("nothing panics");
            if self.touch().take() {
                *delivered = self.sent.load(Ordering::Relaxed);
            }
        }
        S::finish(self.touch());
        self.references
            .fetch_sub(usize::from(drops), Ordering::SeqCst);
    }

    fn cpu(this: &Arc<Self>) -> thread::JoinHandle<()> {
        let this = this.clone();
        thread::spawn(move || {
            if this.interrupt() {
                this.softirq();
            }
        })
    }

    fn unbind(&self) {
        *self.comes.lock().expect("nothing panics") = false;
        let _event_lock = self.delivered.lock().expect("nothing panics");
        let dropped = S::cancel(self.touch());
        self.references.fetch_sub(dropped, Ordering::SeqCst);
        if !self.state.is_active() {
            self.freed.store(true, Ordering::SeqCst);
        }
    }

    /// The same, and the interrupt comes again at once.
    fn rebind(&self) {
        *self.comes.lock().expect("nothing panics") = false;
        {
            let _event_lock = self.delivered.lock().expect("nothing panics");
            let dropped = S::cancel(self.touch());
            self.references.fetch_sub(dropped, Ordering::SeqCst);
        }
        *self.comes.lock().expect("nothing panics") = true;
    }

    fn is_quiet(&self) {
        assert_eq!(self.state.0.load(Ordering::SeqCst), 0);
        assert_eq!(self.lists.load(Ordering::SeqCst), 0);
        assert_eq!(self.references.load(Ordering::SeqCst), 0);
    }
}

fn join(cpus: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for cpu in cpus {
        cpu.join().expect("no CPU fails");
    }
}

/// Two interrupts, on a CPU each: the last delivery is not before the last interrupt.
fn two_interrupts<S: Steps>() {
    let pirq = Pirq::<S>::new();
    join([Pirq::cpu(&pirq), Pirq::cpu(&pirq)]);
    assert_eq!(*pirq.delivered.lock().expect("nothing panics"), 2, "lost");
    pirq.is_quiet();
}

/// The same, while the pirq is unbound and bound again.
fn rebound<S: Steps>() {
    let pirq = Pirq::<S>::new();
    let cpus = [Pirq::cpu(&pirq), Pirq::cpu(&pirq)];
    pirq.rebind();
    join(cpus);
    pirq.is_quiet();
}

/// The pirq is unbound, and freed if nothing has it.
fn unbound<S: Steps>() {
    let pirq = Pirq::<S>::new();
    let cpus = [Pirq::cpu(&pirq)];
    pirq.unbind();
    join(cpus);
    pirq.is_quiet();
}

fn model(run: fn()) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

#[test]
fn no_interrupt_is_lost() {
    model(two_interrupts::<Right>);
}

#[test]
fn binding_anew_needs_not_wait() {
    model(rebound::<Right>);
}

#[test]
fn it_is_freed_when_nothing_has_it() {
    model(unbound::<Right>);
}

#[test]
#[should_panic(expected = "on two lists")]
fn unbinding_must_not_take_what_a_list_has() {
    model(rebound::<CancelsScheduled>);
}

#[test]
#[should_panic(expected = "used after it was freed")]
fn what_a_list_has_is_not_freed() {
    model(unbound::<CancelsScheduled>);
}

#[test]
#[should_panic(expected = "two softirqs")]
fn two_softirqs_may_meet() {
    model(two_interrupts::<RunsAlone>);
}

#[test]
#[should_panic(expected = "lost")]
fn scheduled_is_cleared_before_it_is_delivered() {
    model(two_interrupts::<ClearsLate>);
}
