//! Prototypes of functions as the debug information records them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use gimli::{
    AttributeValue, DebuggingInformationEntry, DwTag, Dwarf, EndianSlice, LittleEndian, Unit,
    constants as dw,
};
use object::elf::{R_X86_64_32, R_X86_64_64};

use super::elf::{Object, Section, Symbol};

/// Parameters and result of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prototype {
    /// In order.
    pub(crate) parameters: Vec<Parameter>,
    /// `None` for `void` and `()`.
    pub(crate) result: Option<Shape>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// The name; empty when the debug information has none.
    pub(crate) name: String,
    /// What is passed.
    pub(crate) shape: Shape,
}

/// How a value looks to the calling convention, whatever its language calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An address.
    Pointer,
    /// A number, a character, a truth value or an enumerator.
    Integer {
        /// The width.
        bytes: u64,
        /// `None` where the language leaves it open.
        signed: Option<bool>,
    },
    /// Anything else, with its size.
    Aggregate {
        /// The width.
        bytes: u64,
    },
}

impl Shape {
    /// The width in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Pointer => 8,
            Self::Integer { bytes, .. } | Self::Aggregate { bytes } => *bytes,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pointer => f.write_str("pointer"),
            Self::Integer {
                bytes,
                signed: Some(true),
            } => write!(f, "i{}", bytes * 8),
            Self::Integer {
                bytes,
                signed: Some(false),
            } => write!(f, "u{}", bytes * 8),
            Self::Integer {
                bytes,
                signed: None,
            } => write!(f, "{}-bit enumeration", bytes * 8),
            Self::Aggregate { bytes } => write!(f, "{bytes}-byte structure"),
        }
    }
}

/// The prototype of a function that the object defines.
///
/// LLVM turns a function into another name of an equal one; then only one of the two names has
/// debug information.
pub(crate) fn of_symbol<'a>(
    prototypes: &'a BTreeMap<String, Prototype>,
    object: &Object,
    symbol: &Symbol,
) -> Option<&'a Prototype> {
    let same = object.aliases(symbol).map(|alias| &alias.name);
    std::iter::once(&symbol.name)
        .chain(same)
        .find_map(|name| prototypes.get(name))
}

/// The prototype of each function that the object's debug information defines, by symbol name.
///
/// # Errors
/// The debug information is missing or damaged.
pub(crate) fn prototypes(object: &Object) -> Result<BTreeMap<String, Prototype>> {
    let prototypes = functions(object, |node| !node.declaration)?;
    ensure!(
        !prototypes.is_empty(),
        "{} has no debug information about functions; build with -g",
        object.path
    );
    Ok(prototypes)
}

/// The prototype of each function that the object only calls, by symbol name.
///
/// # Errors
/// The debug information is damaged.
pub(crate) fn declarations(object: &Object) -> Result<BTreeMap<String, Prototype>> {
    functions(object, |node| node.declaration)
}

/// The functions that a C file defines, in its order, those that were inlined everywhere too.
///
/// # Errors
/// The debug information is damaged, or has no such file.
pub(crate) fn functions_of_file(object: &Object, file: &str) -> Result<Vec<String>> {
    let sections = sections(object)?;
    let dwarf = load(&sections)?;
    let mut found = Vec::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            if entry.tag() != dw::DW_TAG_subprogram || entry.has_attr(dw::DW_AT_declaration) {
                continue;
            }
            let line = entry
                .attr_value(dw::DW_AT_decl_line)
                .and_then(|line| line.udata_value());
            if let Some(line) = line
                && declared_in(&dwarf, &unit, entry)? == Path::new(file).file_name()
                && let Some(name) = read_node(&dwarf, &unit, entry).name
            {
                found.push((line, name));
            }
        }
    }
    ensure!(
        !found.is_empty(),
        "{} has no functions of {file}",
        object.path
    );
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// The name, without its folder, of the file that an entry is declared in.
fn declared_in<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    entry: &DebuggingInformationEntry<Slice<'a>>,
) -> Result<Option<&'a OsStr>> {
    let index = match entry.attr_value(dw::DW_AT_decl_file) {
        Some(AttributeValue::FileIndex(index)) => index,
        _ => return Ok(None),
    };
    let file = unit
        .line_program
        .as_ref()
        .and_then(|program| program.header().file(index));
    let Some(file) = file else { return Ok(None) };
    let path = dwarf.attr_string(unit, file.path_name())?;
    Ok(Path::new(OsStr::from_bytes(path.slice())).file_name())
}

/// The sections of an object's debug information, relocated, by name.
type Sections<'a> = HashMap<&'a str, Vec<u8>>;

fn sections(object: &Object) -> Result<Sections<'_>> {
    let is_debug = |section: &&Section| section.name.starts_with(".debug_");
    let sections = object.sections.iter().filter(is_debug);
    sections
        .map(|section| Ok((&*section.name, relocate(object, section)?)))
        .collect()
}

fn load<'a>(sections: &'a Sections<'_>) -> Result<Dwarf<Slice<'a>>> {
    Dwarf::load(|id| {
        let data = sections.get(id.name()).map_or(&[][..], Vec::as_slice);
        Ok(EndianSlice::new(data, LittleEndian))
    })
}

fn functions(object: &Object, wanted: fn(&Node) -> bool) -> Result<BTreeMap<String, Prototype>> {
    let tree =
        Tree::read(object).with_context(|| format!("debug information of {}", object.path))?;
    let mut prototypes = BTreeMap::new();
    for node in tree
        .nodes
        .iter()
        .filter(|n| n.tag == dw::DW_TAG_subprogram && wanted(n))
    {
        if let Some(name) = node.linkage_name.as_ref().or(node.name.as_ref()) {
            let prototype = tree
                .prototype(node)
                .with_context(|| format!("prototype of {name}"))?;
            prototypes.insert(name.clone(), prototype);
        }
    }
    Ok(prototypes)
}

/// The part of the entries that prototypes need.
struct Tree {
    nodes: Vec<Node>,
    by_offset: HashMap<usize, usize>,
}

struct Node {
    tag: DwTag,
    name: Option<String>,
    linkage_name: Option<String>,
    bytes: Option<u64>,
    encoding: Option<gimli::DwAte>,
    declaration: bool,
    /// Offset of the type.
    of: Option<usize>,
    children: Vec<usize>,
}

type Slice<'a> = EndianSlice<'a, LittleEndian>;

impl Tree {
    fn read(object: &Object) -> Result<Self> {
        let sections = sections(object)?;
        let dwarf = load(&sections)?;
        let mut tree = Self {
            nodes: Vec::new(),
            by_offset: HashMap::new(),
        };
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            tree.read_unit(&dwarf, &dwarf.unit(header)?)?;
        }
        Ok(tree)
    }

    fn read_unit(&mut self, dwarf: &Dwarf<Slice<'_>>, unit: &Unit<Slice<'_>>) -> Result<()> {
        let mut open: Vec<usize> = Vec::new();
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            open.truncate(usize::try_from(entry.depth())?);
            let index = self.nodes.len();
            if let Some(parent) = open.last() {
                self.nodes[*parent].children.push(index);
            }
            open.push(index);
            if let Some(offset) = entry.offset().to_debug_info_offset(&unit.header) {
                self.by_offset.insert(offset.0, index);
            }
            self.nodes.push(read_node(dwarf, unit, entry));
        }
        Ok(())
    }

    fn prototype(&self, node: &Node) -> Result<Prototype> {
        let parameters = node
            .children
            .iter()
            .map(|child| &self.nodes[*child])
            .filter(|child| child.tag == dw::DW_TAG_formal_parameter)
            .map(|child| {
                Ok(Parameter {
                    name: child.name.clone().unwrap_or_default(),
                    shape: self.shape(child.of)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let result = match node.of {
            Some(of) => Some(self.shape(Some(of))?).filter(|shape| shape.bytes() != 0),
            None => None,
        };
        Ok(Prototype { parameters, result })
    }

    /// The shape of the type at `offset`, through type definitions, qualifiers and wrappers.
    fn shape(&self, offset: Option<usize>) -> Result<Shape> {
        // A missing type is C's `void` behind a qualifier, and Rust's `()`.
        let Some(offset) = offset else {
            return Ok(Shape::Aggregate { bytes: 0 });
        };
        let node = self.by_offset.get(&offset).map(|index| &self.nodes[*index]);
        let Some(node) = node else {
            bail!("the type at {offset:#x} does not exist")
        };
        let bytes = node.bytes.unwrap_or(0);
        Ok(match node.tag {
            dw::DW_TAG_pointer_type | dw::DW_TAG_reference_type | dw::DW_TAG_subroutine_type => {
                Shape::Pointer
            }
            dw::DW_TAG_base_type => match node.encoding {
                Some(dw::DW_ATE_signed | dw::DW_ATE_signed_char) => Shape::Integer {
                    bytes,
                    signed: Some(true),
                },
                Some(dw::DW_ATE_float) => Shape::Aggregate { bytes },
                _ if bytes == 0 => Shape::Aggregate { bytes },
                _ => Shape::Integer {
                    bytes,
                    signed: Some(false),
                },
            },
            dw::DW_TAG_enumeration_type => Shape::Integer {
                bytes,
                signed: None,
            },
            dw::DW_TAG_structure_type | dw::DW_TAG_union_type => self.wrapped(node, bytes)?,
            _ => self.shape(node.of)?,
        })
    }

    /// Whether a type is a structure without members.
    fn is_empty(&self, offset: Option<usize>) -> bool {
        let index = offset.and_then(|offset| self.by_offset.get(&offset));
        index.is_some_and(|index| {
            let node = &self.nodes[*index];
            node.tag == dw::DW_TAG_structure_type
                && !node.children.iter().any(|child| {
                    matches!(
                        self.nodes[*child].tag,
                        dw::DW_TAG_member | dw::DW_TAG_variant_part
                    )
                })
        })
    }

    /// A structure with exactly one member of its own size passes like that member; so does an
    /// `Option` of a pointer, whose one variant with a payload fills it.
    fn wrapped(&self, node: &Node, bytes: u64) -> Result<Shape> {
        let mut found = None;
        let mut pending: Vec<usize> = node.children.clone();
        while let Some(index) = pending.pop() {
            let child = &self.nodes[index];
            match child.tag {
                // A member directly in the variant part is the discriminant.
                dw::DW_TAG_variant_part => {
                    let is_variant = |n: &&usize| self.nodes[**n].tag == dw::DW_TAG_variant;
                    pending.extend(child.children.iter().filter(is_variant));
                }
                dw::DW_TAG_variant => pending.extend(&child.children),
                // The variant without a payload has the size of the whole, and nothing in it.
                dw::DW_TAG_member if self.is_empty(child.of) => {}
                dw::DW_TAG_member => {
                    let shape = self.shape(child.of)?;
                    if shape.bytes() == bytes && bytes != 0 && found.replace(shape).is_some() {
                        return Ok(Shape::Aggregate { bytes });
                    }
                }
                _ => {}
            }
        }
        Ok(found.unwrap_or(Shape::Aggregate { bytes }))
    }
}

fn read_node<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &Unit<Slice<'a>>,
    entry: &DebuggingInformationEntry<Slice<'a>>,
) -> Node {
    let text = |name| {
        let value = entry.attr_value(name)?;
        let text = dwarf.attr_string(unit, value).ok()?;
        Some(text.to_string_lossy().into_owned())
    };
    let of = match entry.attr_value(dw::DW_AT_type) {
        Some(AttributeValue::UnitRef(offset)) => {
            offset.to_debug_info_offset(&unit.header).map(|o| o.0)
        }
        Some(AttributeValue::DebugInfoRef(offset)) => Some(offset.0),
        _ => None,
    };
    let encoding = match entry.attr_value(dw::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => Some(encoding),
        _ => None,
    };
    Node {
        tag: entry.tag(),
        name: text(dw::DW_AT_name),
        linkage_name: text(dw::DW_AT_linkage_name),
        bytes: entry
            .attr_value(dw::DW_AT_byte_size)
            .and_then(|v| v.udata_value()),
        encoding,
        declaration: entry.has_attr(dw::DW_AT_declaration),
        of,
        children: Vec::new(),
    }
}

/// The contents of a debug section with its relocations applied, as if every section lay at address
/// 0.
fn relocate(object: &Object, section: &Section) -> Result<Vec<u8>> {
    let mut data = section.data.clone();
    for relocation in &section.relocations {
        let symbol = &object.symbols[relocation.symbol];
        let value = symbol
            .offset
            .wrapping_add_signed(relocation.addend)
            .to_le_bytes();
        let width = match relocation.kind {
            R_X86_64_64 => 8,
            R_X86_64_32 => 4,
            _ => bail!(
                "unexpected relocation at {:#x} of {}",
                relocation.offset,
                section.name
            ),
        };
        let start = usize::try_from(relocation.offset)?;
        let place = data
            .get_mut(start..start + width)
            .context("relocation outside the section")?;
        place.copy_from_slice(&value[..width]);
    }
    Ok(data)
}
