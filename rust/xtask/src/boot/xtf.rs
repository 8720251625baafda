//! Booting dom0 with XTF's tests, for `cargo xtask xtf`.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Flavour;
use super::protocol::Event;
use super::rig::Rig;
use super::scenarios::{DOM0_LINE, VTD, machine};
use crate::xen;

/// The machine that runs the tests, with stock Xen or ours.
pub(crate) struct XtfRun(Rig);

impl XtfRun {
    /// Builds what is needed.
    pub(crate) fn prepare(tree: Option<PathBuf>, debug: bool) -> Result<Self> {
        Rig::prepare(tree, debug, xen::Parts::default()).map(Self)
    }

    /// Boots dom0 with the tests in `files`, and returns each test's name and result.
    ///
    /// # Errors
    ///
    /// When the machine does not come to its end; the log then says where it stopped.
    pub(crate) fn results(
        &mut self,
        flavour: Flavour,
        files: &[(String, Vec<u8>)],
    ) -> Result<Vec<(String, String)>> {
        let payload = self.0.dom0(machine(VTD), DOM0_LINE, "xtf.sh", files)?;
        let name = format!("xtf-{}", flavour.name());
        let (record, log) = self.0.boot(&name, &payload, flavour)?;
        if let Some(failure) = record.failure {
            bail!("{name}: {failure}; see {}", log.display());
        }
        Ok(record.events.iter().filter_map(result).collect())
    }
}

fn result(event: &Event) -> Option<(String, String)> {
    let Event::Say(text) = event else {
        return None;
    };
    let (test, result) = text.strip_prefix("xtf ")?.split_once(' ')?;
    Some((test.to_owned(), result.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_a_name_and_a_word() {
        let event = Event::Say("xtf test-pv64-selftest SUCCESS".to_owned());
        let pair = ("test-pv64-selftest".to_owned(), "SUCCESS".to_owned());
        assert_eq!(result(&event), Some(pair));
        assert_eq!(result(&Event::Say("device".to_owned())), None);
    }
}
