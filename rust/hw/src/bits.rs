//! Words of bit fields, declared as the manuals print them.

/// Declares a word of one or two 64-bit halves by its fields, `high:low` as in the manual's table.
///
/// Each field gets a getter, and a function that returns the word with the field changed; bits that
/// belong to no field stay as they are. Fields that overlap, that are wider than their type or that
/// lie in both halves do not compile. A value loses the bits that its field cannot hold.
macro_rules! bits {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident([u64; $words:literal]) {
            $($(#[$doc:meta])* $high:literal : $low:literal $get:ident / $with:ident: $type:ident,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $vis struct $name([u64; $words]);

        const _: () = $crate::bits::check($words, &[$(($high, $low, $crate::bits::bits!(@width $type))),+]);

        impl $name {
            /// Takes a word as it stands in memory.
            $vis const fn new(raw: [u64; $words]) -> Self {
                Self(raw)
            }

            /// The word as it stands in memory.
            $vis const fn raw(self) -> [u64; $words] {
                self.0
            }

            $(
                $(#[$doc])*
                $vis const fn $get(self) -> $type {
                    let value = $crate::bits::get(self.0[$low / 64], $high % 64, $low % 64);
                    $crate::bits::bits!(@from value, $type)
                }

                #[doc = concat!("Returns the word with another [`Self::", stringify!($get), "`].")]
                #[must_use]
                $vis const fn $with(mut self, value: $type) -> Self {
                    self.0[$low / 64] = $crate::bits::set(self.0[$low / 64], $high % 64, $low % 64, value as u64);
                    self
                }
            )+

            /// Each field's bits and value.
            #[cfg(test)]
            fn fields(self) -> std::vec::Vec<(u32, u32, u64)> {
                std::vec![$(($high, $low, self.$get() as u64)),+]
            }
        }
    };
    (@width bool) => { 1 };
    (@width $type:ident) => { $type::BITS };
    (@from $value:ident, bool) => { $value != 0 };
    (@from $value:ident, $type:ident) => { $value as $type };
}

pub(crate) use bits;

/// Refuses a declaration that is wrong: `(high, low, bits of the type)` of each field.
pub(crate) const fn check(words: u32, fields: &[(u32, u32, u32)]) {
    let mut used = [0u64; 2];
    let mut index = 0;
    while index < fields.len() {
        let (high, low, width) = fields[index];
        assert!(high >= low, "a field ends before it begins");
        assert!(high < words * 64, "a field lies outside the word");
        assert!(high / 64 == low / 64, "a field lies in both halves");
        assert!(high - low < width, "a field is wider than its type");
        let mask = mask(high % 64, low % 64);
        assert!(used[(low / 64) as usize] & mask == 0, "fields overlap");
        used[(low / 64) as usize] |= mask;
        index += 1;
    }
}

const fn mask(high: u32, low: u32) -> u64 {
    u64::MAX >> (63 - (high - low)) << low
}

pub(crate) const fn get(word: u64, high: u32, low: u32) -> u64 {
    (word & mask(high, low)) >> low
}

pub(crate) const fn set(word: u64, high: u32, low: u32, value: u64) -> u64 {
    word & !mask(high, low) | value << low & mask(high, low)
}

/// Sees that each bit of a word belongs to the field that says so and to no other, and that writing
/// fields is the inverse of reading them. For tests.
#[cfg(test)]
pub(crate) fn walk<const WORDS: usize>(
    fields: impl Fn([u64; WORDS]) -> std::vec::Vec<(u32, u32, u64)>,
) {
    for bit in 0..WORDS as u32 * 64 {
        let mut raw = [0; WORDS];
        raw[bit as usize / 64] = 1 << (bit % 64);
        for (high, low, value) in fields(raw) {
            let expected = if (low..=high).contains(&bit) {
                1 << (bit - low)
            } else {
                0
            };
            assert_eq!(value, expected, "bit {bit} and the field {high}:{low}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    bits! {
        /// For this test.
        struct Sample([u64; 2]) {
            /// One bit.
            0:0 first/with_first: bool,
            /// A byte at the end of a half.
            63:56 end/with_end: u8,
            /// A whole half.
            127:64 half/with_half: u64,
        }
    }

    #[test]
    fn a_field_is_what_was_put_there() {
        walk(|raw| Sample::new(raw).fields());
        let word = Sample::new([0, 0])
            .with_first(true)
            .with_end(0xa5)
            .with_half(u64::MAX);
        assert_eq!(word.raw(), [0xa500_0000_0000_0001, u64::MAX]);
        assert_eq!(word.with_end(0x5a).end(), 0x5a);
        assert_eq!(word.with_first(false).with_end(0).raw(), [0, u64::MAX]);
    }

    #[test]
    fn a_wrong_declaration_is_refused() {
        check(2, &[(7, 0, 8), (8, 8, 1), (127, 64, 64)]);
        for wrong in [
            [(7, 0, 8), (9, 7, 8)],
            [(7, 0, 8), (8, 9, 8)],
            [(7, 0, 8), (16, 8, 8)],
            [(7, 0, 8), (64, 60, 8)],
            [(7, 0, 8), (128, 120, 16)],
        ] {
            assert!(catch_unwind(|| check(2, &wrong)).is_err(), "{wrong:?}");
        }
    }
}
