//! `arch/x86/hvm/vmsi.c`: the MSI-X table, delivery, and the arch half of vPCI.

mod bench;
mod fakes;
mod generate;
mod model;
mod op;
pub(crate) mod oracle;
mod pcidevs;
mod perform;
mod platform;
mod world;

use crate::allocator::Frames;
use crate::loader::Image;
use crate::meter::Meter;
use crate::side::Side;
use crate::subject::Subject;
use anyhow::Result;

/// The subject.
pub(crate) struct Vmsi;

impl Subject for Vmsi {
    const NAME: &'static str = "vmsi";

    type Api = perform::Api;
    type Spec = world::Spec;
    type Part = platform::Platform;

    crate::subject::files!();

    fn asked_by(rust: &Image) -> &'static str {
        if pcidevs::has_c_msi(rust) {
            " --alone"
        } else {
            ""
        }
    }

    fn fit(spec: &mut Self::Spec, rust: &Image) {
        spec.has_c_msi = pcidevs::has_c_msi(rust);
    }

    fn note(rust: &Image) -> Option<&'static str> {
        pcidevs::has_c_msi(rust).then_some("Rust has vmsi.c alone, and C has msi.c")
    }

    fn meets(op: &Self::Op, _: &mut Side, world: &Self::World) -> Vec<&'static str> {
        world.met_by(op)
    }

    fn leaves_c_behind(op: &Self::Op) -> bool {
        matches!(op, op::Op::Remove { .. } | op::Op::Spoil { .. })
    }

    fn compare(
        model: Option<&Self::Model>,
        (_, c): (&mut Side, &Self::World),
        (_, rust): (&mut Side, &Self::World),
    ) -> Result<(), String> {
        if model.is_some_and(model::Model::wrote_beside) {
            world::settle_warnings(c, rust);
        }
        model.map_or(Ok(()), |model| model.settle_notes(c, rust))?;
        world::compare_snooped(c, rust)
    }

    fn bench_allocating(
        side: &mut Side,
        api: &Self::Api,
        meter: &mut Meter,
        frames: &Frames,
    ) -> Result<()> {
        bench::allocating_rows(side, api, meter, frames)
    }

    fn end() -> Vec<Self::Op> {
        vec![
            op::Op::Cleanup { domain: 0 },
            op::Op::Cleanup { domain: 1 },
            op::Op::GracePeriod,
        ]
    }
}
