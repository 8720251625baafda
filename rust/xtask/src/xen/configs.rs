//! `cargo xtask configs`: Xen with Rust in configurations other than the default. Each that stock
//! Xen builds in has to build.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{Compiler, Flavour, Options, prepare};
use crate::patch::repository;
use crate::{twin, ui};

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build only the configurations whose names contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Build so many random configurations, too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    random: u32,
    /// The seed of the first random configuration, as printed by an earlier run.
    #[arg(long, value_name = "N", requires = "random")]
    seed: Option<u32>,
    /// Print the names of the configurations.
    #[arg(long)]
    list: bool,
}

/// What differs from Xen's default configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Lines of a `.config`.
    pub(super) lines: String,
    /// All that the lines do not name is random, from this seed.
    pub(super) seed: Option<u32>,
    /// The lines have to be in effect.
    pub(super) checked: bool,
}

impl Config {
    /// Checks that the lines are in effect: Kconfig drops silently what depends on something else.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        match self.lines.lines().find(|line| !is_in_effect(line, &text)) {
            Some(line) if self.checked => {
                anyhow::bail!("`{line}` has no effect: something that it depends on is missing")
            }
            _ => Ok(()),
        }
    }
}

/// Whether a line of a configuration holds in another.
fn is_in_effect(line: &str, config: &str) -> bool {
    let off = line
        .strip_prefix("# ")
        .and_then(|line| line.strip_suffix(" is not set"));
    match off {
        Some(name) => !config
            .lines()
            .any(|other| other.split('=').next() == Some(name)),
        None => config.lines().any(|other| other == line),
    }
}

/// The configurations that have a name: what is left out or added most often comes first.
const NAMED: &[(&str, Compiler, &[&str])] = &[
    (
        "flask",
        Compiler::Gcc,
        &["XSM=y", "XSM_FLASK=y", "XSM_FLASK_DEFAULT=y"],
    ),
    (
        "no-hvm",
        Compiler::Gcc,
        &["HVM=n", "RUST_MSI=y", "RUST_VTD_INTREMAP=y"],
    ),
    ("no-pv", Compiler::Gcc, &["PV=n", "RUST_VMSI=y"]),
    (
        "no-amd-iommu",
        Compiler::Gcc,
        &["EXPERT=y", "AMD_IOMMU=n", "RUST_VTD_INTREMAP=y"],
    ),
    (
        "no-intel-iommu",
        Compiler::Gcc,
        &["EXPERT=y", "INTEL_IOMMU=n", "RUST_AMD_INTREMAP=y"],
    ),
    (
        "no-iommu",
        Compiler::Gcc,
        &["EXPERT=y", "AMD_IOMMU=n", "INTEL_IOMMU=n", "RUST_MSI=y"],
    ),
    (
        "no-hardening",
        Compiler::Gcc,
        &[
            "INDIRECT_THUNK=n",
            "RETURN_THUNK=n",
            "SPECULATIVE_HARDEN_ARRAY=n",
            "SPECULATIVE_HARDEN_BRANCH=n",
            "SPECULATIVE_HARDEN_GUEST_ACCESS=n",
            "SPECULATIVE_HARDEN_LOCK=n",
            "XEN_IBT=n",
            "XEN_SHSTK=n",
        ],
    ),
    ("clang-no-hvm-debug", Compiler::Clang, &["HVM=n", "DEBUG=y"]),
    (
        "lock-profile",
        Compiler::Gcc,
        &["DEBUG=y", "DEBUG_LOCKS=y", "DEBUG_LOCK_PROFILE=y"],
    ),
    (
        "locks-without-debug",
        Compiler::Gcc,
        &["EXPERT=y", "DEBUG=n", "DEBUG_LOCK_PROFILE=y"],
    ),
    ("ubsan", Compiler::Gcc, &["EXPERT=y", "UBSAN=y"]),
    (
        "clang-ubsan-debug",
        Compiler::Clang,
        &["DEBUG=y", "UBSAN=y"],
    ),
    ("no-livepatch", Compiler::Gcc, &["LIVEPATCH=n"]),
    (
        "coverage",
        Compiler::Gcc,
        &["EXPERT=y", "LIVEPATCH=n", "COVERAGE=y"],
    ),
    (
        "clang-coverage",
        Compiler::Clang,
        &["EXPERT=y", "LIVEPATCH=n", "COVERAGE=y"],
    ),
    ("one-cpu", Compiler::Gcc, &["NR_CPUS=1"]),
    ("most-cpus", Compiler::Gcc, &["NR_CPUS=16383"]),
    (
        "pv-shim-exclusive",
        Compiler::Gcc,
        &["XEN_GUEST=y", "PV_SHIM=y", "PV_SHIM_EXCLUSIVE=y"],
    ),
    (
        "big-memory",
        Compiler::Gcc,
        &["DEBUG=y", "BIGMEM=y", "PERF_COUNTERS=y"],
    ),
];

/// One configuration to build.
struct Case {
    name: String,
    options: Options,
}

/// A configuration of the list.
fn named((name, compiler, lines): &(&str, Compiler, &[&str])) -> Case {
    let line = |line: &&str| match line.strip_suffix("=n") {
        Some(name) => format!("# CONFIG_{name} is not set\n"),
        None => format!("CONFIG_{line}\n"),
    };
    Case {
        name: (*name).to_owned(),
        options: Options {
            compiler: *compiler,
            config: Some(Config {
                lines: lines.iter().map(line).collect(),
                seed: None,
                checked: true,
            }),
            ..Options::default()
        },
    }
}

/// A random configuration. What Kconfig does not choose at random follows from the seed.
fn random(seed: u32) -> Case {
    const CPUS: [u32; 6] = [256, 1, 4095, 64, 2, 16383];
    let cpus = CPUS[(seed % 6) as usize];
    let compiler = if (seed / 6).is_multiple_of(3) {
        Compiler::Clang
    } else {
        Compiler::Gcc
    };
    Case {
        name: format!("seed {seed}"),
        options: Options {
            compiler,
            config: Some(Config {
                lines: format!("CONFIG_NR_CPUS={cpus}\n"),
                seed: Some(seed),
                checked: false,
            }),
            ..Options::default()
        },
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let wanted = |name: &str| {
        args.only
            .as_ref()
            .is_none_or(|text| name.contains(text.as_str()))
    };
    let mut cases: Vec<Case> = NAMED
        .iter()
        .filter(|(name, ..)| wanted(name))
        .map(named)
        .collect();
    let first = match args.seed {
        Some(seed) => seed,
        None => (twin::random_seed()? >> 20) as u32,
    };
    cases.extend((0..args.random).map(|number| random(first.wrapping_add(number))));
    ensure!(!cases.is_empty(), "no configuration's name contains that");
    if args.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    let mut table = ui::Table::new(&["configuration", "result", "seconds"]);
    let mut failed = Vec::new();
    for case in &cases {
        println!("configuration: {}", case.name);
        let start = Instant::now();
        let result = match case.build() {
            Ok(result) => result,
            Err(error) => {
                eprintln!("error: {}: {error:#}", case.name);
                failed.push(format!("{}: {error:#}", case.name));
                "FAILED"
            }
        };
        let seconds = start.elapsed().as_secs().to_string();
        table.row([case.name.as_str(), result, &seconds]);
    }
    table.print();
    ensure!(failed.is_empty(), "{}", failed.join("\nerror: "));
    Ok(())
}

impl Case {
    /// Builds it; what fails is built without Rust, too.
    fn build(&self) -> Result<&'static str> {
        let (make, lock) = prepare(&self.options)?;
        let Err(error) = make.run("build", &format!("building Xen ({})", self.name)) else {
            return Ok("ok");
        };
        // Both are overwritten by the next configuration.
        let kept = repository().join("target/configs");
        fs::create_dir_all(&kept)?;
        let config = fs::read_to_string(make.objects.join(".config"))?;
        for (from, to) in [(".config", "config"), ("xtask.log", "log")] {
            let to = kept.join(format!("{}.{to}", self.name.replace(' ', "-")));
            fs::copy(make.objects.join(from), to)?;
        }
        // What was built has to be looked at again in the next run.
        fs::remove_file(make.objects.join("xtask.config"))?;
        drop(lock);
        let stock = Options {
            flavour: Flavour::Stock,
            config: Some(Config {
                lines: config,
                seed: None,
                checked: false,
            }),
            ..self.options.clone()
        };
        let (make, _lock) = prepare(&stock)?;
        let stock = make.run("build", &format!("building stock Xen ({})", self.name));
        match stock {
            Ok(()) => Err(error.context("stock Xen builds in this configuration")),
            Err(_) => Ok("neither does stock"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kconfig_dropped_is_noticed() {
        let config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=16\n";
        for line in [
            "CONFIG_A=y",
            "# CONFIG_B is not set",
            "# CONFIG_C is not set",
            "CONFIG_N=16",
        ] {
            assert!(is_in_effect(line, config), "{line}");
        }
        for line in ["CONFIG_B=y", "# CONFIG_A is not set", "CONFIG_N=1"] {
            assert!(!is_in_effect(line, config), "{line}");
        }
    }

    #[test]
    fn named_configurations_are_lines_of_a_config() {
        for case in NAMED.iter().map(named) {
            let config = case.options.config.unwrap();
            for line in config.lines.lines() {
                assert!(
                    line.starts_with("CONFIG_") != line.ends_with(" is not set"),
                    "{}: {line}",
                    case.name
                );
            }
        }
    }
}
