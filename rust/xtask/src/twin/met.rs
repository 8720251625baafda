//! How often the steps of the twins' generators ran and what they met, held to floors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::patch::repository;
use crate::{ui, units};

/// The kept floors: file, step, what it met, and how often in [`CASES`] cases at least.
const FLOORS: &str = "tests/twin/floors.txt";
/// The cases that a floor is for; fewer are not held to it.
const CASES: u64 = 10_000;
/// What part a floor is of what was met when it was kept, and how often that was at least: steps
/// come in bunches, and a floor is to hold for every seed.
const PART: u64 = 5;
const OFTEN: u64 = 100;

/// A replaced file, a step, and what it met.
type Key = (String, String, String);

/// How often each was.
#[derive(Default)]
pub(super) struct Met(BTreeMap<Key, u64>);

impl Met {
    /// Takes the counts out of what a run of the twin printed.
    pub(super) fn take(&mut self, printed: &str) -> Result<String> {
        let mut others = String::new();
        for line in printed.lines() {
            let Some(counts) = line.strip_prefix("met\t") else {
                others += line;
                others.push('\n');
                continue;
            };
            let (key, count) = read(counts).with_context(|| format!("the twin printed {line}"))?;
            *self.0.entry(key).or_default() += count;
        }
        Ok(others)
    }

    /// Shows all of them.
    pub(super) fn print(&self) {
        let mut table = ui::Table::new(&["file", "step", "met", "times"]);
        for ((file, step, what), count) in &self.0 {
            table.row([file, step, what, &count.to_string()]);
        }
        table.print();
    }

    /// Holds them to the floors, where there were enough cases of each file.
    ///
    /// # Errors
    ///
    /// Something was met too seldom, or a step has no line in the list.
    pub(super) fn check(&self, files: &[&str], cases: u64) -> Result<()> {
        if cases < CASES {
            return Ok(());
        }
        let path = path();
        let kept = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let wrong = self.below(&kept, files, cases)?;
        ensure!(
            wrong.is_empty(),
            "steps of the twins that hardly ran, by {FLOORS} (`twin --keep-floors` writes it):\n{}",
            wrong.join("\n")
        );
        Ok(())
    }

    /// What is below its floor, and which steps have none.
    fn below(&self, kept: &str, files: &[&str], cases: u64) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut known = Vec::new();
        for line in kept.lines().filter(|line| !line.starts_with('#')) {
            let (key, floor) = read(line).with_context(|| format!("{FLOORS} has {line}"))?;
            let (file, step, what) = &key;
            if !files.contains(&file.as_str()) {
                continue;
            }
            let times = self.0.get(&key).copied().unwrap_or(0);
            if times * CASES < floor * cases {
                wrong.push(format!(
                    "{file}: {step} met `{what}` {times} times in {cases} cases"
                ));
            }
            known.push((file.clone(), step.clone()));
        }
        let steps: BTreeSet<_> = self
            .0
            .keys()
            .map(|(file, step, _)| (file.clone(), step.clone()))
            .collect();
        let is_held = |file: &String| !units::IN_WORK.iter().any(|unit| unit.name == file);
        let new = steps
            .iter()
            .filter(|step| is_held(&step.0) && !known.contains(step));
        wrong.extend(new.map(|(file, step)| format!("{file}: {step} has no floor")));
        Ok(wrong)
    }

    /// Keeps floors for the files, beside those of others.
    pub(super) fn keep(&self, files: &[&str], cases: u64) -> Result<()> {
        let path = path();
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let others = before.lines().filter(|line| {
            let file = line.split('\t').next().unwrap_or_default();
            !line.starts_with('#') && !files.contains(&file)
        });
        let mut lines: Vec<_> = others.map(str::to_owned).collect();
        let mut most = BTreeMap::new();
        for ((file, step, _), times) in &self.0 {
            let most = most.entry((file, step)).or_insert(0);
            *most = (*times).max(*most);
        }
        for ((file, step, what), times) in &self.0 {
            let often = times * CASES / cases;
            // A step that is rare as a whole has a line, too.
            if often >= OFTEN || most[&(file, step)] == *times {
                let floor = often / PART;
                lines.push(format!("{file}\t{step}\t{what}\t{floor}"));
            }
        }
        lines.sort();
        let head = format!(
            "# How often each step of a twin has to meet what in {CASES} cases; written with \
             `cargo xtask twin --keep-floors`.\n# file, step, what it met, floor\n"
        );
        std::fs::write(&path, head + &lines.join("\n") + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn path() -> PathBuf {
    repository().join(FLOORS)
}

/// Reads a line of counts or floors.
fn read(line: &str) -> Option<(Key, u64)> {
    let words: Vec<_> = line.split('\t').collect();
    let [file, step, what, count] = words[..] else {
        return None;
    };
    let key = [file, step, what].map(str::to_owned);
    Some((key.into(), count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(printed: &str) -> Met {
        let mut met = Met::default();
        met.take(printed).unwrap();
        met
    }

    #[test]
    fn counts_of_several_runs_are_added() {
        let mut both = Met::default();
        let printed = "vmsi: agree\nmet\tvmsi\tRead\tan answer\t3\n";
        assert_eq!(both.take(printed).unwrap(), "vmsi: agree\n");
        assert_eq!(both.take(printed).unwrap(), "vmsi: agree\n");
        let key = ["vmsi", "Read", "an answer"].map(str::to_owned).into();
        assert_eq!(both.0[&key], 6);
        assert!(both.take("met\tvmsi\tRead\n").is_err());
    }

    #[test]
    fn what_is_met_too_seldom_is_told() {
        let floors = "# words\nvmsi\tRead\tan answer\t100\nvmsi\tSpoil\tan answer\t10\n";
        let read = |times| format!("met\tvmsi\tRead\tan answer\t{times}\n");
        let spoil = "met\tvmsi\tSpoil\tan answer\t20\n";
        let below = |printed: String| met(&printed).below(floors, &["vmsi"], 20_000).unwrap();
        assert!(below(read(200) + spoil).is_empty());
        assert_eq!(
            below(read(199) + spoil),
            ["vmsi: Read met `an answer` 199 times in 20000 cases"]
        );
        assert_eq!(
            below(read(200)),
            ["vmsi: Spoil met `an answer` 0 times in 20000 cases"]
        );
        let new = "met\tvmsi\tAssign\tan answer\t1\n";
        assert_eq!(
            below(read(200) + spoil + new),
            ["vmsi: Assign has no floor"]
        );
        // Other files' floors are not asked for.
        assert!(met("").below(floors, &["msi"], 20_000).unwrap().is_empty());
    }
}
