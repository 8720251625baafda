//! The systems that run in the scenarios, made of Debian's packages and cut down to what is used.
//!
//! dom0 is a kernel and an initial RAM disk with Xen's tools, the device model and a shell. Inside
//! it lie the kernel and RAM disk of the HVM guests. Scripts are not part of it: see [`Overlay`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cpio::Archive;
use crate::fetch::table::{DOM0, KERNEL};
use crate::proc::Cmd;
use crate::{cache, fetch, ui};

/// The programs that stay, with the libraries that they load.
const PROGRAMS: &[&str] = &[
    "usr/lib/xen-4.20/bin/xen-init-dom0",
    "usr/lib/xen-4.20/bin/xenconsoled",
    "usr/lib/xen-4.20/bin/xenstored",
    "usr/lib/xen-4.20/bin/xl",
    "usr/libexec/xen-qemu-system-i386",
    "usr/bin/xenstore-read",
    "usr/bin/xenstore-write",
];

/// Data files and directories that stay.
const DATA: &[&str] = &[
    "usr/bin/busybox",
    "usr/lib/xen-4.20/boot/hvmloader",
    // Loaded by name when a thread of the device model ends.
    "usr/lib/x86_64-linux-gnu/libgcc_s.so.1",
    "usr/share/qemu/keymaps",
    "usr/share/qemu/linuxboot_dma.bin",
    // Starts our own guest kernel.
    "usr/share/qemu/multiboot_dma.bin",
    "usr/share/seabios",
];

/// Kernel modules of dom0, each with what it depends on, in the order of loading.
const DOM0_MODULES: &[&str] = &[
    "xenfs",
    "xen-privcmd",
    "xen-evtchn",
    "xen-gntdev",
    "xen-gntalloc",
    "xen-pciback",
    "e1000e",
    "nvme",
    "igb",
    "xhci-pci",
];

/// Kernel modules of the HVM guests.
const GUEST_MODULES: &[&str] = &["e1000e", "nvme", "igbvf"];

/// What Xen boots.
pub(super) struct Dom0 {
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// The RAM disk; an [`Overlay`] is to be put behind it.
    pub(super) initrd: PathBuf,
}

/// dom0, from the cache or built.
pub(super) fn dom0() -> Result<Dom0> {
    // This file and the packages are the recipe: another recipe, another image.
    let origins = [KERNEL.origins, DOM0.origins];
    let recipe = format!("{} {origins:?}", include_str!("image.rs"));
    let dir = cache::entry("dom0", &recipe, |dir| {
        let mut debs = fetch::files(&fetch::get(&KERNEL)?)?;
        debs.extend(fetch::files(&fetch::get(&DOM0)?)?);
        let step = ui::step("building the dom0 image");
        build(&debs, dir)?;
        step.done();
        Ok(())
    })?;
    Ok(Dom0 {
        kernel: dir.join("vmlinuz"),
        initrd: dir.join("dom0.cpio"),
    })
}

/// Makes an empty directory look like the top of a Debian system, for packages to be unpacked into.
pub(crate) fn prepare_root(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name))?;
        std::os::unix::fs::symlink(format!("usr/{name}"), root.join(name))?;
    }
    Ok(())
}

fn build(debs: &[PathBuf], dir: &Path) -> Result<()> {
    // Beside the result, so that files can be moved instead of copied.
    let scratch = tempfile::tempdir_in(dir)?;
    let root = scratch.path().join("all");
    fs::create_dir(&root)?;
    prepare_root(&root)?;
    fetch::unpack(debs, &root)?;

    let modules = Modules::index(&root)?;
    let guest = scratch.path().join("guest");
    prepare_root(&guest)?;
    keep(&root, &guest, "usr/bin/busybox")?;
    modules.install(GUEST_MODULES, &guest)?;
    base(&guest)?;

    let dom0 = scratch.path().join("dom0");
    prepare_root(&dom0)?;
    for path in PROGRAMS.iter().chain(DATA) {
        keep(&root, &dom0, path)?;
    }
    for library in libraries(&root)? {
        keep(&root, &dom0, &library)?;
    }
    modules.install(DOM0_MODULES, &dom0)?;
    base(&dom0)?;
    let kernel = modules.kernel()?;
    fs::create_dir(dom0.join("guest"))?;
    fs::copy(&kernel, dom0.join("guest/vmlinuz"))?;
    pack(&guest, &dom0.join("guest/guest.cpio"))?;

    pack(&dom0, &dir.join("dom0.cpio"))?;
    fs::rename(&kernel, dir.join("vmlinuz"))?;
    Ok(())
}

/// Directories and links that both systems have.
fn base(root: &Path) -> Result<()> {
    for name in [
        "dev",
        "etc/xen",
        "proc",
        "run",
        "sys",
        "tmp",
        "var/lib/xen",
        "var/log/xen",
        "var/run",
    ] {
        fs::create_dir_all(root.join(name))?;
    }
    // The shell finds its tools as applets; the link is what the scripts' first line names.
    std::os::unix::fs::symlink("busybox", root.join("usr/bin/sh"))?;
    // xl asks for it and warns when it is absent.
    fs::write(root.join("etc/xen/xl.conf"), "")?;
    Ok(())
}

/// Copies a file or a directory of `from` to the same place in `to`, through links.
fn keep(from: &Path, to: &Path, path: &str) -> Result<()> {
    let source = from.join(path);
    let target = to.join(path);
    if source.is_dir() {
        fs::create_dir_all(&target)?;
        for entry in fs::read_dir(&source)? {
            let name = entry?.file_name();
            keep(from, to, &format!("{path}/{}", name.to_string_lossy()))?;
        }
        return Ok(());
    }
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(&source, &target).with_context(|| format!("Debian's packages have no {path}"))?;
    Ok(())
}

/// The loader and the libraries of [`PROGRAMS`], relative to `root`, as the system's own loader
/// resolves them.
fn libraries(root: &Path) -> Result<Vec<String>> {
    let loader = "usr/lib64/ld-linux-x86-64.so.2";
    let mut found = BTreeSet::from([loader.to_owned()]);
    let prefix = root.to_string_lossy();
    for program in PROGRAMS {
        let list = Cmd::new(root.join(loader))
            .arg("--library-path")
            .arg(root.join("usr/lib/x86_64-linux-gnu"))
            .arg("--list")
            .arg(root.join(program))
            .output()?;
        for line in list.lines() {
            let Some((name, rest)) = line.trim().split_once(" => ") else {
                continue;
            };
            let path = rest.split(" (").next().unwrap_or(rest);
            // The loader itself is listed under its absolute name.
            if name.starts_with('/') {
                continue;
            }
            match path.strip_prefix(&*prefix) {
                Some(path) => found.insert(path.trim_start_matches('/').to_owned()),
                None => bail!("{program} needs {name}, which is not among its packages"),
            };
        }
    }
    Ok(found.into_iter().collect())
}

/// The modules of the unpacked kernel package.
struct Modules {
    root: PathBuf,
    version: String,
    dependencies: String,
}

impl Modules {
    fn index(root: &Path) -> Result<Self> {
        let versions = root.join("usr/lib/modules");
        let version = fs::read_dir(&versions)?
            .next()
            .with_context(|| format!("no kernel in {}", versions.display()))??
            .file_name()
            .to_string_lossy()
            .into_owned();
        Cmd::new("depmod")
            .env("PATH", path_with_sbin())
            .arg("-b")
            .arg(root)
            .arg(&version)
            .run()?;
        let index = versions.join(&version).join("modules.dep");
        Ok(Self {
            root: root.to_owned(),
            dependencies: fs::read_to_string(&index)?,
            version,
        })
    }

    /// The kernel itself: packages of newer suites have it beside its modules.
    fn kernel(&self) -> Result<PathBuf> {
        let version = &self.version;
        [
            format!("boot/vmlinuz-{version}"),
            format!("usr/lib/modules/{version}/vmlinuz"),
        ]
        .iter()
        .map(|path| self.root.join(path))
        .find(|path| path.is_file())
        .with_context(|| format!("the packages of kernel {version} have no vmlinuz"))
    }

    /// Unpacks modules and what they depend on into `target`/modules, with their order in a list.
    fn install(&self, names: &[&str], target: &Path) -> Result<()> {
        let dir = target.join("modules");
        fs::create_dir_all(&dir)?;
        let mut order: Vec<String> = Vec::new();
        for name in names {
            for path in self.closure(name)? {
                let name = path.rsplit('/').next().unwrap_or(path);
                let (file, unpack) = packed_module(name)
                    .with_context(|| format!("the module {name} is packed in an unknown way"))?;
                let file = file.to_owned();
                if order.contains(&file) {
                    continue;
                }
                let packed = self
                    .root
                    .join(format!("usr/lib/modules/{}/{path}", self.version));
                Cmd::new("sh")
                    .args(["-c", &format!("{unpack} \"$0\" >\"$1\"")])
                    .arg(&packed)
                    .arg(dir.join(&file))
                    .run()?;
                order.push(file);
            }
        }
        fs::write(dir.join("order"), order.join("\n") + "\n")?;
        Ok(())
    }

    /// The files of a module and of those it needs, in the order of loading.
    fn closure(&self, name: &str) -> Result<Vec<&str>> {
        let file = format!("/{name}.ko");
        let (module, needed) = self
            .dependencies
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(module, _)| {
                let name = packed_module(module).map_or(*module, |(name, _)| name);
                name.ends_with(&file)
            })
            .with_context(|| format!("the kernel has no module {name}"))?;
        let mut files: Vec<&str> = needed.split_whitespace().rev().collect();
        files.push(module);
        Ok(files)
    }
}

/// The name of a module without its packing, and the command that unpacks it.
fn packed_module(name: &str) -> Option<(&str, &'static str)> {
    let packed = |suffix, unpack| Some((name.strip_suffix(suffix)?, unpack));
    packed(".xz", "xz -dc")
        .or_else(|| packed(".zst", "zstd -dcq"))
        .or_else(|| name.ends_with(".ko").then_some((name, "cat")))
}

/// System tools are outside the path of ordinary users.
fn path_with_sbin() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

/// Not compressed: the emulated machine unpacks slower than it reads.
fn pack(root: &Path, file: &Path) -> Result<()> {
    let out = BufWriter::new(File::create(file)?);
    let mut archive = Archive::new(out);
    archive.tree(root)?;
    archive.finish()?.into_inner()?.sync_all()?;
    Ok(())
}

/// What a scenario puts behind the cached image: scripts and kernels.
pub(super) struct Overlay {
    archive: Archive<Vec<u8>>,
    directories: BTreeSet<PathBuf>,
}

impl Overlay {
    /// An overlay with the scripts that all scenarios share.
    pub(super) fn new(scripts: &Path) -> Result<Self> {
        let mut guest = Archive::new(Vec::new());
        guest.file("init", 0o755, &read(&scripts.join("guest.sh"))?)?;
        guest.file("lib.sh", 0o644, &read(&scripts.join("lib.sh"))?)?;
        let mut archive = Archive::new(Vec::new());
        archive.file("init", 0o755, &read(&scripts.join("init.sh"))?)?;
        archive.file("lib.sh", 0o644, &read(&scripts.join("lib.sh"))?)?;
        archive.file("guests.sh", 0o644, &read(&scripts.join("guests.sh"))?)?;
        archive.file("guest/overlay.cpio", 0o644, &guest.finish()?)?;
        Ok(Self {
            archive,
            directories: BTreeSet::new(),
        })
    }

    /// Adds a file, with the directories above it.
    pub(super) fn file(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<()> {
        let mut above: Vec<&Path> = Path::new(name).ancestors().skip(1).collect();
        above.reverse();
        // The first is the root itself.
        for directory in above.into_iter().skip(1) {
            if self.directories.insert(directory.to_owned()) {
                self.archive.directory(&directory.to_string_lossy())?;
            }
        }
        Ok(self.archive.file(name, mode, data)?)
    }

    /// Adds a script from the host.
    pub(super) fn script(&mut self, path: &Path, name: &str) -> Result<()> {
        let text = read(path)?;
        self.file(name, 0o644, &text)
    }

    /// Ends the archive.
    pub(super) fn finish(self) -> Result<Vec<u8>> {
        Ok(self.archive.finish()?)
    }
}

/// Writes a RAM disk: the cached image with the finished overlay behind it.
pub(super) fn write_initrd(image: &Path, overlay: &[u8], target: &Path) -> Result<()> {
    fs::copy(image, target).with_context(|| format!("cannot write {}", target.display()))?;
    let mut file = File::options().append(true).open(target)?;
    file.write_all(overlay)
        .with_context(|| format!("cannot write {}", target.display()))
}

/// Writes two files into one, as the test kernel that hands the machine over wants them: how long
/// the first is, and both.
pub(super) fn write_pair(first: &[u8], second: &[u8], target: &Path) -> Result<()> {
    let length = (first.len() as u64).to_le_bytes();
    fs::write(target, [&length, first, second].concat())
        .with_context(|| format!("cannot write {}", target.display()))
}

/// Reads a file whole.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_packed_in_three_ways() {
        assert_eq!(packed_module("a.ko.xz"), Some(("a.ko", "xz -dc")));
        assert_eq!(packed_module("a.ko.zst"), Some(("a.ko", "zstd -dcq")));
        assert_eq!(packed_module("a.ko"), Some(("a.ko", "cat")));
        assert_eq!(packed_module("a.ko.gz"), None);
    }
}
