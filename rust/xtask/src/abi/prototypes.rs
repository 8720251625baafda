//! The prototypes of Rust's functions beside those of C, both as the debug information has them.

use std::collections::BTreeMap;

use super::Inputs;
use super::manifest::{Entry, Kind};
use crate::gates::Finding;
use crate::gates::dwarf::{self, Prototype, Shape};
use crate::gates::elf::Object;

/// Parameters and result of each function agree in number, kind, width and signedness.
///
/// For what c-shim calls, C's side is the declaration that its objects were compiled with.
pub(super) fn check(inputs: &Inputs) -> Finding {
    let mut faults = Vec::new();
    let mut read = |what: anyhow::Result<BTreeMap<String, Prototype>>| {
        what.unwrap_or_else(|error| {
            faults.push(format!("{error:#}"));
            BTreeMap::new()
        })
    };
    let rust = read(dwarf::prototypes(&inputs.rust));
    let mut c = BTreeMap::new();
    for object in &inputs.shim {
        c.extend(read(dwarf::declarations(object)));
    }
    for (whole, rest) in &inputs.in_work {
        c.extend(read(dwarf::declarations(rest)));
        c.extend(read(dwarf::prototypes(whole)));
    }
    for object in &inputs.stock {
        c.extend(read(dwarf::prototypes(object)));
    }
    let (mut functions, mut values) = (0usize, 0usize);
    let shim: Vec<&Object> = inputs.shim.iter().collect();
    for entry in inputs
        .manifest
        .entries
        .iter()
        .filter(|e| e.kind == Kind::Text && !defined(&shim, e))
    {
        functions += 1;
        let symbol = inputs.rust.exported().find(|s| s.name == entry.symbol);
        let ours = symbol.and_then(|s| dwarf::of_symbol(&rust, &inputs.rust, s));
        match (ours, c.get(&entry.symbol)) {
            (Some(ours), Some(theirs)) => {
                values += theirs.parameters.len() + usize::from(theirs.result.is_some());
                faults.extend(
                    compare(ours, theirs)
                        .into_iter()
                        .map(|f| format!("{}: {f}", entry.symbol)),
                );
            }
            // A hook is called by no object that was built without it; it takes nothing.
            (Some(ours), None) if entry.is_hook() => {
                if !ours.parameters.is_empty() || ours.result.is_some() {
                    faults.push(format!("{} is a hook and takes something", entry.symbol));
                }
            }
            (None, _) => faults.push(format!("{} has no prototype in Rust", entry.symbol)),
            (_, None) => faults.push(format!("{} has no prototype in C", entry.symbol)),
        }
    }
    Finding {
        figure: format!("{values} parameters and results of {functions} functions"),
        faults,
    }
}

/// Whether the shim itself defines the symbol, in C and so with C's prototype.
fn defined(shim: &[&Object], entry: &Entry) -> bool {
    shim.iter()
        .any(|object| object.exported().any(|s| s.name == entry.symbol))
}

fn compare(ours: &Prototype, theirs: &Prototype) -> Vec<String> {
    let mut faults = Vec::new();
    let (have, want) = (ours.parameters.len(), theirs.parameters.len());
    if have != want {
        faults.push(format!("Rust takes {have} parameters, C {want}"));
        return faults;
    }
    for (index, (have, want)) in ours.parameters.iter().zip(&theirs.parameters).enumerate() {
        // A narrow parameter is taken as u32, because C's callers may leave the upper bits
        // undefined (rule 4).
        let wanted = match want.shape {
            Shape::Integer { bytes, .. } if bytes < 4 => Shape::Integer {
                bytes: 4,
                signed: Some(false),
            },
            ref shape => shape.clone(),
        };
        if !agree(&have.shape, &wanted) {
            faults.push(format!(
                "parameter {index} ({}) is {} in Rust, {} in C, and has to be {wanted}",
                want.name, have.shape, want.shape
            ));
        }
    }
    match (&ours.result, &theirs.result) {
        (None, None) => {}
        (Some(have), Some(want)) if agree(have, want) => {}
        (have, want) => {
            let text = |shape: &Option<Shape>| {
                shape
                    .as_ref()
                    .map_or("nothing".to_owned(), Shape::to_string)
            };
            faults.push(format!(
                "the result is {} in Rust, {} in C",
                text(have),
                text(want)
            ));
        }
    }
    faults
}

/// Whether two shapes are passed alike; an enumeration is as signed as its counterpart.
fn agree(have: &Shape, want: &Shape) -> bool {
    match (have, want) {
        (
            Shape::Integer {
                bytes: a,
                signed: x,
            },
            Shape::Integer {
                bytes: b,
                signed: y,
            },
        ) => a == b && (x.is_none() || y.is_none() || x == y),
        _ => have == want,
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::gates::dwarf::{Parameter, Prototype, Shape};

    fn prototype(parameters: &[Shape], result: Option<Shape>) -> Prototype {
        let named = |shape: &Shape| Parameter {
            name: "p".to_owned(),
            shape: shape.clone(),
        };
        Prototype {
            parameters: parameters.iter().map(named).collect(),
            result,
        }
    }

    const INT: Shape = Shape::Integer {
        bytes: 4,
        signed: Some(true),
    };
    const U32: Shape = Shape::Integer {
        bytes: 4,
        signed: Some(false),
    };
    const U64: Shape = Shape::Integer {
        bytes: 8,
        signed: Some(false),
    };
    const U8: Shape = Shape::Integer {
        bytes: 1,
        signed: Some(false),
    };

    #[test]
    fn narrow_parameters_are_u32_and_all_else_is_the_same() {
        let c = prototype(&[Shape::Pointer, U8, U64], Some(INT));
        assert!(compare(&prototype(&[Shape::Pointer, U32, U64], Some(INT)), &c).is_empty());
        for wrong in [
            prototype(&[Shape::Pointer, U8, U64], Some(INT)),
            prototype(&[Shape::Pointer, INT, U64], Some(INT)),
            prototype(&[U64, U32, U64], Some(INT)),
            prototype(&[Shape::Pointer, U32, U32], Some(INT)),
            prototype(&[Shape::Pointer, U32], Some(INT)),
            prototype(&[Shape::Pointer, U32, U64], None),
            prototype(&[Shape::Pointer, U32, U64], Some(U64)),
        ] {
            assert_eq!(compare(&wrong, &c).len(), 1, "{wrong:?}");
        }
    }
}
