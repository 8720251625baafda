//! How often each step of a generator ran, what it met and how it ended.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Write};

/// Counts, by the name of a step and what it met.
#[derive(Default)]
pub(crate) struct Met(BTreeMap<(String, &'static str), u64>);

impl Met {
    /// Counts a step once for each.
    pub(crate) fn count(&mut self, step: &str, states: impl Iterator<Item = &'static str>) {
        for state in states {
            *self.0.entry((step.to_owned(), state)).or_default() += 1;
        }
    }

    /// A line for each, of words between tabs, as `cargo xtask twin` reads it.
    pub(crate) fn print(&self, subject: &str) {
        for ((step, state), count) in &self.0 {
            println!("met\t{subject}\t{step}\t{state}\t{count}");
        }
    }
}

/// The name of a step: its variant and, after that, the one of what it is made of.
pub(crate) fn name(op: &dyn Debug, inner: Option<&dyn Debug>) -> String {
    let mut name = Word::of(op);
    if let Some(inner) = inner {
        name = format!("{name} {}", Word::of(inner));
    }
    name
}

/// The first word that is written; there the writing ends.
struct Word(String);

impl Word {
    fn of(value: &dyn Debug) -> String {
        let mut word = Self(String::new());
        // An error is the end of the word.
        let _ = write!(word, "{value:?}");
        word.0
    }
}

impl Write for Word {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.find(|letter: char| !letter.is_alphanumeric());
        self.0.push_str(&text[..end.unwrap_or(text.len())]);
        end.map_or(Ok(()), |_| Err(fmt::Error))
    }
}
