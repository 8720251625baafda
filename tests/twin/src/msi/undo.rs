//! Undoes what is left of a set-up that failed.
//!
//! C leaves MSI-X disabled then and all its messages masked, or MSI disabled; Rust leaves
//! everything as it was. So that the case can go on, both sides are put back to where they were,
//! and the answer says whether there was anything to undo.

use std::collections::BTreeMap;
use std::mem::offset_of;

use xen_sys as sys;

use super::call::call;
use super::descs;
use super::devices::OWN;
use super::says::{DIGEST, FAILED, LEFT, UNKNOWN};
use super::world::World;
use crate::answer::Answer;
use crate::machine::ranges::Ranges;
use crate::rng::mix;
use crate::side::{Script, Side};
use crate::xen::{get, set};

/// Words of `struct arch_msix` before the flags at its end.
const WORDS: usize = offset_of!(sys::arch_msix, host_maskall) / 4;
type Words = [u32; WORDS];

/// What a set-up may change of a function.
struct Snapshot {
    config: Vec<u8>,
    msix: Option<(Words, bool, bool)>,
    read_only: Ranges,
    fixmap: BTreeMap<usize, u64>,
}

impl Snapshot {
    fn of(side: &mut Side, world: &World, device: usize) -> Self {
        let msix = get!(world.devices[device], msix);
        Self {
            read_only: side.env().machine.pci.read_only.clone(),
            fixmap: side.env().machine.pci.fixmap.clone(),
            config: side.env().machine.pci.functions[device].config().to_vec(),
            msix: (!msix.is_null()).then(|| {
                // SAFETY: The structure lies in the arena, and any bytes are words.
                let words = unsafe { msix.cast::<Words>().read() };
                (words, get!(msix, host_maskall), get!(msix, guest_maskall))
            }),
        }
    }

    /// Whether something is left after a failure. Pages that another function's table has, too,
    /// lose their protection as they do when this one is given up.
    fn is_left(&self, after: &Self) -> bool {
        (&self.config, self.noted(), &self.fixmap) != (&after.config, after.noted(), &after.fixmap)
            || !after.read_only.is_within(&self.read_only)
    }

    /// What Xen has noted, in the same form on both sides.
    fn noted(&self) -> Option<(Words, bool, bool)> {
        self.msix.map(|(mut words, host, guest)| {
            // A failure may change what is Rust's own.
            words[OWN.start / 4..OWN.end / 4].fill(0);
            (words, host, guest)
        })
    }

    fn digest(&self) -> u64 {
        let bytes = self.config.iter().map(|byte| u64::from(*byte));
        let (words, host, guest) = self.noted().unwrap_or(([0; WORDS], false, false));
        let words = words.into_iter().map(u64::from);
        let flags = [host, guest].map(u64::from);
        let all = bytes.chain(words).chain(flags);
        all.fold(0, |digest, word| mix(digest ^ word)) & DIGEST
    }

    fn restore(&self, side: &mut Side, world: &World, device: usize) {
        side.env().machine.pci.functions[device].set_config(&self.config);
        if let Some((words, host, guest)) = self.msix {
            let msix = get!(world.devices[device], msix);
            // SAFETY: The structure lies in the arena, and no call runs.
            unsafe { msix.cast::<Words>().write(words) };
            set!(msix, host_maskall, host);
            set!(msix, guest_maskall, guest);
        }
    }
}

/// Calls a function that sets something up for a device; what a failure leaves is undone.
pub(super) fn set_up(
    side: &mut Side,
    world: &World,
    (device, msix): (usize, bool),
    (function, arguments): (usize, &[u64]),
    script: Script,
) -> Answer {
    let all = descs::of_device(side, world, device).unwrap_or_default();
    let both = all.iter().any(|found| found.is_msix() != msix);
    let before = Snapshot::of(side, world, device);
    let answer = Answer::int(call(side, function, arguments, script));
    if answer.outcome.is_err() || answer.outcome == Ok(0) {
        return answer;
    }
    let after = Snapshot::of(side, world, device);
    let output = if both {
        UNKNOWN
    } else if before.is_left(&after) {
        before.restore(side, world, device);
        LEFT | after.digest()
    } else {
        0
    };
    Answer {
        output: Some(FAILED | output),
        ..answer
    }
}
