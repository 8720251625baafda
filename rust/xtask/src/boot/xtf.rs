//! Booting dom0 with XTF's tests, for `cargo xtask xtf`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Flavour;
use super::protocol::Event;
use super::rig::Rig;
use super::scenario::{DOM0_LINE, VTD, machine};
use crate::{cache, xen};

/// What has the list of the tests to run in dom0: a line for each, its name and its configuration.
const LIST: &str = "xtf/list";

/// The machine that runs the tests, with stock Xen or ours.
pub(crate) struct XtfRun {
    rig: Rig,
    files: Vec<(String, Vec<u8>)>,
}

/// What the machine says of a test.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// It begins.
    Begins(&'a str),
    /// It is over, with this result.
    Ends(&'a str, &'a str),
}

/// How a machine ended before it had turned itself off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    /// It said nothing until its time was up; else it crashed or stopped.
    pub(crate) hung: bool,
    /// What was seen.
    pub(crate) why: String,
}

impl XtfRun {
    /// Builds what is needed; `files` are those of all tests.
    pub(crate) fn prepare(
        tree: Option<PathBuf>,
        debug: bool,
        files: Vec<(String, Vec<u8>)>,
    ) -> Result<Self> {
        let rig = Rig::prepare(tree, debug, xen::Parts::default())?;
        Ok(Self { rig, files })
    }

    /// Where a result of this name is kept.
    pub(crate) fn result(&self, name: &str) -> PathBuf {
        self.rig.result(name)
    }

    /// Stands for Xen, the machine, and all tests.
    pub(crate) fn identity(&mut self, flavour: Flavour) -> Result<String> {
        let payload = self
            .rig
            .dom0(machine(VTD), DOM0_LINE, "xtf.sh", &self.files)?;
        let xen = cache::sha256(&self.rig.xen(flavour)?)?;
        Ok(cache::short_hash(
            format!("{xen} {}", payload.inputs).as_bytes(),
        ))
    }

    /// Boots dom0 with a list of tests, each a name and a configuration in dom0, and tells of each
    /// as it comes.
    ///
    /// # Errors
    ///
    /// When the machine cannot be run, or dom0 cannot begin with the tests.
    pub(crate) fn boot(
        &mut self,
        flavour: Flavour,
        list: &[(String, String)],
        mut told: impl FnMut(Told<'_>) -> Result<()>,
    ) -> Result<Option<Death>> {
        let lines: String = list
            .iter()
            .map(|(name, config)| format!("{name} {config}\n"))
            .collect();
        let mut files = self.files.clone();
        files.push((LIST.to_owned(), lines.into_bytes()));
        let payload = self.rig.dom0(machine(VTD), DOM0_LINE, "xtf.sh", &files)?;
        let name = format!("xtf-{}", flavour.name());
        let known = |name: &str| list.iter().any(|(test, _)| test == name);
        let (record, log) =
            self.rig
                .boot_watched(&name, &payload, flavour, |event| match event {
                    Event::Phase { text, .. } if known(text) => told(Told::Begins(text)),
                    _ => result(event)
                        .map_or(Ok(()), |(test, result)| told(Told::Ends(test, result))),
                })?;
        for event in &record.events {
            if let Event::Check {
                name,
                ok: false,
                detail,
            } = event
            {
                bail!("{name}: {detail}; see {}", log.display());
            }
        }
        let Some(why) = record.failure else {
            return Ok(None);
        };
        // The next boot writes another log.
        let kept = log.with_extension("hang.log");
        std::fs::copy(&log, &kept).with_context(|| format!("cannot write {}", kept.display()))?;
        Ok(Some(Death {
            hung: record.late || record.lost,
            why: format!("{why}; see {}", kept.display()),
        }))
    }
}

fn result(event: &Event) -> Option<(&str, &str)> {
    let Event::Say(text) = event else {
        return None;
    };
    text.strip_prefix("xtf ")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_name_and_a_word() {
        let event = Event::Say("xtf test-pv64-selftest SUCCESS".to_owned());
        assert_eq!(result(&event), Some(("test-pv64-selftest", "SUCCESS")));
        assert_eq!(result(&Event::Say("device".to_owned())), None);
    }
}
