//! README's recipe for a real machine, carried out with Debian's GRUB in a root of its own: what is
//! booted by default has to be the same before and after it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::fetch::table::GRUB;
use crate::patch::repository;
use crate::proc::Cmd;
use crate::{cache, fetch, ui};

/// Where the recipe is in README: the commands behind this line.
const HEADING: &str = "### On real hardware";

/// What the recipe calls its entry.
const ENTRY: &str = "xen-rust";

/// The recipe that README once had. It makes the new image the default, and so has to be found out.
const OLD: &str = "cp xen.gz /boot/xen-4.20-rust.gz\nupdate-grub\n";

/// What a recipe that changes the default entry is told.
const CHANGED: &str = "the default entry has changed";

/// What tells GRUB's scripts of the machine that they run on.
const PROBE: &str = r#"#!/bin/sh
case "$*" in
*--target=device*) echo /dev/vda1 ;;
*--target=fs_uuid*) echo 01234567-89ab-cdef-0123-456789abcdef ;;
*--target=fs*) echo ext2 ;;
*--target=partmap*) echo gpt ;;
*--target=drive*) echo '(hd0,gpt1)' ;;
esac
"#;

/// Carries out README's recipe, and the old one, which has to fail.
///
/// # Errors
///
/// When the recipe changes what is booted by default, or its own entry does not boot the new image;
/// or when the old recipe is not found out.
pub(crate) fn check() -> Result<()> {
    let packages = cache::entry("grub", &format!("{:?}", GRUB.origins), |dir| {
        let debs = fetch::files(&fetch::get(&GRUB)?)?;
        let step = ui::step("unpacking GRUB");
        crate::boot::prepare_root(dir)?;
        fetch::unpack(&debs, dir)?;
        step.done();
        Ok(())
    })?;
    let recipe = recipe(&fs::read_to_string(repository().join("README.md"))?)?;
    try_recipe(&packages, &recipe)?;
    let found = match try_recipe(&packages, OLD) {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    ensure!(
        found.starts_with(CHANGED),
        "the recipe that makes the new image the default is not found out: \"{found}\""
    );
    Ok(())
}

/// The commands of README's recipe.
fn recipe(readme: &str) -> Result<String> {
    let (_, behind) = readme
        .split_once(HEADING)
        .with_context(|| format!("README.md has no \"{HEADING}\""))?;
    let (_, behind) = behind
        .split_once("```sh\n")
        .context("README.md has no commands for real hardware")?;
    let (commands, _) = behind.split_once("```").context("README.md is cut off")?;
    Ok(commands.to_owned())
}

/// Carries out a recipe on a Debian with an older Xen as its default, and a dom0 kernel of two.
fn try_recipe(packages: &Path, recipe: &str) -> Result<()> {
    let root = Root::create(packages)?;
    root.run("update-grub")?;
    let before = root.menu()?;
    let default = before.default()?;
    ensure!(
        default.contains("/boot/xen-4.17-amd64.gz"),
        "the old Xen is not the default to begin with:\n{default}"
    );
    root.run(recipe)?;
    // As the next upgrade of a kernel does.
    root.run("update-grub")?;
    let menu = root.menu()?;
    let after = menu.default()?;
    ensure!(after == default, "{CHANGED}, from\n{default}\nto\n{after}");
    for (line, what) in [
        (
            "source ${config_directory}/custom.cfg",
            "entries of one's own",
        ),
        (
            "set default=\"${next_entry}\"",
            "the entry for the next boot",
        ),
    ] {
        ensure!(menu.0.contains(line), "GRUB does not read {what}");
    }
    let environment = fs::read_to_string(root.path.join("boot/grub/grubenv"))?;
    ensure!(
        environment.contains(&format!("next_entry={ENTRY}\n")),
        "the new entry is not chosen for the next boot"
    );
    let custom = fs::read_to_string(root.path.join("boot/grub/custom.cfg"))?;
    let new = Menu(custom).entry(ENTRY)?;
    let wanted = default.replace("/boot/xen-4.17-amd64.gz", "/boot/rust-xen-4.20.gz");
    // All but the first line, which names the entry.
    let body = |entry: &str| entry.lines().skip(1).collect::<Vec<_>>().join("\n");
    ensure!(
        body(&new) == body(&wanted),
        "the new entry is not the default one with the new image:\n{new}"
    );
    Ok(())
}

/// A root directory with GRUB and a /boot.
struct Root {
    path: PathBuf,
    _scratch: tempfile::TempDir,
}

impl Root {
    fn create(packages: &Path) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let path = scratch.path().join("root");
        Cmd::new("cp").arg("-a").arg(packages).arg(&path).run()?;
        let file = |name: &str, text: &str| -> Result<()> {
            let path = path.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
        };
        for version in ["6.1.0-30-amd64", "6.12.9-amd64"] {
            file(&format!("boot/vmlinuz-{version}"), "kernel")?;
            file(&format!("boot/initrd.img-{version}"), "RAM disk")?;
            file(&format!("boot/config-{version}"), "CONFIG_XEN_DOM0=y\n")?;
        }
        file("boot/xen-4.17-amd64.gz", "Xen")?;
        file("boot/xen-4.17-amd64.config", "CONFIG_PV=y\n")?;
        file("etc/os-release", "NAME=Debian\nID=debian\n")?;
        file("xen.gz", "the new Xen")?;
        // A file in place of the device serves what the scripts throw away.
        file("dev/null", "")?;
        fs::create_dir_all(path.join("tmp"))?;
        // As the package's script installs it.
        fs::copy(
            path.join("usr/share/grub/default/grub"),
            path.join("etc/default/grub"),
        )
        .context("grub2-common has no settings")?;
        file("usr/sbin/grub-probe", PROBE)?;
        let root = Self {
            path,
            _scratch: scratch,
        };
        root.run("chmod +x /usr/sbin/grub-probe; mkdir /boot/grub; grub-editenv /boot/grub/grubenv create")?;
        Ok(root)
    }

    /// Runs a script in the root, as its administrator.
    fn run(&self, script: &str) -> Result<()> {
        // With a namespace of its own an ordinary user may do this, too.
        let enter: &[&str] = if nix::unistd::geteuid().is_root() {
            &["chroot"]
        } else {
            &["unshare", "--map-root-user", "chroot"]
        };
        Cmd::new(enter[0])
            .args(&enter[1..])
            .arg(&self.path)
            .args(["/usr/bin/dash", "-euc", script])
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LC_ALL", "C")
            .run()
    }

    fn menu(&self) -> Result<Menu> {
        let path = self.path.join("boot/grub/grub.cfg");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Menu(text))
    }
}

/// A configuration of GRUB.
struct Menu(String);

impl Menu {
    /// The entry that is booted when nothing else is chosen: its lines.
    fn default(&self) -> Result<String> {
        let name = self
            .0
            .lines()
            .filter_map(|line| line.trim().strip_prefix("set default=\""))
            .filter_map(|rest| rest.strip_suffix('"'))
            // Other lines take it from a variable.
            .find(|name| !name.contains('$'))
            .context("GRUB has no default entry")?;
        match name.parse() {
            Ok(number) => self
                .entries()
                .into_iter()
                .nth(number)
                .with_context(|| format!("GRUB has no entry {number}")),
            Err(_) => self.entry(name),
        }
    }

    /// The first entry with this title or identifier.
    fn entry(&self, name: &str) -> Result<String> {
        let word = format!("'{name}'");
        self.entries()
            .into_iter()
            .find(|entry| {
                entry
                    .lines()
                    .next()
                    .is_some_and(|title| title.contains(&word))
            })
            .with_context(|| format!("GRUB has no entry {name}"))
    }

    /// The entries of the top level, a submenu being one.
    fn entries(&self) -> Vec<String> {
        let mut entries: Vec<String> = Vec::new();
        let mut inside = false;
        for line in self.0.lines() {
            if line.starts_with("menuentry ") || line.starts_with("submenu ") {
                entries.push(String::new());
                inside = true;
            }
            if let Some(entry) = entries.last_mut().filter(|_| inside) {
                *entry += line;
                *entry += "\n";
            }
            inside &= line != "}";
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MENU: &str = "if [ x ]; then\n set default=\"${next_entry}\"\nelse\n set default=\"B, with Xen\"\nfi\n\
        menuentry 'A' --id 'a' {\n\tmultiboot /boot/a\n}\nsubmenu 'More' --id 'more' {\n\tmenuentry 'C' {\n\t}\n}\n\
        menuentry 'B, with Xen' --id 'b' {\n\tmultiboot /boot/b\n}\n";

    #[test]
    fn the_default_is_a_title_an_identifier_or_a_number() {
        let b = "menuentry 'B, with Xen' --id 'b' {\n\tmultiboot /boot/b\n}\n";
        for default in ["B, with Xen", "b", "2"] {
            let menu = Menu(MENU.replace("\"B, with Xen\"", &format!("\"{default}\"")));
            assert_eq!(menu.default().unwrap(), b, "{default}");
        }
        let menu = Menu(MENU.replace("\"B, with Xen\"", "\"saved\""));
        assert!(menu.default().is_err());
    }

    #[test]
    fn the_recipe_is_in_readme() {
        let text = format!("a\n{HEADING}\nb\n```sh\ncp x y\n```\n");
        assert_eq!(recipe(&text).unwrap(), "cp x y\n");
        assert!(recipe("no recipe").is_err());
        let readme = fs::read_to_string(repository().join("README.md")).unwrap();
        assert!(recipe(&readme).unwrap().contains("/boot/"));
    }
}
