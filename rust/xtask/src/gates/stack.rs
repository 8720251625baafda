//! Rule 9: small frames and no recursion. Xen's stack has 8 KiB, and interrupts nest on it.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::Mnemonic;

use super::code::is_direct_branch;
use super::frame::Frame;
use super::subject::{Finding, Subject};

/// The largest frame that a single function may have, in bytes.
const LIMIT: u64 = 512;

/// No frame exceeds the limit or grows by an amount known only at run time.
pub(super) fn frames(subject: &Subject) -> Finding {
    let mut largest = (0, "");
    let mut faults = Vec::new();
    for function in &subject.code.functions {
        let frame = Frame::of(function);
        largest = largest.max((frame.deepest(), &function.name));
        if frame.variable {
            faults.push(format!(
                "{} moves %rsp by an amount known only at run time",
                function.name
            ));
        }
        if frame.deepest() > LIMIT {
            faults.push(format!(
                "{} has a frame of {} bytes",
                function.name,
                frame.deepest()
            ));
        }
    }
    Finding {
        figure: format!("largest {} of {LIMIT} bytes ({})", largest.0, largest.1),
        faults,
    }
}

/// No function reaches itself by direct calls; the figure is the stack of the deepest chain inside
/// the object.
pub(super) fn recursion(subject: &Subject) -> Finding {
    let mut walk = Walk {
        graph: Graph::of(subject),
        deepest: BTreeMap::new(),
        open: Vec::new(),
        faults: BTreeSet::new(),
    };
    let names: Vec<String> = walk.graph.frames.keys().cloned().collect();
    let deepest = names.iter().map(|name| walk.depth(name)).max().unwrap_or(0);
    Finding {
        figure: format!(
            "{} cycles, deepest chain {deepest} bytes",
            walk.faults.len()
        ),
        faults: walk.faults.into_iter().collect(),
    }
}

/// Who calls whom by direct calls and tail jumps.
struct Graph {
    /// Frame and return address of each function, in bytes.
    frames: BTreeMap<String, u64>,
    callees: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(subject: &Subject) -> Self {
        let mut graph = Self {
            frames: BTreeMap::new(),
            callees: BTreeMap::new(),
        };
        for function in &subject.code.functions {
            graph
                .frames
                .insert(function.name.clone(), Frame::of(function).deepest() + 8);
            let callees = graph.callees.entry(function.name.clone()).or_default();
            for step in &function.instructions {
                // A jump inside the function is a loop; a call of its own entry is a recursion.
                let call = step.instruction.mnemonic() == Mnemonic::Call;
                if !is_direct_branch(&step.instruction) {
                    continue;
                }
                if let Some(target) = subject.code.branch_target(function, step)
                    && (call || target != function.name)
                {
                    callees.insert(target);
                }
            }
        }
        graph
    }
}

/// A depth-first walk that notes each cycle once.
struct Walk {
    graph: Graph,
    deepest: BTreeMap<String, u64>,
    open: Vec<String>,
    faults: BTreeSet<String>,
}

impl Walk {
    fn depth(&mut self, name: &str) -> u64 {
        if let Some(known) = self.deepest.get(name) {
            return *known;
        }
        let Some(own) = self.graph.frames.get(name).copied() else {
            return 0;
        };
        if let Some(start) = self.open.iter().position(|open| open == name) {
            self.faults.insert(format!(
                "{} calls itself: {} -> {name}",
                name,
                self.open[start..].join(" -> ")
            ));
            return 0;
        }
        self.open.push(name.to_owned());
        let callees = self.graph.callees.get(name).cloned().unwrap_or_default();
        let below = callees
            .iter()
            .map(|callee| self.depth(callee))
            .max()
            .unwrap_or(0);
        self.open.pop();
        self.deepest.insert(name.to_owned(), own + below);
        own + below
    }
}
