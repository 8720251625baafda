//! `cargo xtask xen`: builds Xen, with the Rust files in it or as upstream has it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::patch::{State, is_program, repository};
use crate::units::{IN_WORK, UNITS};
use crate::{arguments, cache, host, ui};

mod compare;
mod configs;
mod elsewhere;
mod make;
mod object;
mod source;
pub(crate) mod tarball;

pub(crate) use compare::{matrix, menu_off, times};
pub(crate) use configs::{Args as ConfigsArgs, run as run_configs};
pub(crate) use elsewhere::elsewhere;
pub(crate) use object::object;

/// Arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A Xen tree to build instead of Debian's source; it is copied, never changed.
    #[arg(long, value_name = "DIR", value_parser = arguments::xen_tree())]
    xen_tree: Option<PathBuf>,
    /// Build Xen as upstream has it, without Rust.
    #[arg(long)]
    stock: bool,
    /// Build with CONFIG_DEBUG, that is with assertions.
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    parts: Parts,
}

/// Which of the replaced files are in Rust.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Take only the file of this switch from Rust, as RUST_VMSI; may be given more than once. All,
    /// unless given.
    #[arg(
        long = "part",
        value_name = "SWITCH",
        conflicts_with = "stock",
        value_parser = UNITS.map(|unit| unit.switch)
    )]
    only: Vec<String>,
    /// Take from Rust what is in work and off by default, too; may be given more than once.
    #[arg(
        long = "in-work",
        value_name = "SWITCH",
        conflicts_with = "stock",
        value_parser = IN_WORK.map(|unit| unit.switch)
    )]
    in_work: Vec<String>,
}

impl Parts {
    /// All parts, and one in work.
    pub(crate) fn with(switch: &str) -> Self {
        Self {
            in_work: vec![switch.to_owned()],
            ..Self::default()
        }
    }

    /// All parts, and all in work.
    pub(crate) fn with_all_in_work() -> Self {
        Self {
            in_work: IN_WORK.map(|unit| unit.switch.to_owned()).to_vec(),
            ..Self::default()
        }
    }

    /// The words that tell builds and results apart: empty with all parts.
    pub(crate) fn suffix(&self) -> String {
        let only = self.only.iter();
        let in_work = self.in_work.iter();
        only.chain(in_work)
            .map(|switch| format!("-{}", switch.to_lowercase()))
            .collect()
    }

    /// Whether the file of this switch is taken from Rust.
    pub(crate) fn include(&self, switch: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|on| on == switch)
    }

    /// The lines that switch the other parts off.
    fn fragment(&self) -> String {
        let off = UNITS
            .iter()
            .map(|unit| unit.switch)
            .filter(|switch| !self.include(switch))
            .map(|switch| format!("# CONFIG_{switch} is not set\n"));
        let in_work = self.in_work.iter();
        let on = in_work.map(|switch| format!("CONFIG_{switch}=y\n"));
        off.chain(on).collect()
    }
}

/// The Rust object that is linked into Xen, below the object tree.
pub(crate) const RUST_OBJECT: &str = "arch/x86/xen-irq/xen-irq-rs.o";

/// What is in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Upstream's source.
    Stock,
    /// The patched source with the menu and all its switches on.
    #[default]
    Rust,
    /// The patched source with the menu off.
    MenuOff,
}

/// The compiler of the C part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// gcc, as Xen prefers.
    #[default]
    Gcc,
    /// clang.
    Clang,
}

/// What to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// A tree of the user's, or Debian's source.
    pub(crate) tree: Option<PathBuf>,
    /// What is in the image.
    pub(crate) flavour: Flavour,
    /// With CONFIG_DEBUG.
    pub(crate) debug: bool,
    /// The compiler of the C part.
    pub(crate) compiler: Compiler,
    /// Which files are in Rust.
    pub(crate) parts: Parts,
    /// CONFIG_NR_CPUS, if not Xen's default.
    pub(crate) cpus: Option<u32>,
    /// Another configuration than Xen's default.
    pub(crate) config: Option<configs::Config>,
}

/// A finished build.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    /// The root of the source that was built.
    pub(crate) tree: PathBuf,
    /// The object tree, with all of make's results.
    pub(crate) objects: PathBuf,
    /// The ELF32 image for multiboot.
    pub(crate) image: PathBuf,
    /// The image compressed.
    pub(crate) xen_gz: PathBuf,
    /// The ELF64 image with all symbols.
    pub(crate) xen_syms: PathBuf,
    /// The EFI image; a linker without PE support makes none.
    pub(crate) xen_efi: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<()> {
    let flavour = if args.stock {
        Flavour::Stock
    } else {
        Flavour::Rust
    };
    let built = build(&Options {
        tree: args.xen_tree,
        flavour,
        debug: args.debug,
        parts: args.parts,
        ..Options::default()
    })?;
    let mut table = ui::Table::new(&["image", "path"]);
    table.row(["multiboot", &built.image.display().to_string()]);
    table.row(["compressed", &built.xen_gz.display().to_string()]);
    table.row(["with symbols", &built.xen_syms.display().to_string()]);
    match &built.xen_efi {
        Some(path) => table.row(["EFI", &path.display().to_string()]),
        None => table.row(["EFI", "none: the linker cannot make one"]),
    }
    table.print();
    Ok(())
}

/// What this process has built: many of its checks ask for the same, and make takes seconds to find
/// nothing changed.
static BUILT: Mutex<Vec<(Options, Build)>> = Mutex::new(Vec::new());

/// Builds what changed since the last time; in one process once.
///
/// # Errors
///
/// When the tree is not of a supported release, a tool or the pinned rustc is missing, or make
/// fails.
pub(crate) fn build(options: &Options) -> Result<Build> {
    let mut all = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, built)) = all.iter().find(|(known, _)| known == options) {
        return Ok(built.clone());
    }
    let built = build_now(options)?;
    all.push((options.clone(), built.clone()));
    Ok(built)
}

fn build_now(options: &Options) -> Result<Build> {
    let (make, _lock) = prepare(options)?;
    make.run("build", &format!("building Xen ({})", options.name()))?;
    Build::of(&make)
}

/// Prepares the source and the object tree and configures it; the lock is the object tree's.
fn prepare(options: &Options) -> Result<(make::Make, cache::Lock)> {
    host::ensure()?;
    for tool in ["make", "gcc", "flex", "bison", "python3"] {
        ensure!(
            is_program(tool),
            "{tool} is not installed; run `cargo xtask setup`"
        );
    }
    if options.flavour == Flavour::Rust {
        host::rust_src()?;
    }
    let tree = match &options.tree {
        Some(tree) => tree
            .canonicalize()
            .map_err(|_| anyhow::anyhow!("there is no directory {}", tree.display()))?,
        None => source::fetched()?,
    };
    let place = options.place(&tree);
    std::fs::create_dir_all(&place)
        .with_context(|| format!("cannot create {}", place.display()))?;
    let objects = place.join(options.name());
    let lock = lock(&objects)?;

    let state = options.flavour.state();
    let copy = place.join(if state == State::Stock {
        "source-stock"
    } else {
        "source-rust"
    });
    source::prepare(&tree, state, &copy)?;
    let make = options.make(&copy, &objects);
    configure(&make, options)?;
    Ok((make, lock))
}

/// Names what stock Xen is built from where that never changes: Debian's source, and its
/// configuration.
///
/// # Errors
///
/// When the source cannot be fetched.
pub(crate) fn stock_name(debug: bool) -> Result<String> {
    let options = Options {
        flavour: Flavour::Stock,
        debug,
        ..Options::default()
    };
    let source = source::fetched()?;
    Ok(format!(
        "{} {}",
        source.display(),
        options.fragment(&source)?
    ))
}

/// Waits until nobody else builds beside `objects`: several builds share a copy of the source.
fn lock(objects: &Path) -> Result<cache::Lock> {
    let place = objects
        .parent()
        .context("an object tree without a parent")?;
    std::fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    cache::Lock::take(&place.join(".lock"))
}

impl Options {
    /// The directory for copies and builds of a tree. Debian's source has the plain one.
    fn place(&self, tree: &Path) -> PathBuf {
        let all = repository().join("target/xen");
        if self.tree.is_none() {
            return all;
        }
        let name = tree.file_name().unwrap_or_default().to_string_lossy();
        all.join(format!(
            "{name}-{}",
            cache::short_hash(tree.as_os_str().as_encoded_bytes())
        ))
    }

    /// The name of the object tree.
    fn name(&self) -> String {
        let flavour = match self.flavour {
            Flavour::Stock => "stock",
            Flavour::Rust => "rust",
            Flavour::MenuOff => "menu-off",
        };
        let compiler = if self.compiler == Compiler::Clang {
            "-clang"
        } else {
            ""
        };
        let debug = if self.debug { "-debug" } else { "" };
        let cpus = self
            .cpus
            .map_or(String::new(), |cpus| format!("-{cpus}-cpus"));
        // Other configurations follow each other in one object tree.
        let config = if self.config.is_some() {
            "-configs"
        } else {
            ""
        };
        let parts = self.parts.suffix();
        format!("{flavour}{parts}{compiler}{debug}{cpus}{config}")
    }

    /// The make that builds `source` into `objects`.
    fn make(&self, source: &Path, objects: &Path) -> make::Make {
        // Paths in the images are those of Xen's source, wherever the copy lies: equal sources make
        // equal images.
        let xen = source.join("xen");
        let maps = [(objects, "", "."), (&xen, "", "."), (&xen, "/", "")]
            .map(|(dir, end, to)| format!("-ffile-prefix-map={}{end}={to}", dir.display()));
        let mut variables = vec![format!("EXTRA_CFLAGS_XEN_CORE={}", maps.join(" "))];
        if self.compiler == Compiler::Clang {
            variables.push("clang=y".to_owned());
        }
        make::Make {
            source: source.to_owned(),
            objects: objects.to_owned(),
            variables,
        }
    }

    /// What differs from Xen's default configuration.
    fn fragment(&self, source: &Path) -> Result<String> {
        let mut text = String::new();
        if self.flavour == Flavour::Rust {
            let path = source.join("xen/arch/x86/configs/rust_defconfig");
            text += &std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            text += &self.parts.fragment();
        }
        // The emulated machines have no nested paging, and XTF has 32-bit PV guests.
        text += "CONFIG_SHADOW_PAGING=y\nCONFIG_PV32=y\n";
        text += if self.debug {
            "CONFIG_DEBUG=y\n"
        } else {
            "# CONFIG_DEBUG is not set\n"
        };
        if let Some(cpus) = self.cpus {
            text += &format!("CONFIG_NR_CPUS={cpus}\n");
        }
        if let Some(config) = &self.config {
            text += &config.lines;
        }
        Ok(text)
    }
}

impl Flavour {
    fn state(self) -> State {
        match self {
            Self::Stock => State::Stock,
            Self::Rust | Self::MenuOff => State::Patched,
        }
    }
}

impl Build {
    fn of(make: &make::Make) -> Result<Self> {
        let path = |name: &str| make.objects.join(name);
        let efi = path("xen.efi");
        let built = Self {
            tree: make.source.clone(),
            objects: make.objects.clone(),
            image: path("xen"),
            xen_gz: path("xen.gz"),
            xen_syms: path("xen-syms"),
            xen_efi: efi.exists().then_some(efi),
        };
        for image in [&built.image, &built.xen_gz, &built.xen_syms] {
            ensure!(
                image.exists(),
                "make succeeded without making {}",
                image.display()
            );
        }
        Ok(built)
    }
}

/// Configures the object tree, once for every fragment.
fn configure(make: &make::Make, options: &Options) -> Result<()> {
    let wanted = options.fragment(&make.source)?;
    let path = make.objects.join("xtask.config");
    if std::fs::read_to_string(&path).is_ok_and(|text| text == wanted)
        && make.objects.join(".config").exists()
    {
        return Ok(());
    }
    // An object that another configuration left behind would pass for one of this build; cargo
    // knows itself what depends on the configuration, and bindgen does not.
    let crates = make.objects.join("arch/x86/xen-irq/cargo");
    let aside = make.objects.with_extension("cargo");
    let keeps_crates = options.config.is_some() && std::fs::rename(&crates, &aside).is_ok();
    if make.objects.exists() {
        std::fs::remove_dir_all(&make.objects)
            .with_context(|| format!("cannot empty {}", make.objects.display()))?;
    }
    std::fs::create_dir_all(&make.objects)?;
    if keeps_crates {
        std::fs::create_dir_all(make.objects.join("arch/x86/xen-irq"))?;
        std::fs::rename(&aside, &crates).context("cannot put the crates back")?;
    }
    let partial = make.objects.join("xtask.config.new");
    std::fs::write(&partial, wanted)?;
    let configuring = make::Make {
        source: make.source.clone(),
        objects: make.objects.clone(),
        variables: [
            make.variables.clone(),
            vec![format!("KCONFIG_ALLCONFIG={}", partial.display())],
        ]
        .concat(),
    };
    let config = options.config.as_ref();
    match config.and_then(|config| config.seed) {
        Some(seed) => make::Make {
            variables: [configuring.variables, vec![format!("KCONFIG_SEED={seed}")]].concat(),
            ..configuring
        }
        .run("randconfig", "configuring Xen")?,
        None => configuring.run("alldefconfig", "configuring Xen")?,
    }
    if let Some(config) = config {
        config.check(&make.objects.join(".config"))?;
    }
    // Only what was really configured counts the next time.
    std::fs::rename(&partial, &path).context("cannot keep the configuration")
}

#[cfg(test)]
mod tests;
