//! The few lines at the end of the main job: what was seen.

use std::collections::BTreeMap;

use super::protocol::Event;
use super::runner::Record;

/// How Xen begins the line with its version and its compiler.
const VERSION: &str = "Xen version ";

/// What a run of `main` in which all checks were true has shown: the name of a thing and what was
/// seen of it.
///
/// `xen` says which parts of Xen are in Rust, `machine` what it ran on.
pub(super) fn lines(record: &Record, xen: &str, machine: &str) -> Vec<(&'static str, String)> {
    let details: BTreeMap<&str, &str> = record.events.iter().filter_map(detail).collect();
    let counts: BTreeMap<&str, u64> = record.events.iter().filter_map(count).collect();
    let devices: Vec<String> = record.events.iter().filter_map(device).collect();
    let detail = |check: &str| details.get(check).copied().unwrap_or("not seen");
    let device = |at: usize, interrupts: &str| {
        let device = devices.get(at).map_or("not seen", String::as_str);
        match counts.get(interrupts) {
            Some(number) => format!("{device}, {number} interrupts"),
            None => format!("{device}, interrupts not counted"),
        }
    };
    let version = record.events.iter().find_map(|event| match event {
        Event::Xen(text) => text.strip_prefix(VERSION),
        _ => None,
    });
    let destroyed = if details.contains_key("hvm-destroy-0") {
        "destroyed by xl with both devices; keys i, M and V print what they did before it"
    } else {
        "not destroyed"
    };
    vec![
        ("Xen", format!("{}; {xen}", version.unwrap_or("unknown"))),
        ("machine", machine.to_owned()),
        ("NIC", device(0, "guest-nic-interrupts")),
        (
            "",
            format!(
                "{} answered, {} by TCP",
                detail("guest-nic"),
                detail("guest-nic-tcp")
            ),
        ),
        ("disk", device(1, "guest-disk-interrupts")),
        ("", detail("guest-disk").to_owned()),
        ("guest", destroyed.to_owned()),
        (
            "end",
            format!(
                "the machine turned itself off, {:.0} s after its start",
                record.took.as_secs_f64()
            ),
        ),
    ]
}

/// The name of a check that was true, and its detail.
fn detail(event: &Event) -> Option<(&str, &str)> {
    match event {
        Event::Check {
            name,
            ok: true,
            detail,
        } => Some((name, detail)),
        _ => None,
    }
}

fn count(event: &Event) -> Option<(&str, u64)> {
    match event {
        Event::Count { name, number } => Some((name, *number)),
        _ => None,
    }
}

/// What a guest says of a device that it uses: "device 0x8086 0x10d3 driver e1000e interrupts 3
/// msix".
fn device(event: &Event) -> Option<String> {
    let Event::Say(text) = event else {
        return None;
    };
    match text.split(' ').collect::<Vec<_>>().as_slice() {
        [
            "device",
            vendor,
            device,
            "driver",
            driver,
            "interrupts",
            vectors,
            kind,
        ] => {
            let number = |text: &str| text.trim_start_matches("0x").to_owned();
            let kind = match *kind {
                "msix" => "MSI-X",
                "msi" => "MSI",
                other => other,
            };
            Some(format!(
                "{}:{} by {driver} in the guest: {vectors} vectors of {kind}",
                number(vendor),
                number(device)
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, detail: &str) -> Event {
        Event::Check {
            name: name.to_owned(),
            ok: true,
            detail: detail.to_owned(),
        }
    }

    fn text(events: Vec<Event>) -> String {
        let record = Record {
            events,
            ..Record::default()
        };
        let lines = lines(&record, "RUST_MSI in Rust", "2 CPUs");
        lines
            .iter()
            .map(|(name, text)| format!("{name}: {text}\n"))
            .collect()
    }

    #[test]
    fn what_was_seen_is_said() {
        let said = "device 0x8086 0x10d3 driver e1000e interrupts 3 msix";
        let text = text(vec![
            Event::Xen("Xen version 4.20.3 (x@y)".to_owned()),
            check("guest-nic", "3 pings"),
            check("guest-nic-tcp", "256 KiB each way"),
            Event::Say(said.to_owned()),
            Event::Count {
                name: "guest-nic-interrupts".to_owned(),
                number: 412,
            },
            check("hvm-destroy-0", ""),
        ]);
        for words in [
            "Xen: 4.20.3 (x@y); RUST_MSI in Rust\n",
            "NIC: 8086:10d3 by e1000e in the guest: 3 vectors of MSI-X, 412 interrupts\n",
            ": 3 pings answered, 256 KiB each way by TCP\n",
            "guest: destroyed by xl",
            "end: the machine turned itself off",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
    }

    #[test]
    fn what_was_not_seen_is_not_said() {
        let text = text(Vec::new());
        assert!(
            text.contains("NIC: not seen, interrupts not counted\n"),
            "{text}"
        );
        assert!(text.contains("guest: not destroyed\n"), "{text}");
    }
}
