//! The choice of a vCPU for an interrupt of lowest priority, which may go to several.

/// Chooses one of those that match, by the vector: the same one as long as the same ones match.
/// `matching` is asked twice, and what matches may change in between: the first one serves then.
///
/// `None` where none matches.
pub fn choose<I: Iterator>(matching: impl Fn() -> I, vector: u8) -> Option<I::Item> {
    let count = matching().count();
    let index = usize::from(vector).checked_rem(count)?;
    matching().nth(index).or_else(|| matching().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn it_is_the_one_that_an_array_of_all_gives(matches: Vec<bool>, vector: u8) {
            let all: Vec<usize> = (0..matches.len()).filter(|vcpu| matches[*vcpu]).collect();
            let expected = (!all.is_empty()).then(|| all[usize::from(vector) % all.len()]);
            let chosen = choose(|| (0..matches.len()).filter(|vcpu| matches[*vcpu]), vector);
            prop_assert_eq!(chosen, expected);
        }
    }

    #[test]
    fn fewer_may_match_the_second_time() {
        let calls = Cell::new(0);
        let matching = || {
            calls.set(calls.get() + 1);
            0..if calls.get() == 1 { 4 } else { 2 }
        };
        assert_eq!(choose(matching, 3), Some(0));
        let none = || {
            calls.set(calls.get() + 1);
            0..if calls.get() == 5 { 1 } else { 0 }
        };
        calls.set(4);
        assert_eq!(choose(none, 0), None);
    }
}
