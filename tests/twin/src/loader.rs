//! Places relocatable objects in memory, the way Xen's link does.
//!
//! The twin runs the very machine code that Xen's link takes. A set of objects of one side becomes
//! one [`Image`]: every allocated section is copied, symbols that one of the objects defines are
//! bound to it, and every other symbol is bound to a small piece of glue (see [`crate::glue`]) or
//! to a word of the image that stands for Xen's variable. Both sides get the same set, so neither
//! can reach anything that the other cannot.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use object::elf;
use object::read::elf::ElfFile64;
use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionIndex,
};

use crate::glue;
use crate::heap::words_of;
use crate::memory::Mapping;
use crate::trap;

/// How far a variable lies from its per-CPU template: code that forgets the offset touches an
/// inaccessible page.
pub(crate) const PER_CPU_OFFSET: usize = VARIABLES;

const PAGE: usize = 0x1000;
/// Bytes kept for glue, for Xen's variables, for the templates of its per-CPU variables, and for
/// those themselves.
const GLUE: usize = 0x8000;
const VARIABLES: usize = 4 * PAGE;
/// The section with the places of WARN(), and the size of an element.
const WARNINGS: &str = ".bug_frames.1";
const WARNING: usize = 8;
/// The section with the boot options, and the size of an element.
const OPTIONS: &str = ".init.setup";
const OPTION: usize = 24;
const SECTIONS: usize = GLUE + 2 * VARIABLES + PER_CPU_OFFSET;

/// What a symbol that no object defines stands for.
#[derive(Clone, Copy)]
pub(crate) enum Import {
    /// A function of the driver, called with up to six integer arguments.
    Call(usize),
    /// A variadic function of the driver: `fn(registers: *const u64, stack: *const u64)`.
    Variadic(usize),
    /// A variable of this many bytes, zero to begin with.
    Variable(usize),
    /// A per-CPU variable of this many bytes.
    PerCpu(usize),
}

/// What a section of an object holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Data,
    /// Templates of the object's own per-CPU variables.
    PerCpu,
}

impl Kind {
    /// None where it takes no memory.
    fn of<'data>(section: &impl ObjectSection<'data>) -> Result<Option<Self>> {
        let flags = section_flags(section);
        Ok(if flags & u64::from(elf::SHF_ALLOC) == 0 {
            None
        } else if flags & u64::from(elf::SHF_EXECINSTR) != 0 {
            Some(Self::Code)
        } else if section.name()?.contains(".percpu") {
            Some(Self::PerCpu)
        } else {
            Some(Self::Data)
        })
    }
}

/// Objects of one side in memory.
pub(crate) struct Image {
    map: Mapping,
    text: Range<usize>,
    symbols: HashMap<String, usize>,
    /// The object that exports each symbol.
    exporters: HashMap<String, PathBuf>,
    /// The objects' own variables, those too that they do not export.
    data: HashMap<String, usize>,
    variables: HashMap<String, usize>,
    functions: Vec<(usize, String)>,
    /// The objects' own variables: where they are, and what they hold to begin with.
    own: Vec<(usize, Vec<u8>)>,
    /// The sections that list boot options.
    options: Vec<Range<usize>>,
    /// Where the objects' own per-CPU variables are.
    per_cpu: Range<usize>,
}

impl Image {
    /// Loads `paths` as one image; `import` answers for each symbol that none of them defines.
    pub(crate) fn load(paths: &[PathBuf], import: impl Fn(&str) -> Option<Import>) -> Result<Self> {
        let files = paths
            .iter()
            .map(|path| read(path))
            .collect::<Result<Vec<_>>>()?;
        let objects = files
            .iter()
            .zip(paths)
            .map(|(data, path)| parse(path, data))
            .collect::<Result<Vec<_>>>()?;

        // Executable sections first: their range tells the benchmark and the trap handler what is
        // the object's own. Those with templates of per-CPU variables last: the variables come
        // behind them.
        let mut places: HashMap<(usize, SectionIndex), usize> = HashMap::new();
        let mut at = SECTIONS;
        let text_start = at;
        let mut text_end = at;
        let mut per_cpu = 0..0;
        for kind in [Kind::Code, Kind::Data, Kind::PerCpu] {
            let start = at;
            for (number, object) in objects.iter().enumerate() {
                for section in object.sections() {
                    if Kind::of(&section)? != Some(kind) {
                        continue;
                    }
                    at = at.next_multiple_of(section.align().max(1) as usize);
                    places.insert((number, section.index()), at);
                    at += section.size() as usize;
                }
            }
            at = at.next_multiple_of(PAGE);
            match kind {
                Kind::Code => text_end = at,
                Kind::Data => {}
                Kind::PerCpu => {
                    ensure!(at - start <= PER_CPU_OFFSET, "too many per-CPU variables");
                    per_cpu = start + PER_CPU_OFFSET..at + PER_CPU_OFFSET;
                    at += PER_CPU_OFFSET;
                }
            }
        }
        let map = Mapping::new(at.next_multiple_of(PAGE))?;
        let base = map.base();
        let mut image = Image {
            text: base + text_start..base + text_end,
            map,
            symbols: HashMap::new(),
            exporters: HashMap::new(),
            data: HashMap::new(),
            variables: HashMap::new(),
            functions: Vec::new(),
            own: Vec::new(),
            options: Vec::new(),
            per_cpu,
        };

        for (number, object) in objects.iter().enumerate() {
            for section in object.sections() {
                if let Some(&place) = places.get(&(number, section.index())) {
                    let data = section.data()?;
                    image.map.bytes(place, data.len()).copy_from_slice(data);
                }
            }
            for symbol in object.symbols().filter(|symbol| symbol.is_definition()) {
                let Some(place) = symbol
                    .section_index()
                    .and_then(|index| places.get(&(number, index)))
                else {
                    continue;
                };
                let address = base + place + symbol.address() as usize;
                let name = symbol.name()?.to_owned();
                if symbol.kind() == object::SymbolKind::Text {
                    image.functions.push((address, name.clone()));
                } else if symbol.kind() == object::SymbolKind::Data {
                    image.data.insert(name.clone(), address);
                }
                if symbol.is_global() && image.symbols.insert(name.clone(), address).is_some() {
                    bail!("{} is defined twice", name);
                }
                if symbol.is_global() {
                    image.exporters.insert(name, paths[number].clone());
                }
            }
        }
        image.functions.sort();

        let mut imports = Imports {
            glue: glue::Writer::new(base..base + GLUE),
            next: base + GLUE,
            known: HashMap::new(),
        };
        // What the file that is looked at imports is a fake, although another part of Rust may
        // define it.
        let mut fakes = HashMap::new();
        for (name, &address) in &image.symbols {
            if import(name).is_some() {
                fakes.insert(address, imports.resolve(name, &import)?);
            }
        }
        for (number, object) in objects.iter().enumerate() {
            image
                .relocate(
                    object,
                    &|index| places.get(&(number, index)).copied(),
                    &mut imports,
                    &import,
                    &fakes,
                )
                .with_context(|| format!("loading {}", paths[number].display()))?;
        }
        let code = imports.glue.code();
        image.map.bytes(0, code.len()).copy_from_slice(code);
        // A per-CPU symbol is the template's address; the variable is further on.
        let variable = |address: usize| {
            if address >= base + GLUE + VARIABLES {
                address + PER_CPU_OFFSET
            } else {
                address
            }
        };
        image.variables = imports
            .known
            .into_iter()
            .filter(|(_, address)| *address >= base + GLUE)
            .map(|(name, address)| (name, variable(address)))
            .collect();
        image.map.seal(GLUE + VARIABLES, VARIABLES)?;
        for (number, object) in objects.iter().enumerate() {
            for section in object.sections() {
                let Some(&place) = places.get(&(number, section.index())) else {
                    continue;
                };
                let range = place..place + section.size() as usize;
                match section.name()? {
                    WARNINGS => image.expect_warnings(range),
                    OPTIONS => image.options.push(range),
                    _ => {}
                }
            }
        }
        for (number, object) in objects.iter().enumerate() {
            for section in object.sections() {
                let written = section_flags(&section) & u64::from(elf::SHF_WRITE) != 0;
                if let Some(&place) = places.get(&(number, section.index()))
                    && written
                    && section.size() > 0
                {
                    let bytes = image.map.bytes(place, section.size() as usize).to_vec();
                    image.own.push((place, bytes));
                }
            }
        }
        Ok(image)
    }

    fn relocate(
        &mut self,
        object: &ElfFile64<'_>,
        place_of: &dyn Fn(SectionIndex) -> Option<usize>,
        imports: &mut Imports,
        import: &impl Fn(&str) -> Option<Import>,
        fakes: &HashMap<usize, usize>,
    ) -> Result<()> {
        for section in object.sections() {
            let Some(start) = place_of(section.index()) else {
                continue;
            };
            for (offset, relocation) in section.relocations() {
                let RelocationTarget::Symbol(index) = relocation.target() else {
                    bail!("a relocation without a symbol in {}", section.name()?)
                };
                let symbol = object.symbol_by_index(index)?;
                let value = match symbol.section_index() {
                    Some(index) => match place_of(index) {
                        Some(place) => self.map.base() + place + symbol.address() as usize,
                        None => bail!("{} refers to a section that is not loaded", section.name()?),
                    },
                    None => match self.symbols.get(symbol.name()?) {
                        Some(&address) => address,
                        None => imports.resolve(symbol.name()?, import)?,
                    },
                };
                let value = (value as i64).wrapping_add(relocation.addend());
                let place = start + offset as usize;
                let pc = (self.map.base() + place) as i64;
                let RelocationFlags::Elf { r_type } = relocation.flags() else {
                    unreachable!("ELF was parsed")
                };
                match r_type {
                    elf::R_X86_64_64 => self
                        .map
                        .bytes(place, 8)
                        .copy_from_slice(&value.to_le_bytes()),
                    elf::R_X86_64_PC64 => {
                        self.map
                            .bytes(place, 8)
                            .copy_from_slice(&(value - pc).to_le_bytes());
                    }
                    elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
                        // The CPU counts from the end of the field.
                        let target = value.wrapping_add(4) as usize;
                        let value = fakes.get(&target).map_or(value, |&fake| fake as i64 - 4);
                        let distance =
                            i32::try_from(value - pc).context("a target is out of reach")?;
                        self.map
                            .bytes(place, 4)
                            .copy_from_slice(&distance.to_le_bytes());
                    }
                    other => {
                        bail!("relocation type {other}, which Xen's link does not take either")
                    }
                }
            }
        }
        Ok(())
    }

    /// The address of a function or variable that the objects export.
    pub(crate) fn symbol(&self, name: &str) -> Result<usize> {
        self.symbols
            .get(name)
            .copied()
            .with_context(|| format!("no object defines {name}"))
    }

    /// The object that exports a symbol.
    pub(crate) fn exporter(&self, name: &str) -> Option<&Path> {
        self.exporters.get(name).map(PathBuf::as_path)
    }

    /// The address of the function whose name ends so; it need not be exported.
    pub(crate) fn function_ending(&self, end: &str) -> Option<usize> {
        let mut all = self.functions.iter();
        all.find_map(|(address, known)| known.ends_with(end).then_some(*address))
    }

    /// The address of a variable of the objects, exported or not.
    pub(crate) fn own_variable(&self, name: &str) -> Option<usize> {
        self.data.get(name).copied()
    }

    /// Tells the handler of traps which invalid opcodes are those of WARN().
    fn expect_warnings(&mut self, section: Range<usize>) {
        let base = self.map.base();
        for frame in section.step_by(WARNING) {
            let bytes = self.map.bytes(frame, 4);
            // Three bytes of distance; the fourth is a part of the number of the line.
            let distance = i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8;
            trap::expect_warning((base + frame).wrapping_add_signed(distance as isize));
        }
    }

    /// The address of the variable behind a boot option; none when the objects have no such option.
    pub(crate) fn option(&mut self, name: &str) -> Option<usize> {
        let mut sections = self.options.clone().into_iter().flatten();
        // A name, a type and a length, and the address.
        sections.by_ref().step_by(OPTION).find_map(|entry| {
            let words: Vec<_> = words_of(self.map.bytes(entry, OPTION)).collect();
            let start = (words[0] as usize).checked_sub(self.map.base())?;
            let text = self.map.bytes(start, name.len() + 1);
            (text.split_last() == Some((&0, name.as_bytes()))).then_some(words[2] as usize)
        })
    }

    /// The address of a function, which need not be exported.
    pub(crate) fn function(&self, name: &str) -> Option<usize> {
        let mut all = self.functions.iter();
        all.find_map(|(address, known)| (known == name).then_some(*address))
    }

    /// The address of a variable that stands for one of Xen's; none when the objects do not refer
    /// to it.
    pub(crate) fn variable(&self, name: &str) -> Option<usize> {
        self.variables.get(name).copied()
    }

    /// Zeroes Xen's variables, and gives the objects' own what they began with.
    pub(crate) fn reset_variables(&mut self) {
        for (place, bytes) in &self.own {
            self.map.bytes(*place, bytes.len()).copy_from_slice(bytes);
        }
        self.map.bytes(GLUE, VARIABLES).fill(0);
        self.map
            .bytes(GLUE + VARIABLES + PER_CPU_OFFSET, VARIABLES)
            .fill(0);
        let (start, len) = (self.per_cpu.start, self.per_cpu.len());
        self.map.bytes(start, len).fill(0);
    }

    /// What the objects' own variables hold now, word by word.
    pub(crate) fn own_words(&mut self) -> Vec<u64> {
        let mut words = Vec::new();
        for (place, bytes) in &self.own {
            words.extend(words_of(self.map.bytes(*place, bytes.len())));
        }
        words
    }

    /// What the objects' own variables hold now.
    pub(crate) fn own_bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        for (place, bytes) in &self.own {
            all.extend_from_slice(self.map.bytes(*place, bytes.len()));
        }
        all
    }

    /// The range of the objects' own code.
    pub(crate) fn text(&self) -> Range<usize> {
        self.text.clone()
    }

    /// All of it: code, variables and templates.
    pub(crate) fn range(&self) -> Range<usize> {
        self.map.base()..self.map.base() + self.map.len()
    }

    /// A range with that code and the glue, and no code of the driver's.
    pub(crate) fn code(&self) -> Range<usize> {
        self.map.base()..self.text.end
    }

    /// Names an address of the code: the function and the offset in it.
    pub(crate) fn describe(&self, address: usize) -> String {
        if !self.text.contains(&address) {
            return format!("{address:#x}");
        }
        match self
            .functions
            .partition_point(|(start, _)| *start <= address)
            .checked_sub(1)
        {
            Some(index) => {
                let (start, name) = &self.functions[index];
                format!("{name}+{:#x}", address - start)
            }
            None => format!("{address:#x}"),
        }
    }
}

struct Imports {
    glue: glue::Writer,
    next: usize,
    known: HashMap<String, usize>,
}

impl Imports {
    fn resolve(&mut self, name: &str, import: &impl Fn(&str) -> Option<Import>) -> Result<usize> {
        if let Some(&address) = self.known.get(name) {
            return Ok(address);
        }
        let address = match import(name) {
            Some(Import::Call(target)) => self.glue.call(target),
            Some(Import::Variadic(target)) => self.glue.variadic(target),
            Some(Import::Variable(size)) => self.variable(size, 0)?,
            Some(Import::PerCpu(size)) => self.variable(size, VARIABLES)?,
            None => match glue::thunk_register(name) {
                Some(register) => self.glue.indirect_thunk(register),
                None if name == "__x86_return_thunk" => self.glue.return_thunk(),
                None => self.glue.missing(name),
            },
        };
        self.known.insert(name.to_owned(), address);
        Ok(address)
    }

    fn variable(&mut self, size: usize, template: usize) -> Result<usize> {
        let address = self.next.next_multiple_of(16);
        self.next = address + size;
        Ok(address + template)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}

fn parse<'data>(path: &Path, data: &'data [u8]) -> Result<ElfFile64<'data>> {
    let object: ElfFile64<'_> =
        ElfFile64::parse(data).with_context(|| format!("{} is no ELF object", path.display()))?;
    ensure!(
        object.kind() == object::ObjectKind::Relocatable,
        "{} is not a relocatable object",
        path.display()
    );
    Ok(object)
}

fn section_flags<'data>(section: &impl ObjectSection<'data>) -> u64 {
    match section.flags() {
        object::SectionFlags::Elf { sh_flags } => sh_flags,
        _ => 0,
    }
}
