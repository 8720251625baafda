//! What Xen's debug keys have to show.

use super::protocol::Event;
use super::transcript::{first_difference, normal};

/// One demand on the debug keys of a run.
pub(super) enum Rule {
    /// At least so many lines of a key hold all of these words.
    Shows {
        /// The name in the table.
        name: &'static str,
        /// The key.
        key: char,
        /// The moment, as the scenario's script calls it.
        label: &'static str,
        /// What a line has to hold.
        words: &'static [&'static str],
        /// How many lines.
        times: usize,
    },
    /// A key shows the same at two moments, but for what varies between correct runs.
    Same {
        /// The name in the table.
        name: &'static str,
        /// The key.
        key: char,
        /// The two moments.
        labels: [&'static str; 2],
    },
    /// The hypervisor says a line that holds all of these words.
    Says {
        /// The name in the table.
        name: &'static str,
        /// What the line has to hold.
        words: &'static [&'static str],
    },
    /// A guest goes on to say a line that holds all of these words, once a check was reported.
    GoesOn {
        /// The name in the table.
        name: &'static str,
        /// The check.
        after: &'static str,
        /// What a line has to hold.
        words: &'static [&'static str],
        /// How many lines.
        times: usize,
    },
}

impl Rule {
    /// The name in the table.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Shows { name, .. }
            | Self::Same { name, .. }
            | Self::Says { name, .. }
            | Self::GoesOn { name, .. } => name,
        }
    }

    /// Judges a run: what was seen, or what is wrong.
    pub(super) fn judge(&self, events: &[Event]) -> Result<String, String> {
        match self {
            Self::Shows {
                key,
                label,
                words,
                times,
                ..
            } => {
                let lines = printed(events, *key, label)?;
                let found = lines
                    .iter()
                    .filter(|line| words.iter().all(|word| line.contains(word)))
                    .count();
                let seen = format!("{found} lines with {words:?}");
                if found >= *times {
                    Ok(seen)
                } else {
                    Err(format!("{seen}, {times} wanted"))
                }
            }
            Self::Same { key, labels, .. } => {
                let [before, after] =
                    [labels[0], labels[1]].map(|label| printed(events, *key, label));
                let (before, after) = (normal(*key, before?), normal(*key, after?));
                match first_difference(&before, &after) {
                    None => Ok(format!("{} lines agree", before.len())),
                    Some(difference) => Err(difference),
                }
            }
            Self::Says { words, .. } => {
                let holds = |line: &str| words.iter().all(|word| line.contains(word));
                events
                    .iter()
                    .find_map(|event| match event {
                        Event::Xen(line) if holds(line) => Some(line.clone()),
                        _ => None,
                    })
                    .ok_or_else(|| format!("Xen says no line with {words:?}"))
            }
            Self::GoesOn {
                after,
                words,
                times,
                ..
            } => {
                let is_check =
                    |event: &&Event| matches!(event, Event::Check { name, .. } if name == after);
                let holds = |event: &&Event| {
                    matches!(event, Event::Say(line)
                        if words.iter().all(|word| line.contains(word)))
                };
                let later = events.iter().skip_while(|event| !is_check(event));
                let found = later.filter(holds).count();
                let seen = format!("{found} lines with {words:?} after \"{after}\"");
                if found >= *times {
                    Ok(seen)
                } else {
                    Err(format!("{seen}, {times} wanted"))
                }
            }
        }
    }
}

/// What a key printed at a moment.
fn printed<'a>(events: &'a [Event], key: char, moment: &str) -> Result<&'a [String], String> {
    events
        .iter()
        .find_map(|event| match event {
            Event::Key {
                letter,
                label,
                lines,
            } if *letter == key && label == moment => Some(lines.as_slice()),
            _ => None,
        })
        .ok_or_else(|| format!("key {key} was not pressed at \"{moment}\""))
}

/// A rule that a key shows words that many times.
pub(super) const fn shows(
    name: &'static str,
    key: char,
    label: &'static str,
    words: &'static [&'static str],
    times: usize,
) -> Rule {
    Rule::Shows {
        name,
        key,
        label,
        words,
        times,
    }
}

/// A rule that a key shows the same at two moments.
pub(super) const fn same_from(name: &'static str, key: char, labels: [&'static str; 2]) -> Rule {
    Rule::Same { name, key, labels }
}

const fn same(name: &'static str, key: char) -> Rule {
    same_from(name, key, ["before", "after"])
}

// The devices have three vectors each. The machine's own interrupts are there in every case.
const I_MSI: Rule = shows("key-i-msi", 'i', "traffic", &["PCI-MSI/-X", " d0:"], 6);
const I_TIMER: Rule = shows("key-i-timer", 'i', "traffic", &["timer_interrupt()"], 1);
const I_VECTORS: Rule = shows(
    "key-i-vectors",
    'i',
    "traffic",
    &["->", "event_check_interrupt()"],
    1,
);
const M_MSIX: Rule = shows(
    "key-M-msix",
    'M',
    "traffic",
    &["MSI-X", "fixed", "edge", "assert"],
    6,
);
const Q_NIC: Rule = shows(
    "key-Q-nic",
    'Q',
    "traffic",
    &["0000:00:04.0", "d0", "MSIs <"],
    1,
);
const Q_DISK: Rule = shows(
    "key-Q-disk",
    'Q',
    "traffic",
    &["0000:00:05.0", "d0", "MSIs <"],
    1,
);

const V_REMAPPING: Rule = shows(
    "key-V-remapping",
    'V',
    "traffic",
    &["Interrupt Remapping: supported and enabled"],
    1,
);
// Every vector of both devices has its remapping entry, which only that device may use: SVT 1, SQ
// 0, SID.
const V_NIC: Rule = shows("key-V-nic", 'V', "traffic", &["R:", " 1   0  0020 "], 3);
const V_DISK: Rule = shows("key-V-disk", 'V', "traffic", &["R:", " 1   0  0028 "], 3);

/// dom0 with VT-d: the second processor is its APIC's whole number in the entries.
pub(super) const DOM0_VTD: &[Rule] = &[
    I_MSI,
    I_TIMER,
    I_VECTORS,
    M_MSIX,
    V_REMAPPING,
    V_NIC,
    V_DISK,
    shows("key-V-eim", 'V', "traffic", &["R:", " 00000001 "], 1),
    Q_NIC,
    Q_DISK,
];

/// dom0 with VT-d but no extended interrupt mode: destinations are in the second byte.
pub(super) const DOM0_VTD_NOEIM: &[Rule] = &[
    I_MSI,
    I_TIMER,
    I_VECTORS,
    M_MSIX,
    V_REMAPPING,
    V_NIC,
    V_DISK,
    shows("key-V-no-eim", 'V', "traffic", &["R:", " 00000100 "], 1),
    Q_NIC,
    Q_DISK,
];

const V_AMD_NIC: Rule = shows("key-V-nic", 'V', "traffic", &["0000:00:04.0"], 1);
const V_AMD_DISK: Rule = shows("key-V-disk", 'V', "traffic", &["0000:00:05.0"], 1);

/// dom0 with AMD-Vi: entries of 32 bits that are enabled.
pub(super) const DOM0_AMD: &[Rule] = &[
    I_MSI,
    I_TIMER,
    I_VECTORS,
    M_MSIX,
    V_AMD_NIC,
    V_AMD_DISK,
    shows("key-V-32-bits", 'V', "traffic", &["IRTE[000] 00", "01"], 2),
    Q_NIC,
    Q_DISK,
];

/// dom0 with AMD-Vi and x2APIC mode: entries of 128 bits.
pub(super) const DOM0_AMD_XT: &[Rule] = &[
    I_MSI,
    I_TIMER,
    I_VECTORS,
    M_MSIX,
    V_AMD_NIC,
    V_AMD_DISK,
    shows("key-V-128-bits", 'V', "traffic", &["IRTE[", "_", "01"], 6),
    Q_NIC,
    Q_DISK,
];

/// dom0 without interrupt remapping.
pub(super) const DOM0_NOINTREMAP: &[Rule] = &[I_MSI, I_TIMER, I_VECTORS, M_MSIX, Q_NIC, Q_DISK];

const RUNNING_I: Rule = shows("key-i-msi", 'i', "running", &["PCI-MSI/-X", "in-flight"], 6);
const RUNNING_M: Rule = shows(
    "key-M-msix",
    'M',
    "running",
    &["MSI-X", "fixed", "edge", "assert"],
    6,
);
const NO_LEAK_I: Rule = same("no-leak-key-i", 'i');
const NO_LEAK_M: Rule = same("no-leak-key-M", 'M');
const NO_LEAK_V: Rule = same("no-leak-key-V", 'V');

/// An HVM guest: its interrupts are there while it runs, and nothing is left of it afterwards.
pub(super) const GUEST: &[Rule] = &[RUNNING_I, RUNNING_M, NO_LEAK_I, NO_LEAK_M, NO_LEAK_V];

/// The same, and the guest that holds interrupts when it is destroyed.
pub(super) const HVM: &[Rule] = &[
    RUNNING_I,
    RUNNING_M,
    // What the holder has in use: five entries of the NIC and sixteen of the disk.
    shows(
        "key-M-holding",
        'M',
        "holding",
        &["MSI-X", "fixed", "edge", "assert"],
        21,
    ),
    NO_LEAK_I,
    NO_LEAK_M,
    NO_LEAK_V,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: char, label: &str, lines: &[&str]) -> Event {
        Event::Key {
            letter,
            label: label.to_owned(),
            lines: lines.iter().map(|&line| line.to_owned()).collect(),
        }
    }

    #[test]
    fn a_key_shows_what_is_wanted() {
        let rule = shows("x", 'M', "now", &["MSI-X", "edge"], 2);
        let two = key('M', "now", &["MSI-X 1 edge", "MSI-X 2 edge"]);
        assert!(rule.judge(&[two]).is_ok());
        let one = key('M', "now", &["MSI-X 1 edge", "MSI-X 2 level"]);
        assert!(rule.judge(&[one]).is_err());
        assert!(rule.judge(&[]).is_err());
    }

    #[test]
    fn a_leaked_interrupt_is_seen() {
        let rule = same("x", 'M');
        let before = key('M', "before", &["MSI-X 28 vec=49 dest=1"]);
        let moved = key('M', "after", &["MSI-X 30 vec=51 dest=0"]);
        assert!(rule.judge(&[before.clone(), moved]).is_ok());
        let leaked = key(
            'M',
            "after",
            &["MSI-X 28 vec=49 dest=1", "MSI-X 29 vec=50 dest=1"],
        );
        assert!(rule.judge(&[before, leaked]).is_err());
    }
}
