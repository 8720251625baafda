//! The lines by which a booted system talks to the test, found in the text of the serial line.
//!
//! tests/boot/lib.sh writes them. Xen writes to the same line, also in the middle of somebody
//! else's; what was cut in two is put together again here.

/// How Xen begins its own lines.
const XEN: &str = "(XEN) ";

/// How Xen begins the lines of other domains' firmware and kernels: this, a number, and a bracket.
const DOMAIN: &str = "(d";

/// What Xen's serial driver says, also in the middle of a line of Xen's own, when the machine is
/// busy.
const POLLING: &str = "(XEN) uart interrupt taking more than ";

/// Words that no healthy run contains.
const CRASHES: &[&str] = &[
    "Panic on CPU",
    "Xen BUG at",
    "Assertion '",
    "FATAL TRAP",
    "FATAL PAGE FAULT",
    "DOUBLE FAULT",
    "Xen WARN at",
    "Kernel panic - not syncing",
    "kernel BUG at",
    "Oops: ",
    "BUG: unable to handle",
    "general protection fault",
];

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A new phase, with the seconds that it may take.
    Phase { seconds: u64, text: String },
    /// A check with its result.
    Check {
        name: String,
        ok: bool,
        detail: String,
    },
    /// A line that is the same in every run of a correct hypervisor.
    Say(String),
    /// A number in which stock Xen and ours may differ.
    Count { name: String, number: u64 },
    /// What Xen printed for a debug key.
    Key {
        letter: char,
        label: String,
        lines: Vec<String>,
    },
    /// The scenario is over; the machine turns itself off.
    End,
    /// The hypervisor or a kernel died with these words.
    Crash(String),
    /// The hypervisor said something else.
    Xen(String),
    /// Somebody else did.
    Other(String),
}

/// Takes the text of the serial line as it comes.
#[derive(Default)]
pub(super) struct Parser {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The beginning of a line that Xen cut in two.
    cut: String,
    /// The beginning of a line that the serial driver cut in two.
    broken: String,
    /// The debug key whose output is being printed.
    key: Option<(char, String, Vec<String>)>,
}

impl Parser {
    /// Takes bytes and returns what is complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' => {
                    let line =
                        String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                    self.line_complete(&line, &mut events);
                }
                b'\r' => {}
                _ => self.line.push(byte),
            }
        }
        events
    }

    fn line_complete(&mut self, line: &str, events: &mut Vec<Event>) {
        let line = &(std::mem::take(&mut self.broken) + line);
        if let Some(at) = line.find(POLLING) {
            self.broken = line[..at].to_owned();
            return;
        }
        let Some(at) = line.find(XEN) else {
            if let Some((at, text)) = find_domain(line) {
                self.cut += &line[..at];
                events.extend(self.own_line(text));
                return;
            }
            let line = std::mem::take(&mut self.cut) + line;
            events.extend(self.own_line(&line));
            return;
        };
        self.cut += &line[..at];
        let text = &line[at + XEN.len()..];
        if let Some((_, _, lines)) = &mut self.key {
            lines.push(text.to_owned());
        }
        events.push(if crashed(text) {
            Event::Crash(text.to_owned())
        } else {
            Event::Xen(text.to_owned())
        });
    }

    /// A line that is not Xen's.
    fn own_line(&mut self, line: &str) -> Option<Event> {
        let Some(command) = line.strip_prefix("@@ ") else {
            return Some(if crashed(line) {
                Event::Crash(line.to_owned())
            } else {
                Event::Other(line.to_owned())
            });
        };
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "phase" => {
                let (seconds, text) = rest.split_once(' ')?;
                Some(Event::Phase {
                    seconds: seconds.parse().ok()?,
                    text: text.to_owned(),
                })
            }
            "check" => {
                let mut words = rest.splitn(3, ' ');
                Some(Event::Check {
                    name: words.next()?.to_owned(),
                    ok: words.next()? == "ok",
                    detail: words.next().unwrap_or("").to_owned(),
                })
            }
            "say" => Some(Event::Say(rest.trim_end().to_owned())),
            "count" => {
                let (name, number) = rest.trim_end().split_once(' ')?;
                Some(Event::Count {
                    name: name.to_owned(),
                    number: number.parse().ok()?,
                })
            }
            "key" => {
                let (letter, label) = rest.split_once(' ')?;
                self.key = Some((letter.chars().next()?, label.to_owned(), Vec::new()));
                None
            }
            "endkey" => {
                let (letter, label, lines) = self.key.take()?;
                Some(Event::Key {
                    letter,
                    label,
                    lines,
                })
            }
            "end" => Some(Event::End),
            _ => Some(Event::Other(line.to_owned())),
        }
    }
}

/// Where in a line another domain's line begins, and what that domain wrote.
fn find_domain(line: &str) -> Option<(usize, &str)> {
    let at = line.find(DOMAIN)?;
    let rest = line[at + DOMAIN.len()..].trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = rest.len() < line.len() - at - DOMAIN.len();
    let text = rest.strip_prefix(") ").filter(|_| numbered)?;
    Some((at, text))
}

fn crashed(line: &str) -> bool {
    CRASHES.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Event> {
        Parser::default().feed(text.as_bytes())
    }

    #[test]
    fn a_line_cut_in_two_by_xen_is_one_again() {
        let found = events("@@ check nic o(XEN) hello\r\nk 3 pings\r\n");
        let check = Event::Check {
            name: "nic".to_owned(),
            ok: true,
            detail: "3 pings".to_owned(),
        };
        assert_eq!(found, [Event::Xen("hello".to_owned()), check]);
    }

    #[test]
    fn a_line_cut_in_two_by_the_serial_driver_is_one_again() {
        let found =
            events("(XEN) Pin 13: (XEN) uart interrupt taking more than 15ms\r\nvec=98\r\n");
        assert_eq!(found, [Event::Xen("Pin 13: vec=98".to_owned())]);
    }

    #[test]
    fn a_line_cut_in_two_by_another_domain_is_one_again() {
        let found = events("@@ say he(d1) firmware\nllo (done)\n");
        assert_eq!(found[0], Event::Other("firmware".to_owned()));
        assert_eq!(found[1], Event::Say("hello (done)".to_owned()));
        assert_eq!(events("(d2) @@ say a\n"), [Event::Say("a".to_owned())]);
    }

    #[test]
    fn a_count_is_a_number() {
        let count = Event::Count {
            name: "reads".to_owned(),
            number: 12,
        };
        assert_eq!(events("@@ count reads 12\r\n"), [count]);
        assert_eq!(events("@@ count reads many\n"), []);
    }

    #[test]
    fn anything_but_ok_is_a_failure() {
        for line in [
            "@@ check a FAIL why\n",
            "@@ check a \n",
            "@@ check a okay\n",
        ] {
            assert!(
                matches!(&events(line)[..], [Event::Check { ok: false, .. }]),
                "{line}"
            );
        }
    }

    #[test]
    fn a_debug_key_has_xens_lines_only() {
        let found = events("@@ key i before\n(XEN) one\nnoise\n(XEN) two\n@@ endkey\n");
        let key = Event::Key {
            letter: 'i',
            label: "before".to_owned(),
            lines: vec!["one".to_owned(), "two".to_owned()],
        };
        assert!(found.contains(&key));
    }

    #[test]
    fn deaths_are_seen() {
        for line in [
            "(XEN) Panic on CPU 0:\n",
            "[    1.0] Kernel panic - not syncing: x\n",
            "(XEN) Xen BUG at arch/x86/irq.c:1\n",
        ] {
            assert!(matches!(&events(line)[..], [Event::Crash(_)]), "{line}");
        }
    }
}
