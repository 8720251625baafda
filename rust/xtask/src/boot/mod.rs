//! `cargo xtask boot`: real Xen in an emulated machine.
//!
//! - [`scenarios`], [`smoke`]: the table of what is run.
//! - [`image`], [`cpio`]: what runs in the machine; the scripts are in tests/boot.
//! - [`emulator`]: the machine.
//! - [`protocol`], [`runner`]: following what it says.
//! - [`keys`]: what the debug keys have to show.
//! - [`transcript`]: stock and Rust compared.

mod cpio;
mod emulator;
mod image;
mod keys;
mod protocol;
mod runner;
mod scenarios;
mod smoke;
mod transcript;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{cache, guest, patch, setup, ui, xen};
use emulator::Emulator;
use image::{Dom0, Overlay};
use protocol::Event;
use runner::Record;
use scenarios::{Payload, Scenario};
use transcript::Transcript;

/// What Xen has on its command line in every scenario. MWAIT and deep idle states fault in the emulator.
const XEN_LINE: &str = "console=com1 loglvl=all guest_loglvl=all iommu=verbose,debug cpuidle=0";

/// Longer details are cut in the table; the log has them in full.
const DETAIL: usize = 90;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The scenario to run, or `all`.
    #[arg(long, default_value = "all", value_name = "NAME")]
    scenario: String,
    /// Run stock Xen.
    #[arg(long)]
    stock: bool,
    /// Run stock Xen first where no transcript of it is there to compare with.
    #[arg(long, conflicts_with = "stock")]
    compare: bool,
    /// Build Xen with CONFIG_DEBUG, that is with assertions.
    #[arg(long)]
    debug: bool,
    /// A Xen tree to build instead of Debian's source; it is copied, never changed.
    #[arg(long, value_name = "DIR")]
    xen_tree: Option<PathBuf>,
    /// List the scenarios and run none.
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    if args.list {
        let mut table = ui::Table::new(&["scenario", "what is booted"]);
        for scenario in scenarios::ALL {
            table.row([scenario.name, scenario.about]);
        }
        table.print();
        return Ok(());
    }
    let chosen: Vec<&Scenario> = scenarios::ALL
        .iter()
        .filter(|scenario| args.scenario == "all" || args.scenario == scenario.name)
        .collect();
    if chosen.is_empty() {
        bail!(
            "no scenario is called {}: see `cargo xtask boot --list`",
            args.scenario
        );
    }
    setup::ensure()?;
    let flavour = if args.stock {
        Flavour::Stock
    } else {
        Flavour::Rust
    };
    let mut rig = Rig::prepare(args.xen_tree, args.debug)?;
    for scenario in chosen {
        if args.compare && rig.kept(scenario)?.is_none() {
            rig.run(scenario, Flavour::Stock)?;
        }
        rig.run(scenario, flavour)?;
    }
    Ok(())
}

/// Which Xen is booted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Upstream's.
    Stock,
    /// With ours in it.
    Rust,
}

impl Flavour {
    /// The word in file names.
    fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Rust => "rust",
        }
    }
}

/// All that scenarios have in common.
pub(crate) struct Rig {
    emulator: Emulator,
    dom0: Dom0,
    /// Where logs and transcripts go.
    results: PathBuf,
    scripts: PathBuf,
    tree: Option<PathBuf>,
    debug: bool,
    /// The builds made so far, stock and Rust.
    built: [Option<PathBuf>; 2],
}

impl Rig {
    /// Fetches or builds what is needed besides Xen.
    pub(crate) fn prepare(tree: Option<PathBuf>, debug: bool) -> Result<Self> {
        let root = patch::repository();
        let results = root.join("target/boot");
        fs::create_dir_all(&results)
            .with_context(|| format!("cannot create {}", results.display()))?;
        Ok(Self {
            emulator: Emulator::get()?,
            dom0: image::dom0()?,
            results,
            scripts: root.join("tests/boot"),
            tree,
            debug,
            built: [None, None],
        })
    }

    /// Runs a scenario, prints what was checked and keeps log and transcript.
    ///
    /// # Errors
    ///
    /// When anything in it is false.
    fn run(&mut self, scenario: &Scenario, flavour: Flavour) -> Result<()> {
        let payload = self.assemble(scenario)?;
        let name = format!("{}-{}", scenario.name, flavour.name());
        let (record, log) = self.boot(&name, scenario, &payload, flavour)?;
        let transcript = Transcript::new(&payload.inputs, &record.events);
        let mut rows = judge(scenario, &record);
        if flavour == Flavour::Rust {
            rows.extend(self.compare(scenario, &transcript));
        }
        let mut table = ui::Table::new(&["check", "result", "detail"]);
        for row in &rows {
            table.row([
                row.name.as_str(),
                if row.ok { "ok" } else { "FAIL" },
                &cut(&row.detail),
            ]);
        }
        println!(
            "\n{name}: {} in {:.0} s",
            scenario.about,
            record.took.as_secs_f64()
        );
        table.print();
        println!("serial log: {}", log.display());
        if let Some(bad) = rows.iter().find(|row| !row.ok) {
            bail!(
                "{name}: {}: {}; see {}",
                bad.name,
                cut(&bad.detail),
                log.display()
            );
        }
        transcript.write(&self.transcript_path(scenario, flavour))
    }

    /// Boots and follows one machine.
    fn boot(
        &mut self,
        name: &str,
        scenario: &Scenario,
        payload: &Assembled,
        flavour: Flavour,
    ) -> Result<(Record, PathBuf)> {
        let xen = self.xen(flavour)?;
        let mut step = ui::step(name);
        let scratch = cache::Scratch::create(self.results.join(format!("{name}.partial")))?;
        let initrd = scratch.path().join("initrd");
        if let Some(overlay) = &payload.overlay {
            image::write_initrd(&self.dom0.initrd, overlay, &initrd)?;
        }
        let disk = scratch.path().join("disk");
        fs::File::create(&disk)
            .and_then(|file| file.set_len(64 << 20))
            .with_context(|| format!("cannot make {}", disk.display()))?;
        let line = format!("{XEN_LINE} {}", scenario.payload.xen_line());
        let log = self.results.join(format!("{name}.log"));
        let command = self.emulator.command(
            &scenario.machine,
            &emulator::Payload {
                xen: &xen,
                xen_line: &line,
                kernel: &payload.kernel,
                kernel_line: "console=hvc0 loglevel=4",
                initrd: payload.overlay.is_some().then_some(&initrd),
            },
            &log,
            &disk,
        );
        let messages = scratch.path().join("messages");
        let record = runner::run(command, &log, &messages, &mut step)?;
        step.done();
        Ok((record, log))
    }

    /// What the scenario boots besides Xen.
    fn assemble(&self, scenario: &Scenario) -> Result<Assembled> {
        let (kernel, overlay) = match scenario.payload {
            Payload::Dom0 { script, guest } => {
                let mut overlay = Overlay::new(&self.scripts)?;
                overlay.script(&self.scripts.join(script), "scenario.sh")?;
                if let Some(kernel) = guest {
                    let path = guest::build(kernel)?;
                    overlay.file("guest/walker", 0o644, &image::read(&path)?)?;
                }
                (self.dom0.kernel.clone(), Some(overlay.finish()?))
            }
            Payload::Kernel { kernel, .. } => (guest::build(kernel)?, None),
        };
        // dom0 and the emulator are named by their keys in the cache.
        let parts = format!(
            "{:?} {} {} {} {} {}",
            scenario.machine,
            scenario.payload.xen_line(),
            cache::short_hash(overlay.as_deref().unwrap_or_default()),
            cache::sha256(&kernel)?,
            self.dom0.initrd.display(),
            self.emulator.root().display(),
        );
        Ok(Assembled {
            kernel,
            overlay,
            inputs: cache::short_hash(parts.as_bytes()),
        })
    }

    /// The path of Xen's image, built when it is first asked for.
    fn xen(&mut self, flavour: Flavour) -> Result<PathBuf> {
        let slot = &mut self.built[usize::from(flavour == Flavour::Rust)];
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
            ..xen::Options::default()
        };
        let image = xen::build(&options)?.image;
        *slot = Some(image.clone());
        Ok(image)
    }

    fn transcript_path(&self, scenario: &Scenario, flavour: Flavour) -> PathBuf {
        self.results
            .join(format!("{}-{}.transcript", scenario.name, flavour.name()))
    }

    /// Stock's transcript of the scenario as it is now.
    fn kept(&self, scenario: &Scenario) -> Result<Option<Transcript>> {
        let inputs = self.assemble(scenario)?.inputs;
        let kept = Transcript::read(&self.transcript_path(scenario, Flavour::Stock));
        Ok(kept.filter(|kept| kept.is_of(&inputs)))
    }

    /// The row that says whether this run agrees with stock's; none without a run of stock.
    fn compare(&self, scenario: &Scenario, ours: &Transcript) -> Option<Row> {
        let path = self.transcript_path(scenario, Flavour::Stock);
        let stock = Transcript::read(&path).filter(|stock| stock.comparable(ours))?;
        let difference = stock.difference(ours);
        Some(Row {
            name: "same-as-stock".to_owned(),
            ok: difference.is_none(),
            detail: difference.map_or_else(
                || format!("{} lines agree", stock.len()),
                |difference| format!("{difference} ({})", path.display()),
            ),
        })
    }
}

/// What is booted besides Xen.
struct Assembled {
    kernel: PathBuf,
    /// What goes behind dom0's image; our own kernels have none.
    overlay: Option<Vec<u8>>,
    /// Stands for all of it.
    inputs: String,
}

/// A row of the table.
struct Row {
    name: String,
    ok: bool,
    detail: String,
}

/// All that a run has to show: its own checks, none of them missing, the debug keys, and a clean end.
fn judge(scenario: &Scenario, record: &Record) -> Vec<Row> {
    let mut rows: Vec<Row> = record
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Check { name, ok, detail } => Some(Row {
                name: name.clone(),
                ok: *ok,
                detail: detail.clone(),
            }),
            _ => None,
        })
        .collect();
    if rows.iter().all(|row| row.ok) && record.failure.is_none() {
        for name in scenario.checks {
            if !rows.iter().any(|row| row.name == *name) {
                rows.push(Row {
                    name: (*name).to_owned(),
                    ok: false,
                    detail: "was not reported".to_owned(),
                });
            }
        }
        rows.extend(scenario.rules.iter().map(|rule| {
            let (ok, detail) = match rule.judge(&record.events) {
                Ok(detail) => (true, detail),
                Err(detail) => (false, detail),
            };
            Row {
                name: rule.name().to_owned(),
                ok,
                detail,
            }
        }));
    }
    if rows.iter().all(|row| row.ok) {
        rows.push(Row {
            name: "power-off".to_owned(),
            ok: record.failure.is_none(),
            detail: record.failure.clone().unwrap_or_default(),
        });
    }
    rows
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(DETAIL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
