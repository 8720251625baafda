//! Runs cases on two sides and compares them after each step.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};

use crate::answer::Answer;
use crate::arena::Arena;
use crate::heap::Failure;
use crate::met::{self, Met};
use crate::rng::Rng;
use crate::side::{Script, Side};
use crate::subject::{Case, Subject, Verdict};
use crate::trace::Entry;
use crate::trap;

/// The two sides of one subject.
pub(crate) struct Twin<S: Subject> {
    c: Side,
    c_api: S::Api,
    rust: Side,
    rust_api: S::Api,
    /// Whether the second side is built from C as well: then nothing at all may differ.
    same: bool,
    /// How many cases ended with Rust alone, by the rule that says so.
    alone: BTreeMap<&'static str, u64>,
    met: Met,
}

/// What was compared.
pub(crate) struct Compared {
    pub(crate) steps: u64,
    /// How many cases ended with Rust alone, by the rule that says so.
    pub(crate) alone: BTreeMap<&'static str, u64>,
    pub(crate) met: Met,
}

/// Where the sides parted.
struct Parting {
    step: String,
    reason: String,
    answers: Option<(Answer, Answer)>,
    traces: (Vec<Entry>, Vec<Entry>),
}

/// How a step ended.
fn ending(answer: Option<&Answer>, no_memory: bool) -> &'static str {
    match answer.map(|answer| &answer.outcome) {
        None => "nothing to answer",
        Some(Err(_)) => "a crash",
        Some(Ok(_)) if no_memory => "no memory",
        Some(Ok(value)) if (*value as i32) < 0 => "an errno",
        Some(Ok(_)) => "an answer",
    }
}

impl<S: Subject> Twin<S> {
    pub(crate) fn new(c: Side, rust: Side, same: bool) -> Result<Self> {
        Ok(Self {
            c_api: S::api(&c.image)?,
            rust_api: S::api(&rust.image)?,
            c,
            rust,
            same,
            alone: BTreeMap::new(),
            met: Met::default(),
        })
    }

    /// Runs `cases` cases, the first from `seed`, the others from the numbers after it.
    pub(crate) fn run(&mut self, cases: u64, seed: u64) -> Result<Compared> {
        let mut steps = 0;
        for seed in (seed..).take(cases as usize) {
            trap::CASE.store(seed, Ordering::Relaxed);
            let mut case = S::generate(&mut Rng::new(seed));
            S::fit(&mut case.spec, &self.rust.image);
            steps += case.steps.len() as u64;
            if self.run_case(&case).is_err() {
                bail!("{}", self.report(&case, seed));
            }
        }
        Ok(Compared {
            steps,
            alone: std::mem::take(&mut self.alone),
            met: std::mem::take(&mut self.met),
        })
    }

    fn run_case(&mut self, case: &Case<S>) -> Result<(), Box<Parting>> {
        self.c.clear();
        self.rust.clear();
        let mut c_world = S::build(&mut self.c, &case.spec);
        let mut rust_world = S::build(&mut self.rust, &case.spec);
        let mut model = S::model(&case.spec);

        let mut alone = false;
        let end = S::end().into_iter().map(|op| (op, Script::plain(0)));
        let mut left = case.steps.len();
        for (op, mut script) in case.steps.iter().cloned().chain(end) {
            let states = S::meets(&op, &mut self.rust, &rust_world);
            let rust = S::perform(&mut self.rust, &self.rust_api, &mut rust_world, &op, script);
            if alone {
                match rust {
                    Some(Answer {
                        outcome: Err(trap), ..
                    }) => return Err(self.part(&op, format!("alone Rust ends by {trap:?}"), None)),
                    _ => continue,
                }
            }
            let end = ending(rust.as_ref(), self.rust.env().heap.failed());
            // Those that end each case do not count.
            if left > 0 {
                left -= 1;
                let step = met::name(&op, S::inner(&op));
                self.met.count(&step, states.into_iter().chain([end]));
            }
            // How many allocations a call makes is the side's own business. When one of Rust's
            // failed, one of C's does.
            script.memory = if self.rust.env().heap.failed() {
                Failure::Always
            } else {
                Failure::Never
            };
            let c = S::perform(&mut self.c, &self.c_api, &mut c_world, &op, script);
            let (c, rust) = match (c, rust) {
                (Some(c), Some(rust)) => (c, rust),
                (None, None) => continue,
                _ => return Err(self.part(&op, "only one side can do this".to_owned(), None)),
            };
            let judged = if self.same && c != rust {
                Err("the answers differ".to_owned())
            } else if self.same && S::leaves_c_behind(&op) {
                return Ok(());
            } else if self.same {
                Ok(Verdict::Continue)
            } else {
                S::judge(&mut model, &c_world, &op, &c, &rust)
            };
            let compared = match judged {
                Ok(Verdict::Continue) => self.compare(&mut model, (&mut c_world, &rust_world), &op),
                Ok(Verdict::End) => return Ok(()),
                Ok(Verdict::Alone(rule)) => {
                    alone = true;
                    *self.alone.entry(rule).or_default() += 1;
                    continue;
                }
                Ok(Verdict::AloneAfter(rule)) => {
                    alone = true;
                    *self.alone.entry(rule).or_default() += 1;
                    self.compare(&mut model, (&mut c_world, &rust_world), &op)
                }
                Err(reason) => Err(reason),
            };
            let compared = compared.and_then(|()| {
                let sides = [&mut self.c, &mut self.rust];
                sides.into_iter().try_for_each(|side| {
                    let name = side.name;
                    let published = side.publish();
                    published.map_err(|reason| format!("{reason} on side {name}"))
                })
            });
            if let Err(reason) = compared {
                let rule = S::may_part(&model).filter(|_| !self.same && rust.outcome.is_ok());
                if let Some(rule) = rule {
                    alone = true;
                    *self.alone.entry(rule).or_default() += 1;
                    continue;
                }
                return Err(self.part(&op, reason, Some((c, rust))));
            }
            if c.outcome.is_err() {
                // Both would have stopped Xen; there is nothing after that.
                return Ok(());
            }
        }
        let ends = [&mut self.c, &mut self.rust].map(|side| (side.grace_period(), side.name));
        for (end, name) in ends {
            if let Err(trap) = end {
                let reason = format!("a callback ends by {trap:?} on side {name}");
                return Err(self.part(&"the end of the case", reason, None));
            }
        }
        let checks = [&mut self.c, &mut self.rust].map(|side| (side.check_heap(), side.name));
        match checks
            .into_iter()
            .skip(usize::from(alone))
            .find_map(|(check, name)| check.err().map(|reason| format!("{reason} on side {name}")))
        {
            Some(reason) => Err(self.part(&"the end of the case", reason, None)),
            None => Ok(()),
        }
    }

    fn compare(
        &mut self,
        model: &mut S::Model,
        (c_world, rust_world): (&mut S::World, &S::World),
        op: &S::Op,
    ) -> Result<(), String> {
        let (c, rust) = (&self.c.env().trace, &self.rust.env().trace);
        if !(c == rust || !self.same && S::same_effects(model, op, c, rust)) {
            return Err("the effects differ".to_owned());
        }
        if !self.same {
            S::put_right(model, c_world);
        }
        S::compare(
            (!self.same).then_some(model),
            (&mut self.c, c_world),
            (&mut self.rust, rust_world),
        )?;
        if let Some(difference) =
            Arena::difference(&mut self.c.env().arena, &mut self.rust.env().arena)
        {
            return Err(format!("the worlds differ at {difference}"));
        }
        let counts = [&self.c, &self.rust].map(Side::preempt_count);
        if counts[0] != counts[1] {
            return Err(format!(
                "the preemption counts differ: {} and {}",
                counts[0], counts[1]
            ));
        }
        Ok(())
    }

    fn part(
        &mut self,
        step: &dyn std::fmt::Debug,
        reason: String,
        answers: Option<(Answer, Answer)>,
    ) -> Box<Parting> {
        let traces = (self.c.env().trace.clone(), self.rust.env().trace.clone());
        Box::new(Parting {
            step: format!("{step:?}"),
            reason,
            answers,
            traces,
        })
    }

    /// Leaves out steps as long as the sides still part, and tells what is left.
    fn report(&mut self, case: &Case<S>, seed: u64) -> String {
        let mut small = case.clone();
        let mut chunk = small.steps.len().div_ceil(2);
        while chunk > 0 {
            let mut at = 0;
            while at < small.steps.len() {
                let mut tried = small.clone();
                tried.steps.drain(at..(at + chunk).min(small.steps.len()));
                if self.run_case(&tried).is_err() {
                    small = tried;
                } else {
                    at += chunk;
                }
            }
            chunk /= 2;
        }
        let Err(parting) = self.run_case(&small) else {
            return format!(
                "seed {seed}: the sides parted, but did not when the case was run again"
            );
        };
        self.describe(&small, &parting, seed)
    }

    fn describe(&mut self, case: &Case<S>, parting: &Parting, seed: u64) -> String {
        let mut text = format!(
            "{} and {} part at seed {seed}\n",
            self.c.name, self.rust.name
        );
        let mut line = |words: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{words}");
        };
        line(format!("  world: {:?}", case.spec));
        for (op, script) in &case.steps {
            let memory = if script.memory == Failure::Never {
                String::new()
            } else {
                format!(" memory {:?}", script.memory)
            };
            let error = script
                .error
                .map_or(String::new(), |error| format!(" error {error:?}"));
            line(format!("  step: {op:?}{memory}{error}"));
        }
        line(format!("  at: {}", parting.step));
        line(format!("  {}", parting.reason));
        if let Some((c, rust)) = &parting.answers {
            line(format!("  {}: {c:x?}", self.c.name));
            line(format!("  {}: {rust:x?}", self.rust.name));
        }
        let traces = [
            (&parting.traces.0, self.c.name),
            (&parting.traces.1, self.rust.name),
        ];
        if traces[0].0 != traces[1].0 {
            for (trace, name) in traces {
                for entry in trace {
                    line(format!(
                        "  {name} did: {:x?} with {:x?}",
                        entry.event, entry.held
                    ));
                }
            }
        }
        text.push_str(&format!(
            "replay with: cargo xtask twin --file {}{} --seed {seed} --cases 1",
            S::NAME,
            S::asked_by(&self.rust.image)
        ));
        text
    }
}
