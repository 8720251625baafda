//! `cargo xtask bench`: instructions of the hot paths, C beside Rust, in one run.
//!
//! The twin's program runs under callgrind, and each row is one call on one side. Counted are the
//! instructions of the objects that Xen links and of nothing else: what stands for the rest of Xen
//! is the same for both. The counts are exact and the same on every machine with the same
//! compilers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::patch::{is_program, repository};
use crate::proc::Cmd;
use crate::twin::{Twin, on_all_cpus};
use crate::{arguments, cache, ui, units, xen};

mod code;

use code::Code;

/// Instructions by which rows may differ in Rust that differ in how much exists alone. Where a size
/// has several numbers the first, of what is searched one by one, is the same.
const FLAT: u64 = 40;
/// The same for VT-d, where 4096 entries in use are skipped at a time: 14 times with 60,000 in use.
const FLAT_VTD: u64 = 160;

/// Why registration costs more: what makes every access cheap is made there.
const LISTED: &str =
    "the domain's list of tables is made anew, and the table's shadow allocated as a whole";
/// Why an access that the device model answers costs more.
const ONE_PATH: &str = "it ends where one that Xen answers does";
/// Why allocating and freeing entries costs more where C finds the first one free.
const SLOTS: &str = "a bit for each entry is kept in place of a search";
/// Why an entry's update costs more on VT-d.
const SOURCE: &str = "the source comes from the entry, not from configuration space; \
                      the format from the IOMMU's mode";
/// Why an entry that is replaced costs more on AMD-Vi.
const SHARED: &str = "the requesters that share the table are looked up anew, \
                      beside an invalidation that waits for the IOMMU";
/// Why a write of a pin costs more on AMD-Vi.
const LOGICAL: &str = "what Xen writes is kept beside the pin, so that a read takes no lock";
/// Why an access of a guest to vector control costs more.
const CHECKED: &str = "the IRQ's number and the function's owner are checked under the lock";
/// Why masking an MSI costs more.
const BLOCK: &str = "the register is kept and not read; one lock guards it for all messages";
/// Why moving an interrupt costs more.
const LOST: &str =
    "it is noted whether the device holds the message, so that a lost one is written again";
/// Why setting up and tearing down costs more.
const UNDONE: &str = "each step is undone where a later one fails";

/// Rows in which Rust may take more instructions than C, with the most in percent of C's: a tenth
/// above what it took when the row was added, since compilers differ. One that it does not need is
/// a complaint as well.
const EXCEPTIONS: &[Exception] = &[
    Exception::new("vmsi", "register a device", None, 810, LISTED),
    Exception::new("vmsi", "unregister a device", None, 1020, LISTED),
    Exception::new(
        "vmsi",
        "register all vectors of a device",
        Some("1 x 1"),
        335,
        LISTED,
    ),
    Exception::new(
        "vmsi",
        "unregister all vectors of a device",
        None,
        344,
        LISTED,
    ),
    Exception::new("vmsi", "unregister a vector", None, 343, LISTED),
    Exception::new("vmsi", "write, miss", None, 120, ONE_PATH),
    Exception::new("vmsi", "read address, 1 byte", None, 112, ONE_PATH),
    Exception::new("vmsi", "read address, 2 bytes", None, 112, ONE_PATH),
    Exception::new("vtd", "allocate and set", Some("0 in use"), 196, SLOTS),
    Exception::new(
        "vtd",
        "allocate and set, of a block",
        Some("0 in use"),
        141,
        SLOTS,
    ),
    Exception::new("vtd", "release", None, 380, SLOTS),
    Exception::new("vtd", "release, of a block", None, 170, SLOTS),
    Exception::new("vtd", "retarget an MSI", None, 140, SOURCE),
    Exception::new("vtd", "repeat an MSI", None, 129, SOURCE),
    Exception::new("vtd", "post an MSI", None, 130, SOURCE),
    Exception::new("vtd", "retarget posted", None, 130, SOURCE),
    Exception::new("amd", "write a pin: mask only", None, 118, LOGICAL),
    Exception::new("amd", "write a pin: new vector", None, 172, SHARED),
    Exception::new("amd", "retarget an MSI", None, 125, SHARED),
    Exception::new(
        "amd",
        "release",
        None,
        171,
        "an entry is freed after its invalidation, under the lock again",
    ),
    Exception::new(
        "amd",
        "release, of a block",
        None,
        131,
        "an entry is freed after its invalidation, under the lock again",
    ),
    Exception::new(
        "msi",
        "compose a message",
        None,
        117,
        "what C calls to search sets of CPUs is not counted, and Rust does it in place",
    ),
    Exception::new("vmsi", "unmask, to the device model", None, 118, CHECKED),
    Exception::new(
        "vmsi",
        "mask a message by vPCI",
        None,
        128,
        "a function without an owner is told apart",
    ),
    Exception::new("vmsi", "mask, 4 bytes", Some("1 x 1"), 113, CHECKED),
    Exception::new(
        "vmsi",
        "mask with data, 8 bytes",
        Some("1 x 1"),
        113,
        CHECKED,
    ),
    Exception::new("vmsi", "unmask, 4 bytes", Some("1 x 1"), 114, CHECKED),
    Exception::new(
        "vmsi",
        "completion, unmask",
        Some("1 x 1"),
        123,
        "a completed write is applied to what Xen has now",
    ),
    Exception::new("msi", "restore", None, 131, LOST),
    Exception::new("msi", "mask, MSI", None, 134, BLOCK),
    Exception::new("msi", "unmask, MSI", None, 144, BLOCK),
    Exception::new("msi", "retarget, MSI", None, 140, LOST),
    Exception::new("msi", "retarget, MSI-X", None, 125, LOST),
    Exception::new(
        "msi",
        "write of the control register",
        None,
        369,
        "the write is carried out under the register lock, and nothing is cached meanwhile",
    ),
    Exception::new(
        "msi",
        "map an entry",
        Some("0 in use"),
        7987,
        "all other entries are masked first, so that what an earlier kernel left unmasked is \
         silent",
    ),
    Exception::new("msi", "unmap an entry", None, 163, UNDONE),
];

/// Files with rows that count Xen's allocator, too.
const ALLOCATING: &[&str] = &["vmsi"];

/// A row in which Rust may take more instructions than C.
struct Exception {
    file: &'static str,
    row: &'static str,
    /// The only size that is meant.
    size: Option<&'static str>,
    /// What Rust may take at most, in percent of what C takes.
    most: u64,
    /// What the instructions are for.
    why: &'static str,
}

impl Exception {
    const fn new(
        file: &'static str,
        row: &'static str,
        size: Option<&'static str>,
        most: u64,
        why: &'static str,
    ) -> Self {
        Self {
            file,
            row,
            size,
            most,
            why,
        }
    }

    fn is_for(&self, file: &str, row: &Row) -> bool {
        self.file == file && self.row == row.name && self.size.is_none_or(|size| size == row.size)
    }
}

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The replaced file; all unless given.
    #[arg(long, value_parser = arguments::replaced_file(), conflicts_with = "write")]
    file: Option<String>,
    /// Write the figures to a file as well, for machines.
    #[arg(long, value_name = "FILE", value_parser = arguments::new_file())]
    json: Option<PathBuf>,
    /// Write the figures into docs/figures.md.
    #[arg(long)]
    write: bool,
    /// Leave out how long the build takes, which takes longest.
    #[arg(long)]
    no_times: bool,
}

/// What the twin's program prints of a side.
#[derive(Deserialize)]
struct Output {
    text: (u64, u64),
    rows: Vec<Call>,
}

/// One counted call.
#[derive(Deserialize)]
struct Call {
    name: String,
    size: String,
    flat: bool,
    answer: String,
    reads: u64,
}

/// One row of the result.
#[derive(Serialize)]
struct Row {
    name: String,
    size: String,
    /// Whether the size must not matter to Rust.
    flat: bool,
    /// Instructions.
    c: u64,
    /// Instructions.
    rust: u64,
    /// How often C and Rust read configuration space.
    reads: [u64; 2],
}

/// The result for one file.
#[derive(Serialize)]
struct Report {
    file: &'static str,
    rows: Vec<Row>,
}

/// What Rust adds to Xen's build.
#[derive(Serialize)]
struct BuildSeconds {
    cold: f64,
    nothing_changed: f64,
    /// What make itself takes for a directory in which nothing changed.
    make_alone: f64,
}

#[derive(Serialize)]
struct Figures {
    files: Vec<Report>,
    code: Vec<Code>,
    build_seconds: Option<BuildSeconds>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    ensure!(
        is_program("valgrind"),
        "valgrind is not installed; run `cargo xtask setup`"
    );
    let asked = args.file.as_deref().and_then(units::named);
    let in_work = asked.and_then(|unit| units::in_work(unit.name));
    let twin = Twin::build(None, in_work)?;
    let mut files = Vec::new();
    for file in asked.map_or(units::NAMES.to_vec(), |unit| vec![unit.name]) {
        let report = measure(&twin, file, twin.arguments(file)?)?;
        report.print();
        files.push(report);
    }
    let build_seconds = (!args.no_times && args.file.is_none())
        .then(build_seconds)
        .transpose()?;
    // What is in work is in no other file's figures.
    let code = match in_work {
        Some(_) => Vec::new(),
        None => code::measure(&twin)?,
    };
    code::print(&code);
    let figures = Figures {
        files,
        code,
        build_seconds,
    };
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&figures)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.write {
        write_figures(&figures)?;
    }
    let complaints: Vec<_> = figures
        .files
        .iter()
        .flat_map(|report| report.complaints(EXCEPTIONS))
        .chain(figures.code.iter().filter_map(Code::complaint))
        .collect();
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// Where the figures are shown.
const PAGE: &str = "docs/figures.md";
/// The lines between which they stand there.
const MARKS: [&str; 2] = ["<!-- bench -->\n", "<!-- end of bench -->\n"];

/// Puts the figures into the page between its marks.
fn write_figures(figures: &Figures) -> Result<()> {
    let path = repository().join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let page = with_figures(&page, figures).with_context(|| format!("{PAGE} has no marks"))?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))
}

/// A page with the figures between its marks; `None` for a page without them.
fn with_figures(page: &str, figures: &Figures) -> Option<String> {
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    let mut text = format!("{before}{begin}");
    for report in &figures.files {
        text += &report.markdown(EXCEPTIONS);
    }
    text += "\n## Code\n\nBytes of the functions of the C file, and of the unit with its shim.\n\n\
             | unit | C / Rust | |\n|---|---|---|\n";
    text.extend(figures.code.iter().map(Code::markdown));
    if let Some(seconds) = &figures.build_seconds {
        text += &format!(
            "\n`make xen` takes {:.1} s for the Rust part when nothing is built, {:.1} s when \
             nothing changed (make alone {:.1} s).\n",
            seconds.cold, seconds.nothing_changed, seconds.make_alone
        );
    }
    Some(text + end + after)
}

/// Times the build of the Rust part, and prints the result.
fn build_seconds() -> Result<BuildSeconds> {
    let times = xen::times()?;
    let seconds = BuildSeconds {
        cold: times.cold.as_secs_f64(),
        nothing_changed: times.unchanged.as_secs_f64(),
        make_alone: times.make.as_secs_f64(),
    };
    println!(
        "make xen takes {:.1} s for the Rust part when nothing is built, {:.1} s when nothing changed (make alone {:.1} s)",
        seconds.cold, seconds.nothing_changed, seconds.make_alone
    );
    Ok(seconds)
}

/// What is worse than promised of a file with other objects for Rust.
///
/// # Errors
///
/// The objects cannot be run.
pub(crate) fn complaints_of(
    twin: &Twin,
    file: &'static str,
    objects: &[PathBuf],
) -> Result<Vec<String>> {
    let report = measure(twin, file, twin.arguments_with(file, objects)?)?;
    Ok(report.complaints(EXCEPTIONS))
}

/// Runs the rows of a file, with these arguments for the twin's program.
fn measure(twin: &Twin, file: &'static str, arguments: Vec<PathBuf>) -> Result<Report> {
    let scratch = cache::Scratch::create(
        repository().join(format!("target/twin/callgrind-{}", std::process::id())),
    )?;
    let step = ui::step(format!("counting the instructions of {file}"));
    let mut report = count(&arguments, file, &[], &scratch.path().join("counts"))?;
    if ALLOCATING.contains(&file) {
        let more = ["--allocator".into(), twin.allocator()];
        let report_with_it = count(
            &arguments,
            file,
            &more,
            &scratch.path().join("with-allocator"),
        )?;
        report.rows.extend(report_with_it.rows);
    }
    step.done();
    Ok(report)
}

/// The sides, as the twin's program calls them.
const SIDES: [&str; 2] = ["c", "rust"];

/// Has callgrind run the twin's program with these further arguments, for both sides at a time; the
/// names of callgrind's files begin with `counts`.
fn count(
    arguments: &[PathBuf],
    file: &'static str,
    more: &[PathBuf],
    counts: &Path,
) -> Result<Report> {
    let counted = on_all_cpus(SIDES.len(), |number| {
        let side = SIDES[number];
        count_side(arguments, side, more, &counts.with_extension(side))
    });
    let [c, rust] = counted.try_into().ok().context("a side is missing")?;
    Report::new(file, c?, rust?)
}

/// The same for one side: the calls, each with its number of instructions.
fn count_side(
    arguments: &[PathBuf],
    side: &str,
    more: &[PathBuf],
    counts: &Path,
) -> Result<Vec<(Call, u64)>> {
    let printed = Cmd::new("valgrind")
        .args([
            "--quiet",
            "--tool=callgrind",
            "--dump-instr=yes",
            "--collect-atstart=no",
        ])
        .args(["--compress-pos=no", "--compress-strings=no"])
        // An access to a device is carried out by the handler of its fault, which needs the
        // registers.
        .arg("--vex-iropt-register-updates=allregs-at-mem-access")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .args(arguments)
        .args(["--bench", side])
        .args(more)
        .output()?;
    let output: Output =
        serde_json::from_str(&printed).context("the twin's program printed no rows")?;
    let (start, end) = output.text;
    let numbered = (1..).zip(output.rows);
    numbered
        .map(|(number, call)| {
            let label = format!("{} {}", call.name, call.size);
            let path = PathBuf::from(format!("{}.{number}", counts.display()));
            let count = instructions(&path, &label, start..end)?;
            // A row in which one side did nothing would compare nothing.
            ensure!(
                count > 0,
                "no instruction of the objects was counted for `{label}`, side {side}"
            );
            Ok((call, count))
        })
        .collect()
}

impl Report {
    fn new(file: &'static str, c: Vec<(Call, u64)>, rust: Vec<(Call, u64)>) -> Result<Self> {
        ensure!(c.len() == rust.len(), "the sides have different rows");
        let both = c.into_iter().zip(rust);
        let rows = both.map(|((c, c_count), (rust, rust_count))| {
            let same = (&c.name, &c.size) == (&rust.name, &rust.size);
            ensure!(same, "the sides have different rows");
            ensure!(
                c.answer == rust.answer,
                "C and Rust answer differently in `{} {}`",
                c.name,
                c.size
            );
            Ok(Row {
                name: c.name,
                size: c.size,
                flat: c.flat,
                c: c_count,
                rust: rust_count,
                reads: [c.reads, rust.reads],
            })
        });
        let rows = rows.collect::<Result<_>>()?;
        Ok(Self { file, rows })
    }

    fn print(&self) {
        let mut head = vec![self.file, "size", "C", "Rust", "Rust / C"];
        // For files that read any.
        let reads = self.rows.iter().any(|row| row.reads[0] > 0);
        if reads {
            head.extend(["config reads, C", "Rust"]);
        }
        let mut table = ui::Table::new(&head);
        for row in &self.rows {
            let mut cells = vec![
                row.name.clone(),
                row.size.clone(),
                row.c.to_string(),
                row.rust.to_string(),
                format!("{:.2}", row.rust as f64 / row.c as f64),
            ];
            if reads {
                cells.extend(row.reads.map(|count| count.to_string()));
            }
            table.row(cells);
        }
        table.print();
    }

    /// The rows as a table of Markdown, with a reason where Rust takes more.
    fn markdown(&self, exceptions: &[Exception]) -> String {
        let reads = self.rows.iter().any(|row| row.reads[0] > 0);
        let columns = if reads { " reads |" } else { "" };
        let line = if reads { "---|" } else { "" };
        let mut text = format!(
            "\n## {}\n\n| path | size | C / Rust |{columns} |\n|---|---|---|{line}---|\n",
            self.file
        );
        for row in &self.rows {
            let Row {
                name,
                size,
                c,
                rust,
                ..
            } = row;
            let reads = match reads {
                true => format!(" {} / {} |", row.reads[0], row.reads[1]),
                false => String::new(),
            };
            let mut entries = exceptions.iter().filter(|_| rust > c);
            let why = entries.find(|entry| entry.is_for(self.file, row));
            let why = why.map_or("", |entry| entry.why);
            text += &format!("| {name} | {size} | {c} / {rust} |{reads} {why} |\n");
        }
        text
    }

    /// What is worse than promised.
    fn complaints(&self, exceptions: &[Exception]) -> Vec<String> {
        let mut complaints = Vec::new();
        let slower = |row: &&Row| row.rust > row.c;
        for row in self.rows.iter().filter(slower) {
            let mut entries = exceptions.iter();
            let exception = entries.find(|entry| entry.is_for(self.file, row));
            let most = exception.map_or(100, |entry| entry.most);
            if row.rust * 100 > row.c * most {
                complaints.push(format!(
                    "{}: `{}` ({}) takes {} instructions, {} in C: more than {most} %",
                    self.file, row.name, row.size, row.rust, row.c
                ));
            }
        }
        for entry in exceptions.iter().filter(|entry| entry.file == self.file) {
            let mut rows = self.rows.iter().filter(slower);
            if !rows.any(|row| entry.is_for(self.file, row)) {
                complaints.push(format!(
                    "{}: `{}` needs no exception any more",
                    self.file, entry.row
                ));
            }
        }
        let mut ranges: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.flat) {
            let searched = row.size.split_once(" x ").map(|(number, _)| number);
            let key = (&row.name, searched);
            let range = ranges.entry(key).or_insert((row.rust, row.rust));
            *range = (range.0.min(row.rust), range.1.max(row.rust));
        }
        for ((name, _), (least, most)) in ranges {
            let allowed = if self.file == "vtd" { FLAT_VTD } else { FLAT };
            if most > least + allowed {
                complaints.push(format!(
                    "{}: `{name}` is not flat: from {least} to {most} instructions",
                    self.file
                ));
            }
        }
        complaints
    }
}

/// Adds up what one of callgrind's files counts in a range of addresses.
///
/// # Errors
///
/// When the file cannot be read, or holds another row than `label`.
fn instructions(path: &Path, label: &str, range: std::ops::Range<u64>) -> Result<u64> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let trigger = format!("desc: Trigger: Client Request: {label}");
    ensure!(
        text.lines().any(|line| line == trigger),
        "{} is not about `{label}`",
        path.display()
    );
    let mut sum = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("calls=") {
            // The next line counts what was called, which has lines of its own.
            lines.next();
            continue;
        }
        let mut words = line.split(' ');
        let address = words.next().and_then(|word| word.strip_prefix("0x"));
        let Some(address) = address.and_then(|word| u64::from_str_radix(word, 16).ok()) else {
            continue;
        };
        if range.contains(&address) {
            let count = words
                .nth(1)
                .with_context(|| format!("no count in `{line}`"))?;
            sum += count
                .parse::<u64>()
                .with_context(|| format!("no count in `{line}`"))?;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, size: &str, c: u64, rust: u64) -> Row {
        Row {
            name: name.into(),
            size: size.into(),
            flat: true,
            c,
            rust,
            reads: [0; 2],
        }
    }

    fn complaints(rows: Vec<Row>) -> usize {
        complaints_but(&[], rows)
    }

    fn complaints_but(exceptions: &[Exception], rows: Vec<Row>) -> usize {
        Report { file: "vmsi", rows }.complaints(exceptions).len()
    }

    #[test]
    fn a_row_that_is_worse_than_c_fails() {
        assert_eq!(complaints(vec![row("read", "1 x 1", 40, 40)]), 0);
        assert_eq!(complaints(vec![row("read", "1 x 1", 40, 41)]), 1);
    }

    #[test]
    fn an_exception_is_for_a_row_that_needs_it() {
        let worse = || vec![row("read", "1 x 1", 40, 42)];
        let for_read = |size| [Exception::new("vmsi", "read", size, 105, "it is a test")];
        assert_eq!(complaints_but(&for_read(None), worse()), 0);
        assert_eq!(complaints_but(&for_read(Some("1 x 1")), worse()), 0);
        // Of another size: the row is a complaint, and so is the exception.
        assert_eq!(complaints_but(&for_read(Some("8 x 1")), worse()), 2);
        let equal = vec![row("read", "1 x 1", 40, 40)];
        assert_eq!(complaints_but(&for_read(None), equal), 1);
        // It has a bound.
        let still_worse = vec![row("read", "1 x 1", 40, 43)];
        assert_eq!(complaints_but(&for_read(None), still_worse), 1);
    }

    #[test]
    fn a_row_that_grows_fails_even_below_c() {
        let rows = |last| {
            vec![
                row("read", "1 x 1", 40, 40),
                row("read", "1 x 64", 4000, last),
            ]
        };
        assert_eq!(complaints(rows(40 + FLAT)), 0);
        assert_eq!(complaints(rows(41 + FLAT)), 1);
        // Tables are searched one by one, in C as well.
        let searched = [("1 x 1", 40, 40), ("64 x 1", 4000, 4000)];
        let searched = searched.map(|(size, c, rust)| row("read", size, c, rust));
        assert_eq!(complaints(searched.into()), 0);
    }

    #[test]
    fn figures_stand_between_the_marks() {
        let report = Report {
            file: "vmsi",
            rows: vec![row("read", "1 x 1", 40, 41)],
        };
        let exceptions = [Exception::new("vmsi", "read", None, 105, "it is a test")];
        let table = report.markdown(&exceptions);
        assert!(
            table.ends_with("| read | 1 x 1 | 40 / 41 | it is a test |\n"),
            "{table}"
        );

        let figures = Figures {
            files: vec![report],
            code: vec![],
            build_seconds: None,
        };
        let [begin, end] = MARKS;
        let page = with_figures(&format!("a\n{begin}old\n{end}b\n"), &figures).unwrap();
        assert!(
            page.starts_with(&format!("a\n{begin}\n## vmsi\n")),
            "{page}"
        );
        assert!(page.ends_with(&format!("{end}b\n")), "{page}");
        assert!(!page.contains("old"));
        assert!(with_figures("a\n", &figures).is_none());
    }

    #[test]
    fn only_the_objects_own_instructions_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("counts.1");
        let text = "desc: Trigger: Client Request: c read\nfn=a\n0x10 0 3\n0x11 4 1\ncalls=1 0x90 0\n0x12 0 900\n0x90 0 50\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(instructions(&path, "c read", 0x10..0x20).unwrap(), 4);
        assert!(instructions(&path, "rust read", 0x10..0x20).is_err());
    }
}
