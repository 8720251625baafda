//! Interrupt remapping.

pub mod entry;
pub mod slots;
pub mod source;
pub mod update;

/// Whether a device has to be told that a message changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Its registers name another entry of the table, or none yet.
    Needed,
    /// Its registers name the same entry as before.
    NotNeeded,
}

impl Rewrite {
    /// For a sender that named an entry `before`, if any, and that names this one `now`.
    #[inline(always)]
    pub fn of(before: Option<usize>, now: usize) -> Self {
        if before == Some(now) {
            Self::NotNeeded
        } else {
            Self::Needed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rewrite;

    #[test]
    fn a_device_is_told_of_its_first_entry_and_of_another_one() {
        assert_eq!(Rewrite::of(None, 5), Rewrite::Needed);
        assert_eq!(Rewrite::of(Some(4), 5), Rewrite::Needed);
        assert_eq!(Rewrite::of(Some(5), 5), Rewrite::NotNeeded);
    }
}
