//! What a difference between stock and Rust is worth: judged by more runs of the test on both.

use std::collections::BTreeMap;

/// How often a test whose results differ is run again on each side.
pub(super) const AGAIN: usize = 3;

/// How often one is run that had an unusual result with Rust, but not always.
pub(super) const RATE: usize = 20;

/// The results of a test on one Xen, in the order of its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries(pub(super) Vec<String>);

impl Tries {
    /// For people: each result with how often it came.
    pub(super) fn summary(&self) -> String {
        let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
        for result in &self.0 {
            *runs.entry(result).or_default() += 1;
        }
        let runs: Vec<_> = runs
            .iter()
            .map(|(result, times)| format!("{times} x {result}"))
            .collect();
        runs.join(", ")
    }

    /// The result that came most often, the first of them where several did.
    fn usual(&self) -> Option<&str> {
        let times = |result: &String| self.0.iter().filter(|other| *other == result).count();
        let most = self.0.iter().map(times).max()?;
        self.0
            .iter()
            .find(|result| times(result) == most)
            .map(String::as_str)
    }

    /// How many results are another one.
    fn unlike(&self, usual: &str) -> usize {
        self.0.iter().filter(|result| *result != usual).count()
    }
}

/// What the runs of a test on both sides say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// With Rust it always has the result that is usual on stock Xen; stock Xen has others, too.
    StockVaries,
    /// With Rust it has another result now and then: more runs have to say how often.
    Open,
    /// Of [`RATE`] runs with Rust no more have an unusual result than of as many on stock Xen.
    Flaky,
    /// With Rust it has another result, always or more often.
    Different,
}

impl Verdict {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::StockVaries => "varies on stock alone",
            Self::Open => "not settled",
            Self::Flaky => "flaky",
            Self::Different => "DIFFERENT",
        }
    }
}

/// Judges the first runs, stock and Rust.
pub(super) fn judge(stock: &Tries, rust: &Tries) -> Verdict {
    let Some(usual) = stock.usual() else {
        return Verdict::Different;
    };
    match rust.unlike(usual) {
        0 if !rust.0.is_empty() => Verdict::StockVaries,
        unlike if unlike == rust.0.len() && stock.unlike(usual) == 0 => Verdict::Different,
        _ => Verdict::Open,
    }
}

/// Judges by rate: `before` are the first runs on stock Xen, which help to say what is usual. They
/// do not count otherwise, nor do the first runs with Rust: that one of those was unusual is why
/// there are more.
pub(super) fn judge_rate(before: &Tries, stock: &Tries, rust: &Tries) -> Verdict {
    let all = Tries([before.0.as_slice(), stock.0.as_slice()].concat());
    match all.usual() {
        Some(usual) if rust.unlike(usual) <= stock.unlike(usual) => Verdict::Flaky,
        _ => Verdict::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(runs: &[(&str, usize)]) -> Tries {
        let runs = runs
            .iter()
            .map(|&(result, times)| vec![result.to_owned(); times]);
        Tries(runs.flatten().collect())
    }

    const GOOD: &str = "SUCCESS";
    const BAD: &str = "timeout";

    #[test]
    fn what_stock_alone_does_now_and_then_is_no_difference() {
        let stock = tries(&[(BAD, 1), (GOOD, 3)]);
        assert_eq!(judge(&stock, &tries(&[(GOOD, 4)])), Verdict::StockVaries);
    }

    #[test]
    fn what_rust_always_does_otherwise_is_different() {
        let rust = tries(&[("CRASH", 4)]);
        assert_eq!(judge(&tries(&[(GOOD, 4)]), &rust), Verdict::Different);
        let varied = tries(&[("CRASH", 2), (BAD, 2)]);
        assert_eq!(judge(&tries(&[(GOOD, 4)]), &varied), Verdict::Different);
    }

    #[test]
    fn what_rust_does_now_and_then_needs_more_runs() {
        let rust = tries(&[(BAD, 1), (GOOD, 3)]);
        assert_eq!(judge(&tries(&[(GOOD, 4)]), &rust), Verdict::Open);
        // Stock does it once, Rust always: stock's having done it does not settle that.
        let stock = tries(&[(BAD, 1), (GOOD, 3)]);
        assert_eq!(judge(&stock, &tries(&[(BAD, 4)])), Verdict::Open);
    }

    #[test]
    fn a_higher_rate_with_rust_is_different() {
        let before = tries(&[(GOOD, 4)]);
        let runs = |bad| tries(&[(GOOD, RATE - bad), (BAD, bad)]);
        assert_eq!(judge_rate(&before, &runs(0), &runs(0)), Verdict::Flaky);
        assert_eq!(judge_rate(&before, &runs(0), &runs(1)), Verdict::Different);
        assert_eq!(judge_rate(&before, &runs(3), &runs(3)), Verdict::Flaky);
        assert_eq!(judge_rate(&before, &runs(3), &runs(4)), Verdict::Different);
        assert_eq!(judge_rate(&before, &runs(4), &runs(3)), Verdict::Flaky);
    }

    #[test]
    fn what_is_usual_on_stock_is_what_counts() {
        // It fails on stock: a success with Rust is another result.
        let before = tries(&[("FAILURE", 4)]);
        let stock = tries(&[("FAILURE", RATE)]);
        let rust = tries(&[("FAILURE", RATE - 1), (GOOD, 1)]);
        assert_eq!(judge_rate(&before, &stock, &rust), Verdict::Different);
    }

    #[test]
    fn runs_are_told_shortly() {
        assert_eq!(
            tries(&[(GOOD, 3), (BAD, 1)]).summary(),
            "3 x SUCCESS, 1 x timeout"
        );
    }
}
