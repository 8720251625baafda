//! What the gates look at: the Rust object, the IR it was made from, and the C objects around it.

use std::path::Path;

use anyhow::{Context, Result};

use super::code::Code;
use super::elf::Object;
use super::ir::Module;

/// The files of one build, read.
pub(crate) struct Inputs {
    /// The Rust object that is linked into Xen.
    pub(crate) rust: Object,
    /// The LLVM IR of the Rust object, as it went into code generation.
    pub(crate) ir: Option<Module>,
    /// The objects of c-shim.
    pub(crate) shim: Vec<Object>,
    /// The rest of Xen; it may take addresses of functions that shim or Rust define.
    pub(crate) rest: Vec<Object>,
    /// Xen's configuration, where a whole build is looked at.
    pub(crate) config: Option<String>,
}

impl Inputs {
    /// Reads the Rust object and the `.ll` file beside it.
    ///
    /// # Errors
    /// A file cannot be read or is no ELF object.
    pub(crate) fn read(rust: &Path) -> Result<Self> {
        let ll = rust.with_extension("ll");
        let ir = if ll.exists() {
            let text = std::fs::read_to_string(&ll)
                .with_context(|| format!("cannot read {}", ll.display()))?;
            Some(Module::parse(&text))
        } else {
            None
        };
        Ok(Self {
            rust: Object::read(rust)?,
            ir,
            shim: Vec::new(),
            rest: Vec::new(),
            config: None,
        })
    }

    /// Whether an option of Xen's configuration is on; of an object alone nothing is known, and
    /// every option counts as on.
    pub(crate) fn is_on(&self, option: &str) -> bool {
        let on = format!("{option}=y");
        self.config
            .as_ref()
            .is_none_or(|text| text.lines().any(|line| line == on))
    }

    /// Disassembles what the gates need.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            inputs: self,
            code: Code::of(&self.rust),
        }
    }
}

/// The inputs with the Rust object's code.
pub(crate) struct Subject<'a> {
    /// The files.
    pub(crate) inputs: &'a Inputs,
    /// The code of the Rust object.
    pub(crate) code: Code<'a>,
}

/// The result of one gate.
#[derive(Default)]
pub(crate) struct Finding {
    /// What was counted or measured.
    pub(crate) figure: String,
    /// Each offence, with the symbol or address; empty when the gate passes.
    pub(crate) faults: Vec<String>,
}
