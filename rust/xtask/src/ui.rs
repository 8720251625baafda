//! What the user sees: one line per step, and tables of results.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All live lines share one display, so that steps inside steps do not overwrite each other.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints a line for the user, above all live lines.
pub(crate) fn line(text: &str) {
    if !std::io::stderr().is_terminal() || LINES.println(text).is_err() {
        eprintln!("{text}");
    }
}

/// A step of the work that is going on: a live line on a terminal, plain lines elsewhere.
///
/// Finished by [`Step::done`]; one that is dropped before was cut short by an error and says so.
pub(crate) struct Step {
    text: String,
    bar: Option<ProgressBar>,
    started: Instant,
    noted: String,
    finished: bool,
}

/// Announces a step.
pub(crate) fn step(text: impl Into<String>) -> Step {
    let text = text.into();
    let bar = if std::io::stderr().is_terminal() {
        let bar = LINES.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.set_message(text.clone());
        bar.enable_steady_tick(Duration::from_millis(200));
        Some(bar)
    } else {
        eprintln!("… {text}");
        None
    };
    Step {
        text,
        bar,
        started: Instant::now(),
        noted: String::new(),
        finished: false,
    }
}

impl Step {
    /// Says what the step is at; repeating a note prints nothing new.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if note == self.noted {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {note}", self.text)),
            None => eprintln!("  {:>5} s  {note}", self.started.elapsed().as_secs()),
        }
        self.noted = note;
    }

    /// The step came to its end.
    pub(crate) fn done(mut self) {
        self.finish('✓');
    }

    fn finish(&mut self, mark: char) {
        if self.finished {
            return;
        }
        self.finished = true;
        let seconds = self.started.elapsed().as_secs_f64();
        let line = format!("{mark} {} ({seconds:.1} s)", self.text);
        match self.bar.take() {
            Some(bar) => {
                bar.finish_and_clear();
                // A display that is gone must not hide the line.
                if LINES.println(&line).is_err() {
                    eprintln!("{line}");
                }
            }
            None => eprintln!("{line}"),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.finish('✗');
    }
}

/// A table of results for standard output, columns as wide as their content.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Names the columns.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&text| text.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        print!("{self}");
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = |column: usize| {
            std::iter::once(&self.head)
                .chain(&self.rows)
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            writeln!(f, "{}", padded.join("  ").trim_end())
        };
        line(&self.head)?;
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        line(&rule)?;
        self.rows.iter().try_for_each(|row| line(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["check", "result"]);
        table.row(["a long name", "ok"]);
        table.row(["b", "FAIL"]);
        assert_eq!(
            table.to_string(),
            "check        result\n-----------  ------\na long name  ok\nb            FAIL\n"
        );
    }
}
