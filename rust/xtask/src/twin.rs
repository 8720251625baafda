//! `cargo xtask twin`: the C original and the Rust, driven with the same random calls.
//!
//! The work is done by tests/twin, a program of its own because it is built against the bindings of
//! a Xen tree. Here it is built, given the objects of both sides, and shown able to fail.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::gates::FOLDER;
use crate::patch::repository;
use crate::proc::{Cmd, cpus};
use crate::units::Unit;
use crate::xen::{self, Flavour, Options, Parts};
use crate::{arguments, cache, ui, units};

mod met;
mod mutants;

use met::Met;

/// Cases that a planted fault has to be found in.
const SELF_CHECK_CASES: &str = "20000";

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many random cases to run for each file.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The seed of the first case; the next have the numbers after it. Random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The replaced file; all unless given. One in work is compared only if it is asked for.
    #[arg(long, value_parser = arguments::replaced_file())]
    file: Option<String>,
    /// Hold what guests read from MSI-X tables to what they wrote, and count the wrong answers of
    /// each side; with `--self-check`, plant faults around the sides and see that each is found.
    #[arg(long, conflicts_with = "file")]
    oracle: bool,
    /// Build both sides for so many CPUs (CONFIG_NR_CPUS); more than 300 have worlds of 300.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(256..=4095))]
    cpus: Option<u32>,
    /// Build the second side of that file alone, as where Xen has the others in C.
    #[arg(long, requires = "file", conflicts_with_all = ["self_check", "cpus"])]
    alone: bool,
    /// Show how often each step of the generators ran, and what it met.
    #[arg(long, conflicts_with_all = ["oracle", "self_check"])]
    steps: bool,
    /// Write what was met to tests/twin/floors.txt, to which later runs are held.
    #[arg(long, conflicts_with_all = ["oracle", "self_check", "alone", "cpus"])]
    keep_floors: bool,
    /// Plant faults in copies of the C originals and see that each is found.
    #[arg(long)]
    self_check: bool,
    /// Plant only so many for each file, from a random one on.
    #[arg(
        long,
        requires = "self_check",
        value_name = "N",
        value_parser = arguments::at_least_one()
    )]
    faults: Option<usize>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let files = match &args.file {
        Some(wanted) => vec![wanted.as_str()],
        None => units::NAMES.into(),
    };
    let in_work = args.file.as_deref().and_then(units::in_work);
    ensure!(
        in_work.is_none() || args.cpus.is_none(),
        "the worlds of a unit in work have at most 256 CPUs: leave --cpus out"
    );
    ensure!(
        in_work.is_none() || !args.alone,
        "a unit in work is built with all others"
    );
    let mut twin = Twin::build(args.cpus, in_work)?;
    if let Some(unit) = args.file.as_deref().filter(|_| args.alone) {
        twin.take_alone(unit)?;
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    if args.oracle {
        return oracle(&twin, &args, seed);
    }
    if args.self_check {
        let count = args.faults.unwrap_or(usize::MAX);
        return files
            .iter()
            .try_for_each(|file| self_check(&twin, file, count, seed));
    }
    let step = ui::step(format!(
        "comparing {}, {} cases of each from seed {seed}",
        files.join(", "),
        args.cases
    ));
    let runs: Vec<_> = files
        .iter()
        .flat_map(|file| parts_of(args.cases, seed).map(move |part| (*file, part)))
        .collect();
    let results = on_all_cpus(runs.len(), |run| {
        let (file, (seed, cases)) = runs[run];
        let cases = [format!("--cases={cases}"), format!("--seed={seed}")];
        twin.command(file)?.args(&cases).arg("--met").output()
    });
    step.done();
    let mut met = Met::default();
    for result in results {
        print!("{}", met.take(&result?)?);
    }
    if args.steps {
        met.print();
    }
    if args.keep_floors {
        met.keep(&files, args.cases)
    } else if args.alone || args.cpus.is_some() {
        // The floors are those of the usual build.
        Ok(())
    } else {
        met.check(&files, args.cases)
    }
}

/// The cases in as many parts as there are CPUs to run them: the first seed of each, and how many.
fn parts_of(cases: u64, seed: u64) -> impl Iterator<Item = (u64, u64)> {
    let cpus = cpus() as u64;
    let part = cases.div_ceil(cpus);
    (0..cpus)
        .map(move |number| (number * part, part.min(cases.saturating_sub(number * part))))
        .filter(|(_, count)| *count > 0)
        .map(move |(first, count)| (seed.wrapping_add(first), count))
}

/// Cases that a fault planted around the sides has to be found in by the oracle.
const ORACLE_CASES: u64 = 2000;
/// The faults: writes that Xen does not see, wrong answers of the device model, completions that do
/// not run.
const ORACLE_FAULTS: [&str; 3] = ["unseen", "wrong-answer", "no-completion"];

/// Judges both sides of the MSI-X table's emulation by what the guest should read.
fn oracle(twin: &Twin, args: &Args, seed: u64) -> Result<()> {
    let judge = |cases: u64, fault: &str| {
        let cases = [format!("--cases={cases}"), format!("--seed={seed}")];
        let oracle = format!("--oracle={fault}");
        twin.command("vmsi")?.args(cases).arg(oracle).output()
    };
    if !args.self_check {
        let step = ui::step(format!("judging {} cases from seed {seed}", args.cases));
        let result = judge(args.cases, "none");
        step.done();
        print!("{}", result?);
        return Ok(());
    }
    for fault in ORACLE_FAULTS {
        let Err(error) = judge(ORACLE_CASES, fault) else {
            bail!("the oracle does not find the fault `{fault}`");
        };
        let text = format!("{error:#}");
        let found = place(&text)
            .with_context(|| format!("the run with the fault `{fault}` broke: {text}"))?;
        println!("{fault}: found at seed {found}");
    }
    Ok(())
}

/// A seed that differs from run to run; every report names it.
pub(crate) fn random_seed() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.as_nanos() as u64 >> 20 << 20)
}

/// The twin's program and the builds that it takes objects from.
pub(crate) struct Twin {
    stock: xen::Build,
    rust: xen::Build,
    program: PathBuf,
    /// The unit in work that the Rust of this build has, too.
    in_work: Option<&'static Unit>,
    /// The objects of the second side, where that is of one file alone.
    alone: Option<Vec<PathBuf>>,
}

impl Twin {
    /// Builds what changed since the last time, for the most CPUs of Xen's default or so many; with
    /// a unit in work.
    ///
    /// # Errors
    ///
    /// When Xen or the program cannot be built.
    pub(crate) fn build(cpus: Option<u32>, in_work: Option<&'static Unit>) -> Result<Self> {
        let options = |flavour| Options {
            flavour,
            cpus,
            ..Options::default()
        };
        let stock = xen::build(&options(Flavour::Stock))?;
        let plain = xen::build(&options(Flavour::Rust))?;
        // The program is the same in both cases: layouts do not follow from the switch.
        let rust = in_work.map_or(Ok(plain.clone()), |unit| {
            xen::build(&Options {
                parts: Parts::with(unit.switch),
                ..options(Flavour::Rust)
            })
        })?;
        let folder = cpus.map_or("target/twin".to_owned(), |cpus| {
            format!("target/twin-{cpus}-cpus")
        });
        let target = repository().join(folder);
        let step = ui::step("building the twin's program");
        let mut cargo = Cmd::new("cargo")
            .args([
                "build",
                "--quiet",
                "--locked",
                "--release",
                "--package",
                "xen-irq-twin",
            ])
            .dir(repository())
            .env("CARGO_TARGET_DIR", &target)
            .env("XEN_SYS_LAYOUT", target.join("layout.h"))
            .env_remove("RUSTFLAGS");
        for (key, value) in bindings_environment(&plain)? {
            cargo = cargo.env(key, value);
        }
        std::fs::create_dir_all(&target)
            .with_context(|| format!("cannot create {}", target.display()))?;
        cargo.run()?;
        step.done();
        Ok(Self {
            stock,
            rust,
            program: target.join("release/xen-irq-twin"),
            in_work,
            alone: None,
        })
    }

    /// Has the second side be the Rust of one file alone, as where the other switches are off.
    fn take_alone(&mut self, file: &str) -> Result<()> {
        let place = repository().join("target/twin/alone");
        std::fs::create_dir_all(&place)
            .with_context(|| format!("cannot create {}", place.display()))?;
        let _lock = cache::Lock::take(&place.join(".lock"))?;
        let object = place.join(format!("{file}.o"));
        let step = ui::step(format!("building the Rust of {file} alone"));
        xen::object(
            &repository(),
            (&self.rust, file),
            &place.join("cargo"),
            &object,
            &[],
        )?;
        step.done();
        let shim = ["shim.o".to_owned(), format!("{file}.o")];
        let shim = shim.map(|name| self.rust.objects.join(FOLDER).join(name));
        self.alone = Some([vec![object], shim.into()].concat());
        Ok(())
    }

    /// The objects of the C original of a file.
    pub(crate) fn c_object(&self, file: &str) -> Result<PathBuf> {
        let unit =
            units::named(file).with_context(|| format!("no replaced file is called {file}"))?;
        Ok(self.stock.objects.join(unit.object))
    }

    /// The build with Rust.
    pub(crate) fn rust(&self) -> &xen::Build {
        &self.rust
    }

    /// The object of Xen's allocator.
    pub(crate) fn allocator(&self) -> PathBuf {
        self.stock.objects.join("common/xmalloc_tlsf.o")
    }

    /// A C original, changed or not, with what goes with it.
    fn with_companions(&self, file: &str, object: PathBuf) -> Vec<PathBuf> {
        let companion = units::named(file).and_then(|unit| unit.companion);
        let companion = companion.map(|companion| self.stock.objects.join(companion));
        std::iter::once(object).chain(companion).collect()
    }

    /// The Rust object with its shim, as Xen's make joins them; with the rest of a C file of which
    /// a part is in Rust.
    fn rust_objects(&self) -> Vec<PathBuf> {
        if let Some(objects) = &self.alone {
            return objects.clone();
        }
        let rest = self.in_work.map(|unit| unit.object);
        rest.into_iter()
            .chain(["arch/x86/xen-irq/built_in.o"])
            .map(|object| self.rust.objects.join(object))
            .collect()
    }

    /// The program's arguments for a file, with the real Rust as the second side.
    pub(crate) fn arguments(&self, file: &str) -> Result<Vec<PathBuf>> {
        self.arguments_with(file, &self.rust_objects())
    }

    /// As [`Self::arguments`], with other objects as the second side.
    pub(crate) fn arguments_with(&self, file: &str, second: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut arguments = vec![self.program.clone(), "--file".into(), file.into()];
        for object in ["common/vsprintf.o", "lib/ctype.o"] {
            arguments.extend(["--formatter".into(), self.stock.objects.join(object)]);
        }
        for object in self.with_companions(file, self.c_object(file)?) {
            arguments.extend(["--c".into(), object]);
        }
        for object in second {
            arguments.extend(["--rust".into(), object.clone()]);
        }
        Ok(arguments)
    }

    fn command(&self, file: &str) -> Result<Cmd> {
        self.command_with(file, &self.rust_objects())
    }

    /// The program for a file, with other objects as the second side.
    pub(crate) fn command_with(&self, file: &str, second: &[PathBuf]) -> Result<Cmd> {
        let arguments = self.arguments_with(file, second)?;
        Ok(Cmd::new(&arguments[0]).args(&arguments[1..]))
    }
}

/// What the bindings are made from: the environment that Kbuild gave cargo, without what is for the
/// hypervisor alone.
fn bindings_environment(build: &xen::Build) -> Result<Vec<(String, String)>> {
    let path = build.objects.join("arch/x86/xen-irq/cargo.env");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .filter(|(key, _)| key.starts_with("XEN_SYS_") && *key != "XEN_SYS_LAYOUT")
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// At most `count` of them, one after the other from the one that `seed` says.
pub(crate) fn some_of<T: Copy>(all: &[T], count: usize, seed: u64) -> Vec<T> {
    // The lowest bits of a random seed are clear.
    let first = (seed >> 20) as usize % all.len().max(1);
    let turned = all.iter().cycle().skip(first);
    turned.take(count.min(all.len())).copied().collect()
}

/// Plants `count` faults, each in a copy of the C original, and sees that the changed C and the
/// original part.
fn self_check(twin: &Twin, file: &str, count: usize, seed: u64) -> Result<()> {
    let (source, faults) = mutants::of(file)?;
    let object = twin.c_object(file)?;
    let original = twin.stock.tree.join("xen").join(source);
    let text = std::fs::read_to_string(&original)
        .with_context(|| format!("cannot read {}", original.display()))?;
    let scratch = cache::Scratch::create(
        repository().join(format!("target/twin/faults-{}", std::process::id())),
    )?;

    for (name, from, _) in faults {
        ensure!(
            text.matches(from).count() == 1,
            "{source} does not hold the text of the fault `{name}` exactly once"
        );
    }
    let chosen = some_of(faults, count, seed);
    let step = ui::step(format!("planting {} faults in {source}", chosen.len()));
    let build = |name: &str, text: &str| {
        let changed = scratch.path().join(name).with_extension("c");
        let changed_object = changed.with_extension("o");
        std::fs::write(&changed, text)?;
        compile(twin, &object, &original, &changed, &changed_object)?;
        Ok::<_, anyhow::Error>(twin.with_companions(file, changed_object))
    };
    let run = |objects: &[PathBuf], cases: &str, seed: Option<&str>| {
        let seed = seed.map(|seed| ["--seed", seed]);
        twin.command_with(file, objects)?
            .args(["--same", "--cases", cases])
            .args(seed.into_iter().flatten())
            .output()
            .map(drop)
    };
    let unchanged = build("original", &text)?;
    // The case that finds a fault, if one does. Alone it has to find the fault again, and not
    // without the fault, or finding it would mean nothing.
    let plant = |number: usize| {
        let (name, from, to) = chosen[number];
        let objects = build(&format!("fault-{number}"), &text.replacen(from, to, 1))?;
        let Err(error) = run(&objects, SELF_CHECK_CASES, None) else {
            return Ok(None);
        };
        let seed = place(&format!("{error:#}"))
            .with_context(|| format!("the run with the fault `{name}` broke: {error:#}"))?;
        let again = run(&objects, "1", Some(&seed));
        ensure!(
            again.is_err_and(|error| place(&format!("{error:#}")).as_ref() == Some(&seed)),
            "the case with seed {seed} does not find the fault `{name}` alone"
        );
        run(&unchanged, "1", Some(&seed))
            .with_context(|| format!("the C original does not agree with itself, seed {seed}"))?;
        Ok(Some(seed))
    };
    let mut table = ui::Table::new(&["planted fault", "found at seed"]);
    let mut missed = Vec::new();
    let results: Vec<Result<_>> = on_all_cpus(chosen.len(), plant);
    for ((name, ..), seed) in chosen.iter().zip(results) {
        match seed? {
            Some(seed) => table.row([*name, seed.as_str()]),
            None => missed.push(*name),
        }
    }
    step.done();
    table.print();
    ensure!(missed.is_empty(), "not found: {}", missed.join("; "));
    println!("{} planted faults, all found", chosen.len());
    Ok(())
}

/// Does `count` things, as many at a time as there are CPUs; the results in order.
pub(crate) fn on_all_cpus<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..cpus() {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let result = job(number);
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((number, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The seed in a report that the sides parted; other errors are none. The end of a report
/// says how to have it again: of a long one, there is no more.
pub(crate) fn place(report: &str) -> Option<String> {
    let (_, replay) = report.split_once("replay with: cargo xtask twin ")?;
    let (_, seed) = replay.split_once("--seed ")?;
    let digits: String = seed.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

/// Compiles a changed copy of a C original with the very command that Xen's make used.
fn compile(
    twin: &Twin,
    object: &Path,
    original: &Path,
    source: &Path,
    output: &Path,
) -> Result<()> {
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    let record = object.with_file_name(format!(".{name}.cmd"));
    let text = std::fs::read_to_string(&record)
        .with_context(|| format!("cannot read {}", record.display()))?;
    let command = text
        .lines()
        .next()
        .and_then(|line| line.split_once(":= "))
        .map(|(_, command)| command.split(" -c ").next().unwrap_or(command))
        .with_context(|| format!("{} holds no command", record.display()))?;
    // A fault may leave something unused, and the dependencies of a copy do not matter.
    let kept = command.split(' ').filter(|word| {
        !matches!(*word, "-Werror" | "-MMD" | "-MP" | "-MF") && !word.ends_with(".o.d")
    });
    let command: Vec<_> = kept.collect();
    // Headers beside the original are there still.
    let script = format!("{} -iquote \"$3\" -c \"$1\" -o \"$2\"", command.join(" "));
    let beside = original.parent().unwrap_or(original);
    Cmd::new("sh")
        .args(["-c", &script, "sh"])
        .args([source, output, beside])
        .dir(&twin.stock.objects)
        .run()
}

#[cfg(test)]
mod tests {
    use super::{on_all_cpus, parts_of, place, some_of};

    #[test]
    fn some_are_consecutive_and_none_twice() {
        let all = [1, 2, 3];
        assert_eq!(some_of(&all, 2, 0), [1, 2]);
        assert_eq!(some_of(&all, 2, 2 << 20), [3, 1]);
        assert_eq!(some_of(&all, usize::MAX, 4 << 20), [2, 3, 1]);
        assert!(some_of(&[0; 0], 2, 1 << 20).is_empty());
    }

    #[test]
    fn the_parts_of_the_cases_are_all_of_them() {
        for cases in [1, 2, 3, 1000, 40_001] {
            let all: Vec<_> = parts_of(cases, 17)
                .flat_map(|(first, count)| first..first + count)
                .collect();
            assert_eq!(all, Vec::from_iter(17..17 + cases));
        }
    }

    #[test]
    fn results_come_in_order() {
        let squares: Vec<_> = (0..100).map(|number| number * number).collect();
        assert_eq!(on_all_cpus(100, |number| number * number), squares);
        assert!(on_all_cpus(0, |number| number).is_empty());
    }

    #[test]
    fn only_a_report_of_the_sides_names_a_seed() {
        let report = "  C did: this\nreplay with: cargo xtask twin --file vmsi --seed 17 --cases 1";
        assert_eq!(place(report).as_deref(), Some("17"));
        assert_eq!(place("error: `twin --seed 17` ended with status 1"), None);
        assert_eq!(place("replay with: cargo xtask twin --seed  --cases"), None);
    }
}
