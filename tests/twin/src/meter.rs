//! Marks the calls whose instructions callgrind counts.

use std::ffi::CString;

use serde::Serialize;

use crate::answer::Answer;
use crate::side::Side;
use crate::trace::Event;
use crate::valgrind;

/// What the file of a row holds.
#[derive(Serialize)]
pub(crate) struct Row {
    /// What is done.
    name: String,
    /// How large the world is.
    size: String,
    /// Whether the size must not matter to Rust.
    flat: bool,
    /// What the call answered.
    answer: String,
    /// How often configuration space was read.
    reads: usize,
}

/// Marks the calls that are counted.
#[derive(Default)]
pub(crate) struct Meter {
    pub(crate) rows: Vec<Row>,
}

impl Meter {
    /// Counts the calls that `body` makes, usually one. `flat` says that the size must not matter
    /// to Rust.
    pub(crate) fn count(
        &mut self,
        side: &mut Side,
        (name, size, flat): (&str, &str, bool),
        body: impl FnOnce(&mut Side) -> Answer,
    ) {
        side.cpu.counted = true;
        let answer = body(side);
        side.cpu.counted = false;
        let label = CString::new(format!("{name} {size}")).unwrap_or_default();
        valgrind::request(valgrind::DUMP_STATS_AT, label.as_ptr() as u64);
        let reads = side.env().trace.iter().filter(|entry| {
            matches!(entry.event, Event::Call(name, _) if name.starts_with("pci_conf_read"))
        });
        let reads = reads.count();
        self.rows.push(Row {
            name: name.to_owned(),
            size: size.to_owned(),
            flat,
            answer: format!("{answer:x?}"),
            reads,
        });
    }
}
