//! What a run is worth: a table whose first false row makes the whole false.

use std::collections::BTreeMap;

use super::keys::Rule;
use super::protocol::Event;
use super::runner::Record;
use super::scenario::Number;
use crate::ui;

/// Longer details are cut in the table; the log has them in full.
const DETAIL: usize = 90;

/// A row of the table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) ok: bool,
    pub(super) detail: String,
}

impl Row {
    /// A row of a judgement: the good or the bad detail.
    pub(super) fn new(name: &str, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        let (Ok(detail) | Err(detail)) = result;
        Self {
            name: name.to_owned(),
            ok,
            detail,
        }
    }

    /// The row for people, not too long.
    pub(super) fn detail(&self) -> String {
        match self.detail.char_indices().nth(DETAIL) {
            Some((at, _)) => format!("{}…", &self.detail[..at]),
            None => self.detail.clone(),
        }
    }
}

/// All that a run has to show: its own checks, none of `wanted` missing, the debug keys, and a
/// clean end.
///
/// What cannot be judged after a false row is left out.
pub(super) fn judge(wanted: &[&str], rules: &[Rule], record: &Record) -> Vec<Row> {
    let mut rows: Vec<Row> = record.events.iter().filter_map(reported).collect();
    if rows.iter().all(|row| row.ok) && record.failure.is_none() {
        for name in wanted {
            if !rows.iter().any(|row| row.name == *name) {
                rows.push(Row::new(name, Err("was not reported".to_owned())));
            }
        }
        rows.extend(
            rules
                .iter()
                .map(|rule| Row::new(rule.name(), rule.judge(&record.events))),
        );
    }
    if rows.iter().all(|row| row.ok) {
        let end = match &record.failure {
            None => Ok(String::new()),
            Some(failure) => Err(failure.clone()),
        };
        rows.push(Row::new("power-off", end));
    }
    rows
}

/// The numbers of a run, beside those of stock Xen if they are known. Those that are `known` have
/// to be there and as they should be.
pub(super) fn count<'a>(
    known: impl Iterator<Item = &'a Number>,
    counts: &BTreeMap<String, u64>,
    stock: Option<&BTreeMap<String, u64>>,
) -> Vec<Row> {
    let known: Vec<_> = known.collect();
    let missing = known
        .iter()
        .filter(|known| !counts.contains_key(known.name));
    let missing = missing.map(|known| Row::new(known.name, Err("was not reported".to_owned())));
    let there = counts.iter().map(|(name, number)| {
        let text = match stock.and_then(|stock| stock.get(name)) {
            Some(stock) => format!("{number}, stock {stock}"),
            None => number.to_string(),
        };
        let right = known
            .iter()
            .all(|known| known.name != name || known.is_zero == (*number == 0));
        Row::new(name, if right { Ok(text) } else { Err(text) })
    });
    there.chain(missing).collect()
}

fn reported(event: &Event) -> Option<Row> {
    let Event::Check { name, ok, detail } = event else {
        return None;
    };
    Some(Row {
        name: name.clone(),
        ok: *ok,
        detail: detail.clone(),
    })
}

/// Prints the rows.
pub(super) fn print(rows: &[Row]) {
    let mut table = ui::Table::new(&["check", "result", "detail"]);
    for row in rows {
        let result = if row.ok { "ok" } else { "FAIL" };
        table.row([row.name.as_str(), result, &row.detail()]);
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(ok: bool, failure: Option<&str>) -> Record {
        Record {
            events: vec![Event::Check {
                name: "a".to_owned(),
                ok,
                detail: String::new(),
            }],
            failure: failure.map(str::to_owned),
            ..Record::default()
        }
    }

    fn good(wanted: &[&str], record: &Record) -> bool {
        judge(wanted, &[], record).iter().all(|row| row.ok)
    }

    #[test]
    fn everything_has_to_be_true() {
        assert!(good(&["a"], &record(true, None)));
        assert!(!good(&["a"], &record(false, None)));
        assert!(!good(&["a"], &record(true, Some("crash"))));
    }

    #[test]
    fn a_number_that_is_not_as_it_should_be_is_seen() {
        let counts = |number| BTreeMap::from([("reads".to_owned(), number)]);
        let known = |name, is_zero| Number {
            part: "",
            name,
            is_zero,
        };
        let row = |known: &[Number], number| {
            count(known.iter(), &counts(number), Some(&counts(9)))
                .iter()
                .all(|row| row.ok)
        };
        let rows = count([].iter(), &counts(5), Some(&counts(9)));
        assert_eq!(rows[0].detail, "5, stock 9");
        assert!(row(&[], 5));
        assert!(row(&[known("reads", true)], 0));
        assert!(!row(&[known("reads", true)], 5));
        assert!(row(&[known("reads", false)], 5));
        assert!(!row(&[known("reads", false)], 0));
        assert!(!row(&[known("writes", false)], 5));
    }

    #[test]
    fn a_check_that_is_missing_is_false() {
        assert!(!good(&["a", "b"], &record(true, None)));
    }
}
