//! Running a list of tests in as many machines as it takes.

use std::collections::VecDeque;

use anyhow::{Result, ensure};

use super::Test;
use crate::boot::{Death, Flavour, Told, XtfRun};

/// The result of a test whose machine said nothing more.
const HANG: &str = "machine-hang";

/// The result of a test whose machine crashed or stopped.
const CRASH: &str = "machine-crash";

/// So many machines in a row may end without a result.
const USELESS: u32 = 2;

/// What boots machines that run tests.
pub(super) trait Boots {
    /// Boots a machine that runs these tests in order, and tells of each as it comes. Returns how
    /// the machine died, if it did not turn itself off.
    fn boot(
        &mut self,
        flavour: Flavour,
        tests: &[&Test],
        told: impl FnMut(Told<'_>) -> Result<()>,
    ) -> Result<Option<Death>>;
}

impl Boots for XtfRun {
    fn boot(
        &mut self,
        flavour: Flavour,
        tests: &[&Test],
        told: impl FnMut(Told<'_>) -> Result<()>,
    ) -> Result<Option<Death>> {
        let list: Vec<_> = tests
            .iter()
            .map(|test| (test.name.clone(), test.config()))
            .collect();
        Self::boot(self, flavour, &list, told)
    }
}

/// Runs `tests` in order; `ended` gets each one's result as it comes. A machine that dies is booted
/// again, and goes on behind the test that it died in.
///
/// # Errors
///
/// When machines end without a result, one after the other, or `ended` fails.
pub(super) fn run(
    machine: &mut impl Boots,
    flavour: Flavour,
    tests: &[&Test],
    mut ended: impl FnMut(&Test, &str) -> Result<()>,
) -> Result<()> {
    let mut left: VecDeque<&Test> = tests.iter().copied().collect();
    let mut useless = 0;
    while !left.is_empty() {
        let before = left.len();
        // The test that the machine is at.
        let mut at = None;
        let list: Vec<&Test> = left.iter().copied().collect();
        let death = machine.boot(flavour, &list, |told| {
            match told {
                Told::Begins(name) => at = Some(name.to_owned()),
                Told::Ends(name, result) => {
                    at = None;
                    let test = left.front().filter(|test| test.name == name);
                    if let Some(test) = test {
                        ended(test, result)?;
                        left.pop_front();
                    }
                }
            }
            Ok(())
        })?;
        let mut why = "it turned itself off before its first test was over".to_owned();
        if let Some(death) = death {
            eprintln!("the machine died: {}", death.why);
            let test = left.front().filter(|test| at.as_ref() == Some(&test.name));
            if let Some(test) = test {
                ended(test, if death.hung { HANG } else { CRASH })?;
                left.pop_front();
            }
            why = death.why;
        }
        useless = if left.len() == before { useless + 1 } else { 0 };
        ensure!(
            useless < USELESS,
            "{USELESS} machines in a row ended without a result: {why}"
        );
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::HashMap;

    use super::*;

    /// What a fake machine does when it comes to a test.
    #[derive(Clone, Copy)]
    pub(in super::super) enum Act {
        /// It says the result.
        Ends(&'static str),
        Hangs,
        Crashes,
        /// It says the result, and turns itself off.
        Stops(&'static str),
    }

    /// Machines that run tests.
    #[derive(Default)]
    pub(in super::super) struct Fake {
        /// What is done in a test, on stock Xen and with Rust, the first time and so on; what is
        /// last is done from then on.
        acts: HashMap<&'static str, [Vec<Act>; 2]>,
        /// How often each test was begun, by its name.
        runs: HashMap<String, [usize; 2]>,
        /// So many machines die before they come to a test.
        dead: usize,
        /// The tests that the machines had to run.
        pub(in super::super) boots: Vec<Vec<String>>,
    }

    impl Fake {
        /// Has a test act on one side, and on the other.
        pub(in super::super) fn with(
            mut self,
            test: &'static str,
            stock: &[Act],
            rust: &[Act],
        ) -> Self {
            self.acts.insert(test, [stock.to_vec(), rust.to_vec()]);
            self
        }

        fn act(&mut self, side: usize, test: &str) -> Act {
            let acts = &self.acts[test][side];
            let runs = &mut self.runs.entry(test.to_owned()).or_default()[side];
            *runs += 1;
            acts[acts.len().min(*runs) - 1]
        }
    }

    impl Boots for Fake {
        fn boot(
            &mut self,
            flavour: Flavour,
            tests: &[&Test],
            mut told: impl FnMut(Told<'_>) -> Result<()>,
        ) -> Result<Option<Death>> {
            self.boots
                .push(tests.iter().map(|test| test.name.clone()).collect());
            let death = |hung| {
                let why = "dead".to_owned();
                Ok(Some(Death { hung, why }))
            };
            if self.boots.len() <= self.dead {
                return death(true);
            }
            for test in tests {
                told(Told::Begins(&test.name))?;
                match self.act(usize::from(flavour == Flavour::Rust), &test.name) {
                    Act::Ends(result) => told(Told::Ends(&test.name, result))?,
                    Act::Hangs => return death(true),
                    Act::Crashes => return death(false),
                    Act::Stops(result) => {
                        told(Told::Ends(&test.name, result))?;
                        return Ok(None);
                    }
                }
            }
            Ok(None)
        }
    }

    fn fake(acts: &[(&'static str, Act)]) -> Fake {
        acts.iter().fold(Fake::default(), |fake, (test, act)| {
            fake.with(test, &[*act], &[])
        })
    }

    fn results(fake: &mut Fake, names: &[&str]) -> Result<String> {
        let tests: Vec<Test> = names.iter().map(|name| Test::named(name)).collect();
        let tests: Vec<&Test> = tests.iter().collect();
        let mut results = Vec::new();
        run(fake, Flavour::Stock, &tests, |test, result| {
            results.push(format!("{} {result}", test.name));
            Ok(())
        })?;
        Ok(results.join(", "))
    }

    #[test]
    fn a_machine_that_dies_is_booted_again_behind_its_test() {
        let mut fake = fake(&[
            ("a", Act::Ends("SUCCESS")),
            ("b", Act::Hangs),
            ("c", Act::Crashes),
            ("d", Act::Stops("timeout")),
            ("e", Act::Ends("SKIP")),
        ]);
        assert_eq!(
            results(&mut fake, &["a", "b", "c", "d", "e"]).unwrap(),
            "a SUCCESS, b machine-hang, c machine-crash, d timeout, e SKIP"
        );
        let boots: Vec<String> = fake.boots.iter().map(|names| names.concat()).collect();
        assert_eq!(boots, ["abcde", "cde", "de", "e"]);
    }

    #[test]
    fn a_test_may_be_in_the_list_many_times() {
        let mut fake = fake(&[("a", Act::Hangs), ("b", Act::Ends("SUCCESS"))]);
        assert_eq!(
            results(&mut fake, &["a", "a", "b", "b"]).unwrap(),
            "a machine-hang, a machine-hang, b SUCCESS, b SUCCESS"
        );
    }

    #[test]
    fn machines_that_come_to_no_test_are_given_up() {
        let mut one = fake(&[("a", Act::Ends("SUCCESS"))]);
        one.dead = 1;
        assert_eq!(results(&mut one, &["a"]).unwrap(), "a SUCCESS");
        let mut all = fake(&[("a", Act::Ends("SUCCESS"))]);
        all.dead = 9;
        assert!(results(&mut all, &["a"]).is_err());
        assert_eq!(all.boots.len(), 2);
    }

    #[test]
    fn what_was_over_before_is_kept_when_the_run_is_given_up() {
        let mut fake = fake(&[("a", Act::Ends("SUCCESS")), ("b", Act::Ends("full"))]);
        let tests = [Test::named("a"), Test::named("b")];
        let mut kept = Vec::new();
        let list: Vec<&Test> = tests.iter().collect();
        let ended = run(&mut fake, Flavour::Stock, &list, |test, result| {
            ensure!(result != "full", "the disk is full");
            kept.push(test.name.clone());
            Ok(())
        });
        assert!(ended.is_err());
        assert_eq!(kept, ["a"]);
    }
}
