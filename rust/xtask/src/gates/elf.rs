//! An ELF object as the gates look at it: sections, symbols and relocations in plain vectors.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use object::elf::{RelocationType, SHF_ALLOC, SHF_EXECINSTR, SectionFlags};
use object::read::elf::ElfFile64;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
    SymbolKind,
};

/// A relocatable object or an executable.
pub(crate) struct Object {
    /// The path, for messages.
    pub(crate) path: String,
    /// All sections, by section index.
    pub(crate) sections: Vec<Section>,
    /// All symbols, by symbol index.
    pub(crate) symbols: Vec<Symbol>,
}

/// A section with its relocations, sorted by offset.
#[derive(Default)]
pub(crate) struct Section {
    /// The name.
    pub(crate) name: String,
    /// Whether the section takes part in the image.
    pub(crate) allocated: bool,
    /// Whether the section holds code.
    pub(crate) executable: bool,
    /// The contents; empty for a section without any.
    pub(crate) data: Vec<u8>,
    /// What the linker will patch.
    pub(crate) relocations: Vec<Relocation>,
}

/// One relocation.
#[derive(Clone, Copy)]
pub(crate) struct Relocation {
    /// Where in the section.
    pub(crate) offset: u64,
    /// The ELF relocation type.
    pub(crate) kind: RelocationType,
    /// The symbol's index.
    pub(crate) symbol: usize,
    /// The constant that is added.
    pub(crate) addend: i64,
}

/// One symbol.
pub(crate) struct Symbol {
    /// The name; empty for a section symbol.
    pub(crate) name: String,
    /// What it names.
    pub(crate) kind: SymbolKind,
    /// The section that holds it; `None` for an undefined or absolute symbol.
    pub(crate) section: Option<usize>,
    /// The offset in the section.
    pub(crate) offset: u64,
    /// The size in bytes.
    pub(crate) size: u64,
    /// Whether other objects see it.
    pub(crate) global: bool,
    /// Whether another object must define it.
    pub(crate) undefined: bool,
    /// The source file that the preceding FILE symbol names; empty when there is none.
    pub(crate) file: String,
}

impl Object {
    /// Reads an ELF64 x86-64 file.
    ///
    /// # Errors
    /// The file cannot be read or is no such object.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        Self::read_part(path, |_| true)
    }

    /// Like [`Object::read`], with the contents of what is in the image only: no debug information.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn read_image(path: &Path) -> Result<Self> {
        Self::read_part(path, |flags| flags.contains(SHF_ALLOC))
    }

    /// Like [`Object::read`], with names of sections and symbols only.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn read_symbols(path: &Path) -> Result<Self> {
        Self::read_part(path, |_| false)
    }

    fn read_part(path: &Path, wanted: fn(SectionFlags) -> bool) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: ElfFile64 = ElfFile64::parse(&*bytes)
            .with_context(|| format!("{} is not a 64-bit ELF object", path.display()))?;
        let mut sections = Vec::new();
        for section in file.sections() {
            let index = section.index().0;
            if sections.len() <= index {
                sections.resize_with(index + 1, Section::default);
            }
            sections[index] = read_section(&section, wanted)
                .with_context(|| format!("{}: section {index}", path.display()))?;
        }
        Ok(Self {
            path: path.display().to_string(),
            sections,
            symbols: read_symbols(&file)?,
        })
    }

    /// All symbols that are defined here and seen by other objects.
    pub(crate) fn exported(&self) -> impl Iterator<Item = &Symbol> {
        self.symbols.iter().filter(|s| s.global && !s.undefined)
    }

    /// All symbols at the same place, the symbol itself among them.
    pub(crate) fn aliases<'a>(&'a self, symbol: &'a Symbol) -> impl Iterator<Item = &'a Symbol> {
        let place = |s: &Symbol| (s.section, s.offset);
        self.symbols.iter().filter(move |s| {
            s.kind == SymbolKind::Text && !s.undefined && place(s) == place(symbol)
        })
    }

    /// The section and offset that a relocation points at, when it is in this object.
    ///
    /// `bias` is the distance from the patched field to the place that the field is relative to: 4
    /// for the displacement at the end of an instruction, 0 for data.
    pub(crate) fn target(&self, relocation: &Relocation, bias: i64) -> Option<(usize, u64)> {
        let symbol = &self.symbols[relocation.symbol];
        let offset = symbol.offset.wrapping_add_signed(relocation.addend + bias);
        symbol.section.map(|section| (section, offset))
    }

    /// The name of what a relocation points at: the symbol, or the function found at that offset.
    pub(crate) fn target_name(&self, relocation: &Relocation, bias: i64) -> String {
        let symbol = &self.symbols[relocation.symbol];
        if symbol.kind != SymbolKind::Section {
            return symbol.name.clone();
        }
        match self.target(relocation, bias) {
            Some((section, offset)) => self.place(section, offset),
            None => symbol.name.clone(),
        }
    }

    /// The name of a place: `function+0x12`, `function`, or `.section+0x12` outside any symbol.
    pub(crate) fn place(&self, section: usize, offset: u64) -> String {
        let best = self
            .symbols
            .iter()
            .filter(|s| s.section == Some(section) && !s.name.is_empty() && s.offset <= offset)
            .filter(|s| s.size == 0 || offset < s.offset + s.size)
            .max_by_key(|s| (s.offset, s.global));
        match best {
            Some(symbol) if symbol.offset == offset => symbol.name.clone(),
            Some(symbol) => format!("{}+{:#x}", symbol.name, offset - symbol.offset),
            None => format!("{}+{offset:#x}", self.sections[section].name),
        }
    }
}

fn read_section<'data>(
    section: &object::read::elf::ElfSection64<'data, '_>,
    wanted: fn(SectionFlags) -> bool,
) -> Result<Section> {
    let object::SectionFlags::Elf { sh_flags, .. } = section.flags() else {
        bail!("no ELF section");
    };
    let mut read = Section {
        name: section.name()?.to_owned(),
        allocated: sh_flags.contains(SHF_ALLOC),
        executable: sh_flags.contains(SHF_EXECINSTR),
        ..Section::default()
    };
    if !wanted(sh_flags) {
        return Ok(read);
    }
    read.data = section.uncompressed_data()?.into_owned();
    for (offset, relocation) in section.relocations() {
        let RelocationFlags::Elf { r_type } = relocation.flags() else {
            bail!("no ELF relocation");
        };
        let RelocationTarget::Symbol(symbol) = relocation.target() else {
            bail!("the relocation at {offset:#x} names no symbol");
        };
        read.relocations.push(Relocation {
            offset,
            kind: r_type,
            symbol: symbol.0,
            addend: relocation.addend(),
        });
    }
    read.relocations.sort_by_key(|r| r.offset);
    Ok(read)
}

fn read_symbols(file: &ElfFile64) -> Result<Vec<Symbol>> {
    // Index 0 is the null symbol, which the iterator may leave out; indices must stay those of the
    // file.
    let mut symbols: Vec<Symbol> = Vec::new();
    let mut source = String::new();
    for symbol in file.symbols() {
        let index = symbol.index().0;
        while symbols.len() < index {
            symbols.push(null_symbol());
        }
        let name = symbol
            .name()
            .map_err(|e| anyhow!("symbol {index}: {e}"))?
            .to_owned();
        if symbol.kind() == SymbolKind::File {
            source.clone_from(&name);
        }
        symbols.push(Symbol {
            name,
            kind: symbol.kind(),
            section: symbol.section_index().map(|s| s.0),
            offset: symbol.address(),
            size: symbol.size(),
            global: symbol.is_global(),
            undefined: symbol.is_undefined(),
            file: if symbol.is_global() {
                String::new()
            } else {
                source.clone()
            },
        });
    }
    Ok(symbols)
}

fn null_symbol() -> Symbol {
    Symbol {
        name: String::new(),
        kind: SymbolKind::Unknown,
        section: None,
        offset: 0,
        size: 0,
        global: false,
        undefined: false,
        file: String::new(),
    }
}
