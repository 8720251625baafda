//! include/symbols.txt: what the Rust object offers.

use anyhow::{Result, bail};

/// The list.
pub(super) struct Manifest {
    /// In order of the file.
    pub(super) entries: Vec<Entry>,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The Kconfig switch without `CONFIG_`.
    pub(super) switch: String,
    /// The symbol.
    pub(super) symbol: String,
    /// Code or data.
    pub(super) kind: Kind,
    /// Whether c-shim offers it, not Rust.
    pub(super) by_shim: bool,
    /// The objects of C files that call it by a hunk of the patches. Stock Xen does not know such
    /// a symbol; none for all others.
    pub(super) callers: Vec<String>,
}

/// What a symbol names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A function.
    Text,
    /// A variable.
    Data,
}

impl Manifest {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A line is malformed or names a symbol for the second time.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        for line in text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty())
        {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (switch, symbol, kind, by_shim, callers) = match *words.as_slice() {
                [switch, symbol, kind] => (switch, symbol, kind, false, &[][..]),
                [switch, symbol, kind, "shim"] => (switch, symbol, kind, true, &[][..]),
                [switch, symbol, kind, "hook", ref callers @ ..] if !callers.is_empty() => {
                    (switch, symbol, kind, false, callers)
                }
                _ => bail!(
                    "symbols.txt: a line is `switch symbol kind [shim|hook OBJECT...]`, but this is `{line}`"
                ),
            };
            let kind = match kind {
                "text" => Kind::Text,
                "data" => Kind::Data,
                _ => bail!("symbols.txt: a kind is `text` or `data`, but this is `{line}`"),
            };
            if entries.iter().any(|entry| entry.symbol == symbol) {
                bail!("symbols.txt names {symbol} twice");
            }
            entries.push(Entry {
                switch: switch.to_owned(),
                symbol: symbol.to_owned(),
                kind,
                by_shim,
                callers: callers.iter().map(|caller| (*caller).to_owned()).collect(),
            });
        }
        Ok(Self { entries })
    }

    /// The switches that occur, each once.
    pub(super) fn switches(&self) -> Vec<String> {
        let mut switches: Vec<_> = self.entries.iter().map(|e| e.switch.clone()).collect();
        switches.sort();
        switches.dedup();
        switches
    }

    /// What the C files offer, and the Rust object has to.
    pub(super) fn public(&self) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(|e| !e.is_private() && !e.is_hook())
    }

    /// What only c-shim calls.
    pub(super) fn private(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|e| e.is_private())
    }
}

impl Entry {
    /// Whether a hunk of the patches calls it, of which stock Xen does not know.
    pub(super) fn is_hook(&self) -> bool {
        !self.callers.is_empty()
    }

    fn is_private(&self) -> bool {
        self.symbol.starts_with("xen_irq_")
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Data => "data",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Manifest};

    #[test]
    fn comments_are_skipped_and_private_symbols_told_apart() {
        let manifest = Manifest::parse(
            "# a\n\nRUST_A f text\nRUST_A xen_irq_g text\nRUST_B v data shim\nRUST_B h text hook a/b.o c.o\n",
        );
        let manifest = manifest.expect("the text is well formed");
        assert_eq!(manifest.switches(), ["RUST_A", "RUST_B"]);
        let public: Vec<_> = manifest
            .public()
            .map(|e| (e.symbol.as_str(), e.kind))
            .collect();
        assert_eq!(public, [("f", Kind::Text), ("v", Kind::Data)]);
        assert_eq!(manifest.private().count(), 1);
        let by_shim = manifest.entries.iter().map(|e| e.by_shim);
        assert!(by_shim.eq([false, false, true, false]));
        let hooks = manifest.entries.iter().filter(|entry| entry.is_hook());
        let callers: Vec<_> = hooks.map(|hook| hook.callers.as_slice()).collect();
        assert_eq!(callers, [["a/b.o", "c.o"]]);
    }

    #[test]
    fn a_malformed_line_is_refused() {
        for text in [
            "RUST_A f",
            "RUST_A f code",
            "RUST_A f text extra",
            "RUST_A f text shim extra",
            "RUST_A f text hook",
            "A f text\nA f text",
        ] {
            assert!(Manifest::parse(text).is_err(), "{text}");
        }
    }
}
