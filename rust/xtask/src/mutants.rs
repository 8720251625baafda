//! `cargo xtask mutants`: small slips in our own Rust, and which judge finds each.
//!
//! A slip is a text of a source and what takes its place (`mutants/slips`). Those that change what
//! the code does stand all in one copy of the sources, as choices by a word that is set in the
//! finished program or object: the tests of the host's crates and the object for Xen are built
//! once. A slip of machine code, of a `const fn`, or of how a cost grows has a build of its own.
//! The judges are asked in the order of their cost, until one finds the slip.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::patch::repository;
use crate::proc::Cmd;
use crate::twin::{Twin, on_all_cpus, random_seed, some_of};
use crate::units::{IN_WORK, Unit};
use crate::{bench, cache, gates, ui, xen};

mod build;
mod copy;
mod judge;
mod slip;
mod slips;

use copy::{Texts, WORD};
use judge::Ending;
use slip::Slip;

/// How much longer than an unchanged program one with a slip may run, before it counts as hung.
const PATIENCE: u32 = 10;

/// A survivor of so many cases of a twin gets as many times more of them.
const AGAIN: u64 = 5;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only slips whose names or files contain this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only part K of N.
    #[arg(long, value_name = "K/N", value_parser = shard)]
    shard: Option<(usize, usize)>,
    /// Only so many of those that share a build, chosen by the commit that is checked out.
    #[arg(long, value_name = "N", conflicts_with = "shard")]
    sample: Option<usize>,
    /// Only those that need a build of their own.
    #[arg(long, conflicts_with = "sample")]
    alone: bool,
    /// Only those that tests/mutants.txt does not name, or as survivors.
    #[arg(long)]
    new: bool,
    /// Leave out slips that were judged before, with the same sources.
    #[arg(long)]
    resume: bool,
    /// Cases of each twin that is asked.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The seed of the twins' first case; random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Write what was found to tests/mutants.txt, beside what is there of other slips.
    #[arg(long)]
    keep: bool,
    /// Only show the slips.
    #[arg(long)]
    list: bool,
}

/// Reads `K/N`.
fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((part, of)) if 1 <= part && part <= of => Ok((part, of)),
        _ => Err("a shard is K/N, with K from 1 to N".into()),
    }
}

/// A slip with the number by which it is chosen.
type Numbered = (u32, Slip);

/// The slips, by name, that could not be judged, and why.
type Erred = BTreeMap<&'static str, String>;

/// The slips of a group that could not be judged: all, where their common build is broken.
fn none_of(slips: &[Numbered], judged: Result<Erred>) -> Erred {
    judged.unwrap_or_else(|error| {
        let why = format!("{error:#}");
        eprintln!("  {} slips not judged: {}", slips.len(), first_line(&why));
        let slips = slips.iter().map(|(_, slip)| (slip.name, why.clone()));
        slips.collect()
    })
}

/// What a table has of a reason, which may be all that a compiler says.
fn first_line(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    line.chars().take(60).collect()
}

/// Parts the slips by whether one of the judges that may be asked about them is broken; these are
/// named with the reason.
fn without_broken(
    slips: &[Numbered],
    broken: &BTreeMap<String, String>,
    crates: &[String],
) -> (Vec<Numbered>, Erred) {
    let mut whole = Vec::new();
    let mut erred = Erred::new();
    for one in slips {
        let slip = &one.1;
        let tests = crates.iter().filter(|_| slip.is_tested_on_host());
        let oracle = slip.twins().contains(&ORACLES).then_some(ORACLE);
        let twins = slip.twins().iter().copied().chain(oracle);
        let mut asked = tests.map(String::as_str).chain(twins);
        match asked.find_map(|judge| broken.get(judge)) {
            Some(why) => {
                erred.insert(slip.name, why.clone());
            }
            None => whole.push(*one),
        }
    }
    (whole, erred)
}

/// What a judge said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// Who found it; none where all were asked in vain.
    judge: Option<String>,
    /// Where.
    place: String,
}

impl Verdict {
    fn found(judge: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            judge: Some(judge.into()),
            place: place.into(),
        }
    }

    const SURVIVES: Self = Self {
        judge: None,
        place: String::new(),
    };

    fn word(&self) -> &str {
        self.judge.as_deref().unwrap_or("survives")
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let all: Vec<Numbered> = (0..).zip(slips::all()).collect();
    let chosen = choose(&all, &args)?;
    if args.list {
        let mut table = ui::Table::new(&["file", "slip", "known as"]);
        for (_, slip) in &chosen {
            table.row([slip.file, slip.name, fate(slip)]);
        }
        table.print();
        println!("{} slips", chosen.len());
        return Ok(());
    }
    let seed = match args.seed {
        Some(seed) => seed,
        None => random_seed()?,
    };
    let place = repository().join("target/mutants");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let _lock = cache::Lock::take(&place.join(".lock"))?;
    let kept = Kept::open(&place.join("results.txt"), &Texts::read()?.hash())?;
    let todo: Vec<_> = chosen
        .iter()
        .filter(|(_, slip)| !args.resume || kept.verdict(slip).is_none())
        .copied()
        .collect();
    let mut erred = Erred::new();
    if !todo.is_empty() {
        let units = std::iter::once(None).chain(IN_WORK.iter().map(Some));
        for in_work in units {
            let name = in_work.map(|unit| unit.name);
            let of_unit = |(_, slip): &&Numbered| slip.in_work().map(|unit| unit.name) == name;
            let todo: Vec<_> = todo.iter().filter(of_unit).copied().collect();
            if todo.is_empty() {
                continue;
            }
            let court = Court {
                twin: Twin::build(None, in_work)?,
                in_work,
                scratch: cache::Scratch::create(place.join(format!("run-{}", std::process::id())))?,
                place: place.clone(),
                cases: args.cases,
                seed,
                kept: &kept,
            };
            let (alone, together): (Vec<_>, _) = todo.into_iter().partition(|(_, slip)| slip.alone);
            // What one group cannot be judged by does not matter to the other.
            erred.extend(none_of(&together, court.together(&all, &together)));
            erred.extend(none_of(&alone, court.alone(&alone)));
        }
    }
    report(&chosen, &kept, &erred, args.keep)
}

/// The slips that the arguments ask for.
fn choose(all: &[Numbered], args: &Args) -> Result<Vec<Numbered>> {
    let mut chosen: Vec<_> = match &args.only {
        Some(text) => all
            .iter()
            .filter(|(_, slip)| slip.name.contains(text) || slip.file.contains(text))
            .copied()
            .collect(),
        None => all.to_vec(),
    };
    chosen.retain(|(_, slip)| slip.alone || !args.alone);
    if args.new {
        let table = known()?;
        chosen.retain(|(_, slip)| matches!(judge_of(&table, slip), None | Some("survives")));
    }
    ensure!(!chosen.is_empty(), "no slip is what the arguments ask for");
    if let Some((part, of)) = args.shard {
        chosen = chosen.into_iter().skip(part - 1).step_by(of).collect();
    }
    if let Some(count) = args.sample {
        // Those that have a build each take too long, and a run over all is what judges new ones.
        let table = known()?;
        chosen.retain(|(_, slip)| !slip.alone && is_found(&table, slip));
        ensure!(
            !chosen.is_empty(),
            "{TABLE} names none of these slips as found"
        );
        // Neighbours are of one file: a stride that has no divisor in common with the number
        // spreads them.
        let stride = (17..).find(|stride| common(*stride, chosen.len()) == 1);
        let stride = stride.unwrap_or(1);
        let spread: Vec<_> = (0..chosen.len())
            .map(|number| chosen[number * stride % chosen.len()])
            .collect();
        chosen = some_of(&spread, count, commit()?);
        chosen.sort_by_key(|(number, _)| *number);
    }
    Ok(chosen)
}

/// The kept table.
fn known() -> Result<String> {
    let path = repository().join(TABLE);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// What the kept table says of a slip: the judge that finds it, or what it is instead.
fn judge_of<'t>(table: &'t str, slip: &Slip) -> Option<&'t str> {
    table.lines().find_map(|line| {
        let mut words = line.split('\t');
        let judge = words.next()?;
        words.eq([slip.file, slip.name]).then_some(judge)
    })
}

/// Whether the kept table says which judge finds a slip.
fn is_found(table: &str, slip: &Slip) -> bool {
    judge_of(table, slip).is_some_and(|judge| !["survives", "equivalent"].contains(&judge))
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// A number that the commit that is checked out has; a random one outside git.
fn commit() -> Result<u64> {
    let head = Cmd::new("git")
        .args(["rev-parse", "HEAD"])
        .dir(repository())
        .output();
    match head {
        Ok(name) => u64::from_str_radix(name.trim().get(..16).unwrap_or_default(), 16)
            .context("git names no commit"),
        Err(_) => random_seed(),
    }
}

/// What a slip is marked as.
fn fate(slip: &Slip) -> &'static str {
    slip.equivalent.map_or("found", |_| "equivalent")
}

/// What the judges need.
struct Court<'a> {
    twin: Twin,
    /// The unit in work whose slips are judged; none for those of the others.
    in_work: Option<&'static Unit>,
    /// Where copies and builds stay.
    place: PathBuf,
    scratch: cache::Scratch,
    cases: u64,
    seed: u64,
    kept: &'a Kept,
}

impl Court<'_> {
    /// Judges slips that stand in one build.
    fn together(&self, all: &[Numbered], slips: &[Numbered]) -> Result<Erred> {
        if slips.is_empty() {
            return Ok(Erred::new());
        }
        let copy = self.place.join("choices");
        let of_run_time = all.iter().filter(|(_, slip)| !slip.alone).copied();
        let mut texts = Texts::read()?;
        texts.choose(&of_run_time.collect::<Vec<_>>())?;
        texts.write(&copy)?;

        let step = ui::step("building tests with all slips, none of them chosen");
        let programs = build::tests(&copy)?;
        step.done();
        let step = ui::step("building the object with all slips, none of them chosen");
        let object = self.place.join("choices.o");
        xen::object(
            &copy,
            (self.twin.rust(), &build::features(self.in_work)),
            &self.place.join("choices-target"),
            &object,
            &[WORD],
        )?;
        step.done();

        let step = ui::step("asking all judges about what has no slip");
        let files = twins_of(slips);
        let ask = |log: &str, number: usize| {
            let Some(number) = number.checked_sub(programs.len()) else {
                let program = &programs[number];
                return (judge::crate_of(program), self.test(program, "", log, LATE));
            };
            match files.get(number) {
                Some(file) => {
                    let ending = self.compare(file, &object, self.cases, log, LATE);
                    ((*file).to_owned(), ending)
                }
                None => (ORACLE.to_owned(), self.consult(&object, log, LATE)),
            }
        };
        let timed = |number: usize| {
            let start = Instant::now();
            let (name, ending) = ask(&format!("none-{number}"), number);
            (name, ending, start.elapsed())
        };
        let consults = usize::from(files.contains(&ORACLES));
        let count = programs.len() + files.len() + consults;
        let mut times = BTreeMap::new();
        let mut broken = BTreeMap::new();
        for (name, ending, time) in on_all_cpus(count, timed) {
            if matches!(ending, Ok(Ending::Passed)) {
                times.insert(name, time);
            } else {
                let why = format!("{name} fails without a slip: {ending:?}");
                eprintln!("  {why}");
                broken.insert(name, why);
            }
        }
        step.done();
        let crates: Vec<_> = programs.iter().map(|one| judge::crate_of(one)).collect();
        let (slips, mut erred) = without_broken(slips, &broken, &crates);

        let step = ui::step(format!("judging {} slips", slips.len()));
        let judge = |number: usize| {
            let slip = &slips[number];
            let verdict = self.judge(slip, &programs, &object, &times);
            self.kept.note(&slip.1, verdict)
        };
        let results = on_all_cpus(slips.len(), judge);
        step.done();
        erred.extend(results.into_iter().flatten());
        Ok(erred)
    }

    /// Asks one judge after the other about a slip that is chosen at run time.
    fn judge(
        &self,
        (number, slip): &Numbered,
        programs: &[PathBuf],
        object: &Path,
        times: &BTreeMap<String, Duration>,
    ) -> Result<Verdict> {
        let scratch = self.scratch.path();
        let patience = |name: &str| {
            let usual = times.get(name).copied().unwrap_or_default();
            usual * PATIENCE + Duration::from_secs(20)
        };
        if slip.is_tested_on_host() {
            for program in judge::in_order(programs, slip.file) {
                if !build::has_choice(&program)? {
                    continue;
                }
                let name = judge::crate_of(&program);
                let changed = scratch.join(format!("{number}-{name}"));
                build::chosen(&program, &changed, *number)?;
                let log = format!("{number}-tests");
                // Those beside the slip find most, and soon.
                let mut ending =
                    self.test(&changed, &judge::beside(slip.file), &log, patience(&name))?;
                if ending == Ending::Passed {
                    ending = self.test(&changed, "", &log, patience(&name))?;
                }
                fs::remove_file(&changed).context("cannot remove a program")?;
                if let Some(place) = said(ending) {
                    return Ok(Verdict::found(format!("tests of {name}"), place));
                }
            }
        }
        let changed = scratch.join(format!("{number}.o"));
        build::chosen(object, &changed, *number)?;
        let mut verdict = Verdict::SURVIVES;
        'rounds: for round in [1, AGAIN] {
            // More cases are for what ought to be found.
            if round > 1 && slip.equivalent.is_some() {
                break;
            }
            for file in slip.twins() {
                let log = format!("{number}-twin");
                let patience = patience(file) * round as u32;
                let ending = self.compare(file, &changed, self.cases * round, &log, patience)?;
                if let Some(place) = said(ending) {
                    verdict = Verdict::found(format!("twin of {file}"), place);
                    break 'rounds;
                }
            }
            if slip.twins().contains(&ORACLES) {
                let log = format!("{number}-twin");
                let ending = self.consult(&changed, &log, patience(ORACLE))?;
                if let Some(place) = said(ending) {
                    verdict = Verdict::found(ORACLE, place);
                    break 'rounds;
                }
            }
        }
        fs::remove_file(&changed).context("cannot remove an object")?;
        Ok(verdict)
    }

    /// Judges slips that have a build each.
    fn alone(&self, slips: &[Numbered]) -> Result<Erred> {
        if slips.is_empty() {
            return Ok(Erred::new());
        }
        let object = self.build_alone(None)?;
        let faults = gates::faults(self.twin.rust(), &object)?;
        ensure!(
            faults.is_empty(),
            "the gates fail without a slip: {}",
            faults.join("; ")
        );
        let (counted, others): (Vec<_>, Vec<_>) = slips.iter().partition(|(_, slip)| slip.scale);
        self.ask_without_slip(&object, &counted, &others)?;
        let judge =
            |(number, slip): &Numbered| self.kept.note(slip, self.judge_alone(*number, slip));
        Ok(slips.iter().filter_map(judge).collect())
    }

    /// Asks the judges of slips that have a build each, but for the gates, about an object that has
    /// none: what they said of a slip would be worth nothing if they failed there.
    fn ask_without_slip(
        &self,
        object: &Path,
        counted: &[Numbered],
        others: &[Numbered],
    ) -> Result<()> {
        let objects = self.with_shim(object)?;
        for file in twins_of(counted) {
            let complaints = bench::complaints_of(&self.twin, file, &objects)?;
            ensure!(
                complaints.is_empty(),
                "the bench of {file} fails without a slip: {}",
                complaints.join("; ")
            );
        }
        let mut endings = Vec::new();
        if others.iter().any(|(_, slip)| slip.is_tested_on_host()) {
            for program in build::tests(&self.place.join("alone"))? {
                let ending = self.test(&program, "", "none-tests", LATE)?;
                endings.push((judge::crate_of(&program), ending));
            }
        }
        for file in twins_of(others) {
            let ending = self.compare(file, object, self.cases, "none-twin", LATE)?;
            endings.push((format!("the twin of {file}"), ending));
        }
        let failed = endings.iter().find(|(_, ending)| *ending != Ending::Passed);
        failed.map_or(Ok(()), |(name, ending)| {
            anyhow::bail!("{name} fails without a slip: {ending:?}")
        })
    }

    /// Asks one judge after the other about a slip that has a build of its own.
    fn judge_alone(&self, number: u32, slip: &Slip) -> Result<Verdict> {
        let object = self.build_alone(Some(slip))?;
        // What the code costs is for the bench alone: another judge would find a word or a name.
        if slip.scale {
            let objects = self.with_shim(&object)?;
            for file in slip.twins() {
                let complaints = bench::complaints_of(&self.twin, file, &objects)?;
                if let Some(complaint) = complaints.into_iter().next() {
                    return Ok(Verdict::found("bench", complaint));
                }
            }
            return Ok(Verdict::SURVIVES);
        }
        if let Some(fault) = gates::faults(self.twin.rust(), &object)?.into_iter().next() {
            return Ok(Verdict::found("gates", fault));
        }
        if slip.is_tested_on_host() {
            let programs = build::tests(&self.place.join("alone"))?;
            for program in judge::in_order(&programs, slip.file) {
                let ending = self.test(&program, "", &format!("{number}-tests"), LATE)?;
                if let Some(place) = said(ending) {
                    let name = judge::crate_of(&program);
                    return Ok(Verdict::found(format!("tests of {name}"), place));
                }
            }
        }
        for file in slip.twins() {
            let log = format!("{number}-twin");
            let ending = self.compare(file, &object, self.cases, &log, LATE)?;
            if let Some(place) = said(ending) {
                return Ok(Verdict::found(format!("twin of {file}"), place));
            }
        }
        Ok(Verdict::SURVIVES)
    }

    /// Builds the object with one slip, or with none.
    fn build_alone(&self, slip: Option<&Slip>) -> Result<PathBuf> {
        let name = slip.map_or("none", |slip| slip.name);
        let step = ui::step(format!("building with the slip `{name}`"));
        let copy = self.place.join("alone");
        let mut texts = Texts::read()?;
        if let Some(slip) = slip {
            texts.slip(slip)?;
        }
        texts.write(&copy)?;
        let object = self.place.join("alone.o");
        let target = self.place.join("alone-target");
        let features = build::features(self.in_work);
        let build = (self.twin.rust(), features.as_str());
        xen::object(&copy, build, &target, &object, &[])?;
        step.done();
        Ok(object)
    }

    /// Runs those of a program's tests whose names contain a text.
    fn test(&self, program: &Path, filter: &str, log: &str, patience: Duration) -> Result<Ending> {
        let command = Cmd::new(program)
            .args(["--quiet", "--test-threads=1", filter])
            // A failed case is no regression to keep.
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
            .env("PROPTEST_RNG_SEED", self.seed.to_string())
            .dir(self.scratch.path());
        judge::run(command, &self.scratch.path().join(log), patience)
    }

    /// Asks the oracle about another Rust object.
    fn consult(&self, object: &Path, log: &str, patience: Duration) -> Result<Ending> {
        let command = self.twin.command_with(ORACLES, &self.with_shim(object)?)?;
        let command = command.args([
            "--oracle=none".to_owned(),
            format!("--cases={}", self.cases),
            format!("--seed={}", self.seed),
        ]);
        judge::run(command, &self.scratch.path().join(log), patience)
    }

    /// Runs a twin with another Rust object.
    fn compare(
        &self,
        file: &str,
        object: &Path,
        cases: u64,
        log: &str,
        patience: Duration,
    ) -> Result<Ending> {
        let command = self.twin.command_with(file, &self.with_shim(object)?)?;
        let command = command.args([
            "--cases".to_owned(),
            cases.to_string(),
            "--seed".to_owned(),
            self.seed.to_string(),
        ]);
        judge::run(command, &self.scratch.path().join(log), patience)
    }

    /// A Rust object with those of the shim.
    fn with_shim(&self, object: &Path) -> Result<Vec<PathBuf>> {
        // Of a file in work a part is in C.
        let rest = self
            .in_work
            .map(|unit| self.twin.rust().objects.join(unit.object));
        let mut objects: Vec<_> = rest.into_iter().chain([object.to_owned()]).collect();
        objects.extend(gates::shim_objects(&self.twin.rust().objects)?);
        Ok(objects)
    }
}

/// What the oracle is called among the judges, and the file that it judges.
const ORACLE: &str = "oracle";
const ORACLES: &str = "vmsi";

/// Time for what is not expected to hang.
const LATE: Duration = Duration::from_secs(1200);

/// What a judge said, if it found something.
fn said(ending: Ending) -> Option<String> {
    match ending {
        Ending::Passed => None,
        Ending::Failed(place) => Some(place),
        Ending::Hung => Some("it hangs".into()),
    }
}

/// The twins that some of the slips ask, each once.
fn twins_of(slips: &[Numbered]) -> Vec<&'static str> {
    let mut twins: Vec<_> = slips
        .iter()
        .flat_map(|(_, slip)| slip.twins())
        .copied()
        .collect();
    twins.sort_unstable();
    twins.dedup();
    twins
}

/// What was found, in a file that another run goes on with.
struct Kept {
    path: PathBuf,
    /// By the hash of the slip.
    verdicts: Mutex<BTreeMap<String, Verdict>>,
}

impl Kept {
    /// Reads the file. What was found with other sources is worth nothing.
    fn open(path: &Path, sources: &str) -> Result<Self> {
        let head = format!("# of the sources {sources}");
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut lines = text.lines();
        let mut verdicts = BTreeMap::new();
        if lines.next() == Some(&head) {
            for line in lines {
                // The last line may be half of one, of a run that was ended.
                if let [judge, slip, _, place] = line.split('\t').collect::<Vec<_>>()[..] {
                    let judge = (judge != "survives").then(|| judge.to_owned());
                    let place = place.to_owned();
                    verdicts.insert(slip.to_owned(), Verdict { judge, place });
                }
            }
        } else {
            fs::write(path, head + "\n")
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(Self {
            path: path.to_owned(),
            verdicts: Mutex::new(verdicts),
        })
    }

    /// What was found of a slip.
    fn verdict(&self, slip: &Slip) -> Option<Verdict> {
        let verdicts = self.verdicts.lock();
        let verdicts = verdicts.unwrap_or_else(PoisonError::into_inner);
        verdicts.get(&slip.hash()).cloned()
    }

    /// Adds what was found; returns the slip and why, where it could not be judged.
    fn note(&self, slip: &Slip, verdict: Result<Verdict>) -> Option<(&'static str, String)> {
        let added = verdict.and_then(|verdict| self.add(slip, &verdict));
        let error = added.err()?;
        eprintln!("  {}: not judged", slip.name);
        Some((slip.name, format!("{error:#}")))
    }

    /// Adds what was found.
    fn add(&self, slip: &Slip, verdict: &Verdict) -> Result<()> {
        let place = verdict.place.replace(['\t', '\n'], " ");
        let (hash, name) = (slip.hash(), slip.name);
        let line = format!("{}\t{hash}\t{name}\t{place}\n", verdict.word());
        let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("  {name}: {}", verdict.word());
        let file = fs::File::options().append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        verdicts.insert(hash, verdict.clone());
        Ok(())
    }
}

/// The table of all that was ever found, in the repository.
const TABLE: &str = "tests/mutants.txt";

/// Prints what was found, and fails where a slip survives that should not, or was not judged.
fn report(chosen: &[Numbered], kept: &Kept, erred: &Erred, keep: bool) -> Result<()> {
    let mut table = ui::Table::new(&["slip", "file", "found by", "where"]);
    let mut judges: BTreeMap<String, usize> = BTreeMap::new();
    let mut complaints = Vec::new();
    let mut results = Vec::new();
    for (_, slip) in chosen {
        // What an earlier run found does not count where this one erred.
        let error = erred.get(slip.name);
        let verdict = kept.verdict(slip).filter(|_| error.is_none());
        let Some(verdict) = verdict else {
            let why = error.map_or("no judge was asked", String::as_str);
            complaints.push(format!(
                "`{}` ({}) was not judged: {why}",
                slip.name, slip.file
            ));
            table.row([slip.name, slip.file, "not judged", &first_line(why)]);
            continue;
        };
        let mut place: String = verdict.place.chars().take(60).collect();
        let mut judge = verdict.word();
        match (&verdict.judge, slip.equivalent) {
            (None, None) => complaints.push(format!("`{}` ({}) survives", slip.name, slip.file)),
            (Some(_), Some(_)) => {
                complaints.push(format!("`{}` is not equivalent: {judge}", slip.name));
            }
            (None, Some(why)) => {
                place = format!("equivalent: {why}");
                judge = "equivalent";
            }
            (Some(_), None) => {}
        }
        *judges.entry(judge.to_owned()).or_default() += 1;
        table.row([slip.name, slip.file, judge, &place]);
        results.push((slip.name, format!("{judge}\t{}\t{}", slip.file, slip.name)));
    }
    table.print();
    let counts: Vec<_> = judges
        .iter()
        .map(|(judge, count)| format!("{judge}: {count}"))
        .collect();
    println!("{} slips; {}", chosen.len(), counts.join(", "));
    if keep {
        keep_results(&results)?;
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Writes results to the table in the repository; of slips that were not judged the lines stay.
fn keep_results(results: &[(&str, String)]) -> Result<()> {
    let path = repository().join(TABLE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let text = merged(&before, &slips::all(), results);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The lines of the table in the order of the slips: the new ones, else those that it had of a slip
/// in the same file.
fn merged(before: &str, all: &[Slip], results: &[(&str, String)]) -> String {
    let mut text = String::from(
        "# What finds each slip of `cargo xtask mutants`; written with --keep.\n# judge, file, slip\n",
    );
    for slip in all {
        let new = results.iter().find(|(name, _)| *name == slip.name);
        let old = before
            .lines()
            .find(|line| line.split('\t').skip(1).eq([slip.file, slip.name]));
        if let Some(line) = new.map(|(_, line)| line.as_str()).or(old) {
            text += line;
            text += "\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::slip::slip;
    use super::*;

    #[test]
    fn a_sample_is_of_slips_that_the_kept_table_finds() {
        let slip = slip("a", "f", "", "x", "y");
        for (line, found) in [
            ("twin of msi\tf\ta", true),
            ("survives\tf\ta", false),
            ("equivalent\tf\ta", false),
            ("twin of msi\tg\ta", false),
            ("twin of msi\tf\tb", false),
            ("# f a", false),
        ] {
            assert_eq!(is_found(line, &slip), found, "{line}");
        }
    }

    #[test]
    fn the_kept_table_is_of_the_slips() {
        let table = known().unwrap();
        let rows: Vec<_> = table
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split('\t').collect::<Vec<_>>())
            .collect();
        let slips = slips::all();
        assert_eq!(rows.len(), slips.len());
        for slip in &slips {
            let judge = judge_of(&table, slip).unwrap_or_else(|| panic!("no row: {}", slip.name));
            assert_ne!(judge, "survives", "{}", slip.name);
            assert_eq!(
                judge == "equivalent",
                slip.equivalent.is_some(),
                "{}",
                slip.name
            );
            assert_eq!(judge == "bench", slip.scale, "{}", slip.name);
        }
    }

    #[test]
    fn a_shard_is_a_part_of_all() {
        assert_eq!(shard("1/1"), Ok((1, 1)));
        assert_eq!(shard("3/8"), Ok((3, 8)));
        for wrong in ["0/2", "3/2", "1", "a/b", "1/0"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
        let all: Vec<Numbered> = (0..).zip(slips::all()).collect();
        let of = |shard| {
            let args = Args {
                only: None,
                shard: Some(shard),
                sample: None,
                alone: false,
                new: false,
                resume: false,
                cases: 1,
                seed: None,
                keep: false,
                list: false,
            };
            choose(&all, &args).unwrap()
        };
        let mut numbers: Vec<_> = (1..=3)
            .flat_map(|part| of((part, 3)))
            .map(|(number, _)| number)
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..all.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_found_is_there_for_the_next_run_with_the_same_sources() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.txt");
        let named = |name| slip(name, name, "", "1", "2");
        let (a, b) = (named("a"), named("b"));
        let kept = Kept::open(&path, "x").unwrap();
        let found = Verdict::found("twin of msi", "seed\t7");
        kept.add(&a, &found).unwrap();
        kept.add(&b, &Verdict::SURVIVES).unwrap();
        let again = Kept::open(&path, "x").unwrap();
        assert_eq!(
            again.verdict(&a),
            Some(Verdict::found("twin of msi", "seed 7"))
        );
        assert_eq!(again.verdict(&b), Some(Verdict::SURVIVES));
        assert_eq!(again.verdict(&named("c")), None);
        assert_eq!(Kept::open(&path, "y").unwrap().verdict(&a), None);
    }

    #[test]
    fn the_kept_table_says_what_finds_a_slip() {
        let table = "# judge\ngates\tf\ta\nsurvives\tf\tb\nequivalent\tf\tc\n";
        let of = |file, name| {
            let slip = slip(name, file, "", "1", "2");
            (judge_of(table, &slip), is_found(table, &slip))
        };
        assert_eq!(of("f", "a"), (Some("gates"), true));
        assert_eq!(of("f", "b"), (Some("survives"), false));
        assert_eq!(of("f", "c"), (Some("equivalent"), false));
        assert_eq!(of("g", "a"), (None, false));
        assert_eq!(of("f", "d"), (None, false));
    }

    #[test]
    fn a_survivor_fails_unless_it_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(&folder.path().join("results.txt"), "x").unwrap();
        let plain = slip("a", "f", "", "1", "2");
        let judged = |slip: Slip, verdict: Verdict| {
            kept.add(&slip, &verdict).unwrap();
            report(&[(0, slip)], &kept, &Erred::new(), false)
        };
        let found = || Verdict::found("gates", "here");
        assert!(judged(plain, found()).is_ok());
        assert!(judged(plain, Verdict::SURVIVES).is_err());
        assert!(judged(plain.equivalent("why"), Verdict::SURVIVES).is_ok());
        assert!(judged(plain.equivalent("why"), found()).is_err());
    }

    #[test]
    fn what_cannot_be_judged_is_named_and_costs_no_other_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(&folder.path().join("results.txt"), "x").unwrap();
        let [first, erring, last] = ["a", "b", "c"].map(|name| slip(name, "f", "", name, "2"));
        let found = || Ok(Verdict::found("gates", "here"));
        // Found by an earlier run of the same sources.
        kept.note(&erring, found());
        let notes = [
            kept.note(&first, found()),
            kept.note(&erring, Err(anyhow::anyhow!("no space left"))),
            kept.note(&last, found()),
        ];
        let erred: Erred = notes.into_iter().flatten().collect();
        assert_eq!(erred.keys().copied().collect::<Vec<_>>(), ["b"]);
        assert!(kept.verdict(&first).is_some() && kept.verdict(&last).is_some());

        let judged = |slips: &[Slip], erred: &Erred| {
            let slips: Vec<_> = (0..).zip(slips.iter().copied()).collect();
            report(&slips, &kept, erred, false)
        };
        assert!(judged(&[first, last], &erred).is_ok());
        let complaint = format!("{:#}", judged(&[first, erring, last], &erred).unwrap_err());
        assert_eq!(complaint, "`b` (f) was not judged: no space left");
        let new = slip("d", "f", "", "d", "2");
        assert!(judged(&[new], &Erred::new()).is_err());
    }

    #[test]
    fn a_broken_build_costs_its_own_group_the_verdict() {
        let group = [(0, slip("a", "core/src/f.rs", "", "1", "2"))];
        let judged: Erred = [("b", "no space left".to_owned())].into();
        assert_eq!(none_of(&group, Ok(judged.clone())), judged);
        let broken = none_of(&group, Err(anyhow::anyhow!("cargo fails")));
        assert_eq!(broken, [("a", "cargo fails".to_owned())].into());
        assert_eq!(first_line("cargo fails:\n  | let a = 1\n"), "cargo fails:");
    }

    #[test]
    fn a_broken_judge_costs_only_those_that_ask_it_the_verdict() {
        let all: Vec<_> = (0..)
            .zip(["core/src/msi/f.rs", "msi/src/f.rs", "vmsi/src/f.rs"])
            .map(|(number, file)| (number, slip(file, file, "", "1", "2")))
            .collect();
        let crates = ["irq-core".to_owned()];
        let left = |judge: &str| {
            let broken = [(judge.to_owned(), "why".to_owned())].into();
            let (whole, erred) = without_broken(&all, &broken, &crates);
            assert_eq!(whole.len() + erred.len(), all.len());
            assert!(erred.values().all(|why| why == "why"));
            let files = whole.iter().map(|(_, slip)| slip.file);
            files.collect::<Vec<_>>()
        };
        assert_eq!(left("irq-core"), ["msi/src/f.rs", "vmsi/src/f.rs"]);
        assert_eq!(left("msi"), ["vmsi/src/f.rs"]);
        assert_eq!(left(ORACLE), ["core/src/msi/f.rs", "msi/src/f.rs"]);
        assert_eq!(left("amd").len(), 3);
    }

    #[test]
    fn new_results_take_the_place_of_old_ones() {
        let all = ["a", "b", "c"].map(|name| slip(name, "f", "", "1", "2"));
        let before = "# old\nsurvives\tf\ta\nsurvives\tf\tb\nsurvives\tf\tgone\n\
                      survives\tg\tc\n";
        let text = merged(before, &all, &[("b", "gates\tf\tb".into())]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(lines, ["survives\tf\ta", "gates\tf\tb"]);
    }
}
