//! Arguments that C declares narrower than a register.

/// A byte as C passes one: in a word whose upper bits mean nothing. Handed on as it is, it is
/// extended where it is used, and only there.
#[derive(Clone, Copy)]
pub struct Narrow(u32);

impl Narrow {
    /// Takes the low byte of a word.
    #[inline]
    pub const fn new(word: u32) -> Self {
        Self(word)
    }

    /// Returns the byte.
    #[inline]
    pub const fn get(self) -> u8 {
        self.0 as u8
    }
}
