//! Everything that boots have in common: emulator, dom0, Xen's images, and where the results go.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::Flavour;
use super::acpi::{self, TableFault};
use super::emulator::{self, Emulator, Machine};
use super::image::{self, Dom0, Overlay};
use super::protocol::Event;
use super::reads;
use super::runner::{self, Record};
use crate::units::UNITS;
use crate::{cache, patch, ui, xen};

/// What Xen has on its command line in every scenario.
///
/// Deep idle states fault in the emulator. And it carries out XSAVE and XRSTOR where CR0.TS is set,
/// in place of #NM, by which Xen switches the FPU on demand: registers of one domain or process
/// then end up in another, and programs of dom0 die of memory that they believe to have cleared. So
/// Xen switches the FPU with the rest.
const XEN_LINE: &str =
    "console=com1 loglvl=all guest_loglvl=all iommu=verbose,debug cpuidle=0 spec-ctrl=eager-fpu";

/// And what a debug build has besides. It compares sizes that the emulator tells of XSAVE with what
/// it does, and they differ.
const DEBUG_LINE: &str = " xsave=no";

/// dom0's command line. Its messages below warnings only cost time: each byte is a hypercall.
const DOM0_LINE: &str = "console=hvc0 loglevel=4";

/// How often a machine is booted at most where the emulator loses an interrupt.
const TRIES: u32 = 3;

/// The emulator with what it boots.
pub(super) struct Rig {
    emulator: Emulator,
    dom0: Dom0,
    results: PathBuf,
    scripts: PathBuf,
    tree: Option<PathBuf>,
    debug: bool,
    parts: xen::Parts,
    /// Stands for stock Xen.
    stock: String,
    /// Xen's images built so far, stock and Rust.
    images: [Option<PathBuf>; 2],
}

/// What is booted besides Xen.
pub(super) struct Payload {
    machine: Machine,
    /// Xen's command line.
    line: String,
    kernel: PathBuf,
    /// What the kernel has on its command line besides what all have.
    words: &'static str,
    ramdisk: Option<Ramdisk>,
    fault: Option<TableFault>,
    /// Stands for all of it.
    pub(super) inputs: String,
}

impl Payload {
    /// The same with a wrong table of the firmware.
    pub(super) fn with(self, fault: TableFault) -> Self {
        // Another edit, or other lines that are compared: another input.
        let rules = [include_str!("acpi.rs"), include_str!("firmware.rs")].concat();
        let parts = format!("{} {fault:?} {rules}", self.inputs);
        Self {
            inputs: cache::short_hash(parts.as_bytes()),
            fault: Some(fault),
            ..self
        }
    }
}

/// What is in memory beside the kernel.
pub(super) enum Ramdisk {
    /// dom0's image, with this behind it.
    Dom0(Vec<u8>),
    /// Another kernel, for ours to hand the machine over to.
    Heir(Vec<u8>),
    /// Xen and the kernel, for the same.
    Again,
}

impl Ramdisk {
    /// What is in it that no name stands for.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Dom0(bytes) | Self::Heir(bytes) => bytes,
            Self::Again => &[],
        }
    }
}

impl Rig {
    /// Fetches or builds what is needed besides Xen.
    pub(super) fn prepare(tree: Option<PathBuf>, debug: bool, parts: xen::Parts) -> Result<Self> {
        let root = patch::repository();
        let results = root.join("target/boot");
        fs::create_dir_all(&results)
            .with_context(|| format!("cannot create {}", results.display()))?;
        let stock = match &tree {
            None => xen::stock_name(debug)?,
            Some(tree) => format!("{tree:?} {debug}"),
        };
        Ok(Self {
            emulator: Emulator::get()?,
            dom0: image::dom0()?,
            results,
            scripts: root.join("tests/boot"),
            tree,
            debug,
            parts,
            stock,
            images: [None, None],
        })
    }

    /// The words for a flavour in the names of results.
    pub(super) fn flavour(&self, flavour: Flavour) -> String {
        match flavour {
            Flavour::Stock => flavour.name().to_owned(),
            Flavour::Rust => format!("{}{}", flavour.name(), self.parts.suffix()),
        }
    }

    /// Whether the part of this switch is in Rust in the flavour that has any.
    pub(super) fn is_in_rust(&self, switch: &str) -> bool {
        self.parts.include(switch)
    }

    /// Which parts of Xen are in Rust, for people.
    pub(super) fn in_rust(&self, flavour: Flavour) -> String {
        let parts = UNITS.map(|unit| unit.switch);
        let on = parts
            .iter()
            .filter(|switch| flavour == Flavour::Rust && self.parts.include(switch));
        match on.copied().collect::<Vec<_>>().as_slice() {
            [] => "nothing in Rust".to_owned(),
            on => format!("{} in Rust", on.join(", ")),
        }
    }

    /// Where a result of this name is kept.
    pub(super) fn result(&self, name: &str) -> PathBuf {
        self.results.join(name)
    }

    /// Where the transcript of stock Xen is kept. What the cache has is the same wherever the
    /// repository lies; a tree of the user's may change, and what it said stays here.
    pub(super) fn stock_transcript(&self, scenario: &str, inputs: &str) -> Result<PathBuf> {
        if self.tree.is_some() {
            return Ok(self.result(&format!("{scenario}-stock.transcript")));
        }
        let kept = cache::dir()?.join("transcripts");
        fs::create_dir_all(&kept).with_context(|| format!("cannot create {}", kept.display()))?;
        Ok(kept.join(format!("{scenario}-{inputs}")))
    }

    /// A machine that boots dom0 with a script of tests/boot and these files; `line` is added to
    /// Xen's command line.
    pub(super) fn dom0(
        &self,
        machine: Machine,
        line: &str,
        script: &str,
        files: &[(String, Vec<u8>)],
    ) -> Result<Payload> {
        let mut overlay = Overlay::new(&self.scripts)?;
        overlay.script(&self.scripts.join(script), "scenario.sh")?;
        for (name, data) in files {
            overlay.file(name, 0o644, data)?;
        }
        self.payload(
            machine,
            line,
            (self.dom0.kernel.clone(), ""),
            Some(Ramdisk::Dom0(overlay.finish()?)),
        )
    }

    /// A machine that boots a kernel as dom0, with words on its command line, and a RAM disk or
    /// none.
    pub(super) fn payload(
        &self,
        machine: Machine,
        line: &str,
        (kernel, words): (PathBuf, &'static str),
        ramdisk: Option<Ramdisk>,
    ) -> Result<Payload> {
        let debug = if self.debug { DEBUG_LINE } else { "" };
        let line = format!("{XEN_LINE}{debug} {line}");
        let bytes = ramdisk.as_ref().map_or(&[][..], Ramdisk::bytes);
        // Xen's source, dom0 and the emulator are named by their keys in the cache.
        let parts = format!(
            "{machine:?} {line} {} {} {} {} {}",
            cache::short_hash(&[bytes, words.as_bytes()].concat()),
            cache::sha256(&kernel)?,
            self.dom0.initrd.display(),
            self.emulator.root().display(),
            self.stock,
        );
        Ok(Payload {
            machine,
            line,
            kernel,
            words,
            ramdisk,
            fault: None,
            inputs: cache::short_hash(parts.as_bytes()),
        })
    }

    /// Boots and follows one machine; its serial log is kept under `name`. Where the emulator has
    /// lost an interrupt, that is said, and the machine is booted again.
    pub(super) fn boot(
        &mut self,
        name: &str,
        payload: &Payload,
        flavour: Flavour,
    ) -> Result<(Record, PathBuf)> {
        let mut log = PathBuf::new();
        let record = unless_lost(name, || {
            let (record, path) = self.boot_watched(name, payload, flavour, |_| Ok(()))?;
            log = path;
            Ok(record)
        })?;
        Ok((record, log))
    }

    /// As [`Rig::boot`]; `watch` sees each event as it comes.
    pub(super) fn boot_watched(
        &mut self,
        name: &str,
        payload: &Payload,
        flavour: Flavour,
        watch: impl FnMut(&Event) -> Result<()>,
    ) -> Result<(Record, PathBuf)> {
        let xen = self.xen(flavour)?;
        let mut step = ui::step(name);
        let scratch = cache::Scratch::create(self.result(&format!("{name}.partial")))?;
        let initrd = scratch.path().join("initrd");
        match &payload.ramdisk {
            Some(Ramdisk::Dom0(overlay)) => {
                image::write_initrd(&self.dom0.initrd, overlay, &initrd)?;
            }
            Some(Ramdisk::Heir(heir)) => image::write_pair(heir, &[], &initrd)?,
            Some(Ramdisk::Again) => {
                let kernel = image::read(&payload.kernel)?;
                image::write_pair(&image::read(&xen)?, &kernel, &initrd)?;
            }
            None => {}
        }
        let initrd = payload.ramdisk.is_some().then_some(&*initrd);
        let disk = scratch.path().join("disk");
        fs::File::create(&disk)
            .and_then(|file| file.set_len(64 << 20))
            .with_context(|| format!("cannot make {}", disk.display()))?;
        let log = self.result(&format!("{name}.log"));
        // Not in the results' folder: a socket's path may have 107 bytes.
        let sockets = tempfile::tempdir().context("cannot make a folder for a socket")?;
        let socket = sockets.path().join("debugger");
        let command = self.emulator.command(
            &payload.machine,
            &emulator::Payload {
                xen: &xen,
                xen_line: &payload.line,
                kernel: &payload.kernel,
                kernel_line: &format!("{DOM0_LINE} {}", payload.words),
                initrd,
                debugger: payload.fault.is_some().then_some(&*socket),
            },
            &log,
            &disk,
        );
        let messages = scratch.path().join("messages");
        let prepare = || match payload.fault {
            Some(fault) => acpi::edit(&socket, &xen, fault),
            None => Ok(()),
        };
        let follow = (prepare, watch);
        let machine = (command, payload.machine.cpus);
        let mut record = runner::run(machine, &log, &messages, &mut step, follow)?;
        let said = fs::read_to_string(&messages).unwrap_or_default();
        record.events.extend(reads::between_marks(&said));
        record.events.extend(reads::beside_the_table(&said));
        step.done();
        Ok((record, log))
    }

    /// The path of Xen's image, built when it is first asked for.
    pub(super) fn xen(&mut self, flavour: Flavour) -> Result<PathBuf> {
        let slot = &mut self.images[usize::from(flavour == Flavour::Rust)];
        if let Some(path) = slot {
            return Ok(path.clone());
        }
        let options = xen::Options {
            tree: self.tree.clone(),
            flavour: match flavour {
                Flavour::Stock => xen::Flavour::Stock,
                Flavour::Rust => xen::Flavour::Rust,
            },
            debug: self.debug,
            parts: match flavour {
                Flavour::Stock => xen::Parts::default(),
                Flavour::Rust => self.parts.clone(),
            },
            ..xen::Options::default()
        };
        let image = xen::build(&options)?.image;
        *slot = Some(image.clone());
        Ok(image)
    }
}

/// Boots a machine, and again where the emulator has lost an interrupt, [`TRIES`] times at most.
fn unless_lost(name: &str, mut boot: impl FnMut() -> Result<Record>) -> Result<Record> {
    for _ in 1..TRIES {
        let record = boot()?;
        if !record.lost {
            return Ok(record);
        }
        let why = record.failure.unwrap_or_default();
        ui::line(&format!("{name}: {why}; the machine is booted again"));
    }
    boot()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Boots of a machine that end so; returns how many there were, and how the last one ended.
    fn boots(ends: &[Record]) -> (usize, Option<String>, bool) {
        let mut count = 0;
        let last = unless_lost("a machine", || {
            let Record {
                failure,
                late,
                lost,
                ..
            } = &ends[count];
            count += 1;
            Ok(Record {
                failure: failure.clone(),
                late: *late,
                lost: *lost,
                ..Record::default()
            })
        });
        let last = last.expect("a boot answers");
        (count, last.failure, last.lost)
    }

    fn failure(why: &str, lost: bool) -> Record {
        Record {
            failure: Some(why.to_owned()),
            lost,
            ..Record::default()
        }
    }

    #[test]
    fn a_machine_is_booted_again_where_an_interrupt_was_lost_and_only_there() {
        let lost = || failure("lost", true);
        let ok = Record::default;
        assert_eq!(boots(&[ok()]), (1, None, false));
        assert_eq!(boots(&[lost(), lost(), ok()]), (3, None, false));
        let late = Record {
            late: true,
            ..failure("late", false)
        };
        assert_eq!(boots(&[late]), (1, Some("late".to_owned()), false));
        assert_eq!(
            boots(&[lost(), failure("a check", false)]),
            (2, Some("a check".to_owned()), false)
        );
        let three = [lost(), lost(), lost()];
        assert_eq!(boots(&three), (3, Some("lost".to_owned()), true));
    }

    #[test]
    fn what_cannot_be_booted_ends_it() {
        let mut count = 0;
        let ended = unless_lost("a machine", || {
            count += 1;
            anyhow::bail!("no emulator")
        });
        assert!(ended.is_err() && count == 1);
    }
}
