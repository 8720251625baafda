//! Building our own tiny test kernels, the workspace in tests/guest.

use std::path::PathBuf;

use anyhow::Result;

use crate::proc::Cmd;
use crate::{host, patch, ui};

/// Variables by which a user steers cargo that would make other kernels than
/// tests/guest/.cargo/config.toml says.
const STEERING: &[&str] = &["CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

/// A test kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// A PV dom0 that checks what a PV domain sees of the interrupt subsystem.
    SmokePv,
    /// A PVH dom0 that drives MSI and MSI-X through vPCI.
    SmokePvh,
    /// A PV dom0 that moves interrupts between processors while they come.
    IrqMover,
    /// A PV dom0 that takes each message of a device on a processor of its own.
    MultiMsi,
    /// A PV dom0 that suspends the machine to memory.
    Sleeper,
    /// A PV dom0 that hands the machine over to another kernel by kexec.
    Leaver,
    /// The kernel that gets it, and looks at what was left.
    Heir,
    /// A PV dom0 whose devices are behind bridges.
    Bridges,
    /// A PV dom0 whose device disappears while its interrupts are bound.
    Unplugger,
    /// A PV dom0 whose devices have entries that an earlier kernel left unmasked.
    StaleEntries,
    /// A PV dom0 that uses up the entries of an interrupt remapping table.
    TableFiller,
    /// A PV dom0 that watches what Xen does to a vector control of MSI-X.
    VectorControl,
    /// A PV dom0 that binds, closes and moves the interrupt of a line that is asserted.
    Intx,
    /// An HVM guest that walks the MSI-X tables of the devices passed through to it: a multiboot
    /// image.
    MsixWalker,
    /// An HVM guest that keeps MSI-X entries of its devices in use until it is destroyed: a
    /// multiboot image.
    MsixHolder,
    /// An HVM guest that uses the pending bits in the page of its device's MSI-X table: a multiboot
    /// image.
    PendingBits,
    /// An HVM guest that reads and writes the MSI-X tables of its devices without end, whatever
    /// becomes of them: a multiboot image.
    MsixProdder,
}

impl Kernel {
    /// The name of its package, and of its file in dom0.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SmokePv => "smoke-pv",
            Self::SmokePvh => "smoke-pvh",
            Self::IrqMover => "irq-mover",
            Self::MultiMsi => "multi-msi",
            Self::Sleeper => "sleeper",
            Self::Leaver => "leaver",
            Self::Heir => "heir",
            Self::Bridges => "bridges",
            Self::Unplugger => "unplugger",
            Self::StaleEntries => "stale-entries",
            Self::TableFiller => "table-filler",
            Self::VectorControl => "vector-control",
            Self::Intx => "intx",
            Self::MsixWalker => "msix-walker",
            Self::MsixHolder => "msix-holder",
            Self::PendingBits => "pending-bits",
            Self::MsixProdder => "msix-prodder",
        }
    }
}

/// Builds a kernel, quickly when nothing has changed, and says where it is.
///
/// # Errors
///
/// When the sources of core cannot be had, or the kernel does not compile.
pub(crate) fn build(kernel: Kernel) -> Result<PathBuf> {
    let step = ui::step(format!("building the test kernel {}", kernel.name()));
    cargo("build")?.args(["--package", kernel.name()]).run()?;
    step.done();
    Ok(target()
        .join("x86_64-unknown-none/release")
        .join(kernel.name()))
}

/// The lints and the format of all kernels, as `cargo xtask test` demands them of the whole
/// repository.
///
/// # Errors
///
/// When a kernel has a warning or is not formatted.
pub(crate) fn lint() -> Result<()> {
    let step = ui::step("linting the test kernels");
    Cmd::new("cargo")
        .dir(sources())
        .args(["fmt", "--all", "--check"])
        .run()?;
    cargo("clippy")?.run()?;
    step.done();
    Ok(())
}

/// Fetches the crates that the kernels and core are made of, so that building needs no network.
///
/// # Errors
///
/// When cargo cannot get one.
pub(crate) fn fetch() -> Result<()> {
    Cmd::new("cargo")
        .dir(sources())
        .args(["fetch", "--locked", "-Zbuild-std=core,compiler_builtins"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "__CARGO_TESTS_ONLY_SRC_ROOT",
            host::rust_src()?.join("library"),
        )
        .run()
}

fn sources() -> PathBuf {
    patch::repository().join("tests/guest")
}

fn target() -> PathBuf {
    patch::repository().join("target/guest")
}

/// A cargo command on the kernels, with core rebuilt for a machine without an operating system.
fn cargo(command: &str) -> Result<Cmd> {
    // The kernels are the same wherever the repository lies, as transcripts in the cache want it.
    // Cargo adds these flags to those of the file.
    let flags = format!(
        "target.x86_64-unknown-none.rustflags=['--remap-path-prefix={}=.']",
        patch::repository().display()
    );
    let cmd = Cmd::new("cargo")
        .dir(sources())
        .args(["--config", &flags])
        .arg(command)
        .args(["--locked", "--release", "-Zbuild-std=core"])
        .env("CARGO_TARGET_DIR", target())
        // Rebuilding core is not a stable feature of cargo; the pinned release has it all the same.
        .env("RUSTC_BOOTSTRAP", "1")
        // Where core's sources are; cargo offers no other way to name a place outside the
        // toolchain.
        .env(
            "__CARGO_TESTS_ONLY_SRC_ROOT",
            host::rust_src()?.join("library"),
        );
    Ok(STEERING.iter().fold(cmd, |cmd, name| cmd.env_remove(name)))
}
