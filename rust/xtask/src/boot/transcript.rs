//! What two runs of a correct hypervisor have in common, kept in a file beside the log and
//! compared.
//!
//! Names of checks, the lines that a system says, and the debug keys with everything taken out that
//! depends on timing or on where something happened to be allocated: vectors, CPUs, numbers of MSI
//! interrupts, states of a moment. What stays is which interrupts exist, of which kind, whose they
//! are and how they are set up.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::protocol::Event;
use crate::cache;

/// Introduces the line that names what a transcript was made from.
const INPUTS: &str = "inputs: ";

/// Introduces the lines with numbers that are not compared.
const COUNT: &str = "count: ";

/// Names inputs and the rules of this file: a transcript that was made by other rules is of no use.
fn with_rules(inputs: &str) -> String {
    let rules = include_str!("transcript.rs");
    cache::short_hash(format!("{inputs} {rules}").as_bytes())
}

/// A transcript.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Transcript {
    inputs: String,
    lines: Vec<String>,
    /// Numbers that may differ, by their names; they are not compared.
    counts: BTreeMap<String, u64>,
}

impl Transcript {
    /// The transcript of a run; `inputs` stands for all that was booted besides Xen.
    pub(super) fn new(inputs: &str, events: &[Event]) -> Self {
        let mut lines = Vec::new();
        let mut counts = BTreeMap::new();
        for event in events {
            match event {
                Event::Phase { text, .. } => lines.push(format!("phase {text}")),
                Event::Check { name, ok, .. } => {
                    lines.push(format!("check {name} {}", if *ok { "ok" } else { "FAIL" }));
                }
                Event::Say(text) => lines.push(format!("say {text}")),
                Event::Key {
                    letter,
                    label,
                    lines: text,
                } => {
                    lines.push(format!("key {letter} {label}"));
                    lines.extend(
                        normal(*letter, text)
                            .into_iter()
                            .map(|line| format!("  {line}")),
                    );
                }
                Event::Count { name, number } => {
                    counts.insert(name.clone(), *number);
                }
                Event::End | Event::Crash(_) | Event::Xen(_) | Event::Other(_) => {}
            }
        }
        Self {
            inputs: with_rules(inputs),
            lines,
            counts,
        }
    }

    /// Keeps it.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut text = format!("{INPUTS}{}\n", self.inputs);
        for (name, number) in &self.counts {
            text += &format!("{COUNT}{name} {number}\n");
        }
        text += &self.lines.join("\n");
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads one that was kept; none when there is none.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines().peekable();
        let inputs = lines.next()?.strip_prefix(INPUTS)?.to_owned();
        let mut counts = BTreeMap::new();
        while let Some(count) = lines.peek().and_then(|line| line.strip_prefix(COUNT)) {
            let (name, number) = count.split_once(' ')?;
            counts.insert(name.to_owned(), number.parse().ok()?);
            lines.next();
        }
        Some(Self {
            inputs,
            lines: lines.map(str::to_owned).collect(),
            counts,
        })
    }

    /// The numbers that may differ, by their names.
    pub(super) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Whether it is of a run of these inputs.
    pub(super) fn is_of(&self, inputs: &str) -> bool {
        self.inputs == with_rules(inputs)
    }

    /// How many lines it has.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The first line in which `other` differs, as text for people; none when they agree.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        first_difference(&self.lines, &other.lines)
    }
}

/// The first line in which two lists differ, as text for people.
pub(super) fn first_difference(a: &[String], b: &[String]) -> Option<String> {
    let at = (0..a.len().max(b.len())).find(|&n| a.get(n) != b.get(n))?;
    let line = |lines: &[String]| match lines.get(at) {
        Some(line) => format!("\"{}\"", line.trim()),
        None => "nothing".to_owned(),
    };
    Some(format!("line {}: {} against {}", at + 1, line(a), line(b)))
}

/// The output of a debug key without what differs between two correct runs; in a fixed order.
pub(super) fn normal(letter: char, lines: &[String]) -> Vec<String> {
    let clean: fn(&str) -> String = match letter {
        'i' => interrupt_line,
        'M' => msi_line,
        'V' => remapping_line,
        'Q' => device_line,
        _ => |line| line.to_owned(),
    };
    let mut result: Vec<String> = lines
        .iter()
        .map(|line| clean(&one_space(line)))
        .filter(|line| !line.is_empty())
        .collect();
    // The order is that of numbers which are gone.
    result.sort();
    result
}

/// How the line of the IO-APIC's pin that the serial port is at begins.
const CONSOLE_PIN: &str = "Apic 0x00, Pin 4:";

/// A line of the interrupt table, of the direct vectors or of the IO-APICs.
fn interrupt_line(line: &str) -> String {
    let mut line = line.to_owned();
    for name in [
        "vec:",
        "Vec",
        "vec=",
        "aff:",
        "in-flight=",
        "irr=",
        "dest_id:",
        "status=",
    ] {
        line = blank(&line, name);
    }
    // On a busy host Xen's serial driver gives its interrupt up and polls.
    if line.starts_with(CONSOLE_PIN) {
        line = blank(&line, "mask=");
    }
    // Of an interrupt that domains own: whose it is, but not its number there nor its momentary
    // state.
    let words: Vec<&str> = line.split(' ').filter_map(owner).collect();
    let numbered = words.iter().any(|word| word.contains("MSI"));
    match words.as_slice() {
        ["IRQ:", _number, rest @ ..] if numbered => {
            format!("IRQ: {}", rest.join(" "))
        }
        words => words.join(" "),
    }
}

/// A line of the MSI table.
fn msi_line(line: &str) -> String {
    let line = blank(&blank(line, "vec="), "dest=");
    match line.split(' ').collect::<Vec<_>>().as_slice() {
        [
            kind @ ("MSI" | "MSI-X" | "IOMMU" | "HPET"),
            _number,
            rest @ ..,
        ] => {
            format!("{kind} {}", rest.join(" "))
        }
        words => words.join(" "),
    }
}

/// A line of the interrupt remapping tables, or of an IO-APIC as the IOMMU sees it.
fn remapping_line(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        // VT-d: R: index: SVT SQ SID V AVL FPD DST DLM TM RH DM P. The index, the vector and the
        // CPU vary.
        [
            "R:",
            _index,
            svt,
            sq,
            sid,
            _vector,
            avl,
            fpd,
            _cpu,
            modes @ ..,
        ] if modes.len() == 5 => {
            format!("R: {svt} {sq} {sid} {avl} {fpd} {}", modes.join(" "))
        }
        // VT-d: pin: index FMT MASK TRIG IRR POL STAT DELI VECTOR. State and vector vary.
        [
            pin,
            _index,
            format,
            mask,
            trigger,
            _irr,
            polarity,
            status,
            delivery,
            _vector,
        ] if pin.ends_with(':') => {
            // See `CONSOLE_PIN`.
            let mask = if *pin == "04:" { "" } else { mask };
            format!("{pin} {format} {mask} {trigger} {polarity} {status} {delivery}")
        }
        // AMD-Vi, 32 bits: destination and vector are in the upper three bytes.
        [index, entry] if index.starts_with("IRTE[") && entry.len() == 8 => {
            format!("IRTE 32 bits, flags {}", &entry[6..])
        }
        // AMD-Vi, 128 bits: destination in bits 8 to 31 and 120 to 127, vector in bits 64 to 71.
        [index, entry] if index.starts_with("IRTE[") && entry.len() == 33 => {
            format!("IRTE 128 bits, flags {}", &entry[31..])
        }
        words => words.join(" "),
    }
}

/// A line of the list of devices: how many interrupts, but not which; a guest, but not which; and
/// that a device has no owner, but not by which number the IOMMU knows that.
fn device_line(line: &str) -> String {
    let (device, list) = line.split_once(" MSIs <").unwrap_or((line, ""));
    let owner = |word| match word {
        "d0" => word,
        _ if word.starts_with("DomIO:") => "DomIO",
        _ if word
            .strip_prefix('d')
            .is_some_and(|number| number.parse::<u32>().is_ok()) =>
        {
            "guest"
        }
        _ => word,
    };
    let device = device.split(' ').map(owner).collect::<Vec<_>>().join(" ");
    if list.is_empty() {
        return device;
    }
    let numbers = list.split(' ').filter(|word| word.parse::<u32>().is_ok());
    format!("{device} MSIs {}", numbers.count())
}

/// A word of an interrupt's line: of "d0:412(---)" only the domain, of "d0: 9(---)" the same in two
/// words.
///
/// A guest that had to be created twice has another number, so guests have none here.
fn owner(word: &str) -> Option<&str> {
    if word.ends_with(')') && !word.contains("()") && !word.contains(':') {
        return None;
    }
    let domain = word
        .split_once(':')
        .and_then(|(domain, _)| domain.strip_prefix('d'))
        .filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    Some(match domain {
        None => word,
        Some("0") => "dom0",
        Some(_) => "guest",
    })
}

/// A line with runs of blanks made one and none at its ends.
fn one_space(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes out the value behind each `name`: hexadecimal digits and what CPU lists are made of.
fn blank(line: &str, name: &str) -> String {
    let mut parts = line.split(name);
    let mut result = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let value = |c: char| c.is_ascii_hexdigit() || "{}/,-".contains(c);
        result += name;
        // A number may be set off from its name by blanks.
        result += part.trim_start_matches(' ').trim_start_matches(value);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(letter: char, line: &str) -> String {
        normal(letter, &[line.to_owned()]).concat()
    }

    #[test]
    fn where_an_interrupt_happens_to_be_does_not_matter() {
        let a = "   IRQ:  28 vec:49 PCI-MSI/-X      status=010 aff:{1}/{1} in-flight=0 d0:412(---)";
        let b =
            "   IRQ:  30 vec:51 PCI-MSI/-X      status=030 aff:{0-1}/{0} in-flight=1 d0:410(P--)";
        assert_eq!(one('i', a), one('i', b));
        let other =
            "   IRQ:  30 vec:51 PCI-MSI/-X      status=030 aff:{0-1}/{0} in-flight=1 d1:410(P--)";
        assert_ne!(one('i', a), one('i', other));
        let unbound = "   IRQ:  28 vec:49 PCI-MSI/-X      status=002 aff:{1}/{1} mapped, unbound";
        assert_ne!(one('i', a), one('i', unbound));
    }

    #[test]
    fn a_line_interrupt_keeps_its_number() {
        let four =
            "   IRQ:   4 vec:f1 IO-APIC-edge    status=000 aff:{0-1}/{0-1} ns16550_interrupt()";
        assert!(one('i', four).starts_with("IRQ: 4 "));
        assert!(one('i', four).ends_with("ns16550_interrupt()"));
    }

    #[test]
    fn only_the_consoles_pin_may_be_masked_or_not() {
        let pin = |pin, mask| {
            let line = format!(
                "      Apic 0x00, Pin {pin:>2}: vec=f1 delivery=Fixed trig=E mask={mask} dest_id:00000001"
            );
            one('i', &line)
        };
        assert_eq!(pin(4, 0), pin(4, 1));
        assert_ne!(pin(2, 0), pin(2, 1));
        assert_ne!(pin(14, 0), pin(14, 1));
        let remapped = |pin, mask| {
            let line = format!("   {pin:02}:  0004   1    {mask}   0   0   0    0    0     f1");
            one('V', &line)
        };
        assert_eq!(remapped(4, 0), remapped(4, 1));
        assert_ne!(remapped(5, 0), remapped(5, 1));
    }

    #[test]
    fn a_remapping_entry_keeps_its_source() {
        let a = "R:  001b:  1   0  0028 49    0   0 00000100   0  0  0  0 1";
        let b = "R:  001d:  1   0  0028 51    0   0 00000000   0  0  0  0 1";
        let other = "R:  001d:  1   0  0020 51    0   0 00000000   0  0  0  0 1";
        assert_eq!(one('V', a), one('V', b));
        assert_ne!(one('V', a), one('V', other));
    }

    #[test]
    fn a_device_keeps_its_kind_of_owner() {
        let nobody = "0000:00:19.0 - DomIO:8004 - node -1 ";
        let dom0 = "0000:00:19.0 - d0 - node -1  - MSIs < 28 29 30 >";
        let guest = "0000:00:19.0 - d1 - node -1  - MSIs < 28 29 30 >";
        let fewer = "0000:00:19.0 - d1 - node -1  - MSIs < 28 29 >";
        assert_eq!(one('Q', nobody), one('Q', &nobody.replace("8004", "8005")));
        assert_eq!(one('Q', guest), one('Q', &guest.replace("d1", "d22")));
        for others in [
            [nobody, dom0],
            [nobody, guest],
            [dom0, guest],
            [guest, fewer],
        ] {
            assert_ne!(one('Q', others[0]), one('Q', others[1]));
        }
        assert_eq!(one('Q', dom0), "0000:00:19.0 - d0 - node -1 - MSIs 3");
    }

    #[test]
    fn an_msi_keeps_its_mode() {
        let a = " MSI-X   28 vec=49  fixed  edge   assert phys    cpu dest=00000001 mask=1/  /0";
        let b = " MSI-X   30 vec=51  fixed  edge   assert phys    cpu dest=00000000 mask=1/  /0";
        let other =
            " MSI-X   30 vec=51 lowest  edge   assert phys    cpu dest=00000000 mask=1/  /0";
        assert_eq!(one('M', a), one('M', b));
        assert_ne!(one('M', a), one('M', other));
    }

    #[test]
    fn a_transcript_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t");
        let count = |number| Event::Count {
            name: "reads".to_owned(),
            number,
        };
        let hello = Event::Say("hello".to_owned());
        let transcript = Transcript::new("x", &[hello.clone(), count(7)]);
        transcript.write(&path).unwrap();
        let back = Transcript::read(&path).unwrap();
        assert_eq!(transcript, back);
        assert!(back.is_of("x") && !back.is_of("y"));
        assert_eq!(back.counts().get("reads"), Some(&7));
        let fewer = Transcript::new("x", &[hello, count(0)]);
        assert_eq!(back.difference(&fewer), None);
        let other = Transcript::new("x", &[Event::Say("bye".to_owned())]);
        assert!(back.difference(&other).is_some());
        assert_eq!(back.difference(&transcript), None);
    }
}
