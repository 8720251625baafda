//! What a slip is, and the table of them.

use anyhow::{Context, Result, ensure};

use crate::units::{self, Unit};

/// A small fault in our own Rust.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slip {
    /// What is wrong; no two have the same.
    pub(super) name: &'static str,
    /// The file, below `rust/`.
    pub(super) file: &'static str,
    /// A text that the file holds once, before the place. Empty where `from` itself is there once.
    after: &'static str,
    /// What is right: an expression, or a statement with its semicolon or brace. The first behind
    /// `after`.
    from: &'static str,
    /// What takes its place. With [`SLIPPED`] in it, it is the whole text, for both cases.
    to: &'static str,
    /// Another place in the file, where its text is once, and what is there then; as `to`, with
    /// [`SLIPPED`].
    and: Option<(&'static str, &'static str)>,
    /// Whether it needs a build of its own, because the judge looks at machine code, or a `const
    /// fn` holds it.
    pub(super) alone: bool,
    /// Whether it shows in how a cost grows.
    pub(super) scale: bool,
    /// Why no judge can find it, where it changes nothing that matters.
    pub(super) equivalent: Option<&'static str>,
}

/// One text that a slip changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Where it begins.
    pub(super) at: usize,
    /// What is right.
    pub(super) from: &'static str,
    /// What takes its place.
    pub(super) to: &'static str,
}

impl Place {
    /// The text for both cases, where the slip itself says it; `chosen` is what tells whether it is
    /// chosen.
    pub(super) fn whole(&self, chosen: &str) -> Option<String> {
        self.to
            .contains(SLIPPED)
            .then(|| self.to.replace(SLIPPED, chosen))
    }
}

/// A slip that is chosen at run time.
pub(super) const fn slip(
    name: &'static str,
    file: &'static str,
    after: &'static str,
    from: &'static str,
    to: &'static str,
) -> Slip {
    Slip {
        name,
        file,
        after,
        from,
        to,
        and: None,
        alone: false,
        scale: false,
        equivalent: None,
    }
}

/// In `to`: whether the slip is chosen.
const SLIPPED: &str = "$slipped";

impl Slip {
    /// It has a second place.
    pub(super) const fn and(self, from: &'static str, to: &'static str) -> Self {
        Self {
            and: Some((from, to)),
            ..self
        }
    }

    /// It needs a build of its own.
    pub(super) const fn alone(self) -> Self {
        Self {
            alone: true,
            ..self
        }
    }

    /// It shows in how a cost grows, which the benchmark measures.
    pub(super) const fn scale(self) -> Self {
        Self {
            scale: true,
            ..self
        }
    }

    /// It changes nothing that matters.
    pub(super) const fn equivalent(self, why: &'static str) -> Self {
        Self {
            equivalent: Some(why),
            ..self
        }
    }

    /// The places in the text of its file, each with what is right there and what takes its place.
    ///
    /// # Errors
    ///
    /// A text is not there, or it is not clear which is meant.
    pub(super) fn places(&self, text: &str) -> Result<Vec<Place>> {
        let once = |part: &str| {
            ensure!(
                text.matches(part).count() == 1,
                "slip `{}`: {} does not hold `{part}` exactly once",
                self.name,
                self.file
            );
            Ok(text.find(part).unwrap_or(0) + part.len())
        };
        let at = if self.after.is_empty() {
            once(self.from)? - self.from.len()
        } else {
            let start = once(self.after)?;
            let at = text[start..].find(self.from).with_context(|| {
                format!(
                    "slip `{}`: {} does not hold `{}` behind `{}`",
                    self.name, self.file, self.from, self.after
                )
            })?;
            start + at
        };
        let place = |at, from, to| Place { at, from, to };
        let mut places = vec![place(at, self.from, self.to)];
        if let Some((from, to)) = self.and {
            places.push(place(once(from)? - from.len(), from, to));
        }
        places.sort_by_key(|place| place.at);
        Ok(places)
    }

    /// The text with the slip instead of what is right.
    ///
    /// # Errors
    ///
    /// Those of [`Self::places`].
    pub(super) fn slipped(&self, text: &str) -> Result<String> {
        let mut result = text.to_owned();
        for place in self.places(text)?.iter().rev() {
            let to = place.to.replace(SLIPPED, "true");
            result.replace_range(place.at..place.at + place.from.len(), &to);
        }
        Ok(result)
    }

    /// A number that changes with what the slip does.
    pub(super) fn hash(&self) -> String {
        let texts = (self.file, self.after, self.from, self.to, self.and);
        crate::cache::short_hash(format!("{texts:?}").as_bytes())
    }

    /// The replaced files whose twin runs its code.
    pub(super) fn twins(&self) -> &'static [&'static str] {
        const OF: &[(&str, &[&str])] = &[
            ("core/src/vmsi/deliver.rs", &["vmsi", "vtd"]),
            ("core/src/vmsi", &["vmsi"]),
            ("core/src/msi", &["msi"]),
            ("core/src/irq", &["irq"]),
            ("core/src/remap/source", &["vtd"]),
            ("core/src/remap", &["vtd", "amd"]),
            ("hw/src/amd", &["amd"]),
            ("hw/src/vtd", &["vtd"]),
            ("hw/src/ioapic", &["vtd", "amd"]),
            ("hw/src/pci", &["msi"]),
            ("vmsi/", &["vmsi"]),
            ("msi/", &["msi"]),
            ("irq/", &["irq"]),
            ("remap/vtd", &["vtd"]),
            ("remap/amd", &["amd"]),
            ("xen/src/remap/vtd", &["vtd"]),
            ("xen/src/remap/amd", &["amd"]),
            ("xen/src/msi", &["msi"]),
            ("xen/src/irq", &["irq"]),
            ("xen/src/vmsi", &["vmsi"]),
            ("exports/vmsi", &["vmsi"]),
            ("exports/msi", &["msi"]),
            ("exports/irq", &["irq"]),
            ("exports/vtd", &["vtd"]),
            ("exports/amd", &["amd"]),
        ];
        let known = OF.iter().find(|(start, _)| self.file.starts_with(start));
        known.map_or(&units::NAMES, |(_, twins)| twins)
    }

    /// The unit in work that its code belongs to.
    pub(super) fn in_work(&self) -> Option<&'static Unit> {
        self.twins().iter().find_map(|name| units::in_work(name))
    }

    /// Whether a test of the host's crates may find it.
    pub(super) fn is_tested_on_host(&self) -> bool {
        self.file.starts_with("core/") || self.file.starts_with("hw/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::repository;
    use std::collections::BTreeSet;

    fn text(file: &str) -> String {
        std::fs::read_to_string(repository().join("rust").join(file)).unwrap()
    }

    #[test]
    fn every_slip_has_its_place_and_a_name_of_its_own() {
        let all = super::super::slips::all();
        let errors: Vec<_> = all
            .iter()
            .filter_map(|slip| slip.places(&text(slip.file)).err())
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        let names: BTreeSet<_> = all.iter().map(|slip| slip.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 80, "{} slips", all.len());
        assert!(all.iter().all(|slip| slip.from != slip.to));
    }

    #[test]
    fn a_place_is_the_first_behind_a_text_that_is_there_once() {
        let text = "fn a() { x + 1 }\nfn b() { x + 1 }\n";
        let at = |after, from| {
            let places = slip("s", "f", after, from, "").places(text);
            places.ok().map(|places| places[0].at)
        };
        assert_eq!(at("fn b", "x + 1"), Some(26));
        assert_eq!(at("", "x + 1"), None);
        assert_eq!(at("fn c", "x + 1"), None);
        assert_eq!(at("fn", "x + 1"), None);
        assert_eq!(at("fn b", "x + 2"), None);
        let both = slip("s", "f", "fn b", "x + 1", "x").and("fn a()", "fn c($slipped)");
        let slipped = both.slipped(text).unwrap();
        assert_eq!(slipped, "fn c(true) { x + 1 }\nfn b() { x }\n");
    }
}
