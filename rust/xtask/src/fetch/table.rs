//! The table of what is fetched: each artefact with its origins, in the order in which they are
//! tried.
//!
//! Sums are pinned for files that are fetched by name. All else is trusted by the signature of the
//! suite that lists it.

use std::path::Path;

use anyhow::Result;

use super::archive::Suite;
use crate::rust_src;
use crate::xen::tarball;

/// One thing that is fetched.
#[derive(Debug)]
pub(crate) struct Artefact {
    /// What its entries in the cache begin with.
    pub(crate) name: &'static str,
    /// What it is, for the user.
    pub(crate) title: &'static str,
    /// Minutes in which all origins together have to deliver.
    pub(crate) minutes: u64,
    /// Where it can come from.
    pub(crate) origins: &'static [Origin],
    /// Makes the cached form (second argument) from what an origin delivered (first argument).
    pub(crate) finish: fn(&Path, &Path) -> Result<()>,
    /// Checks the cached form; what it refuses counts as not found.
    pub(crate) accept: fn(&Path) -> Result<()>,
    /// What the user can do when no origin delivers.
    pub(crate) remedy: &'static str,
}

/// Where an artefact can come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// The first of these files that can be had: from the directory that `XEN_IRQ_SOURCES` names,
    /// then from the pool of the mirror, which keeps a file after the suites have dropped it.
    Pinned(&'static [Pinned]),
    /// The upstream tarball of a source package, in the versions that the suites list and that
    /// begin with `version`, newest first.
    Source {
        package: &'static str,
        version: &'static str,
    },
    /// A tag of a git repository that is this commit, and of which git makes a tarball with this
    /// SHA-256.
    Commit {
        repository: &'static str,
        tag: &'static str,
        commit: &'static str,
        sha256: &'static str,
    },
    /// A binary package alone, in the versions that the suites list for the upstream `version`.
    Package {
        package: &'static str,
        version: &'static str,
    },
    /// Packages of a suite with all that they depend on, as for an empty system. `name/suite` takes
    /// one of them from another suite.
    Closure {
        suite: Suite,
        packages: &'static [&'static str],
    },
    /// A component of the pinned toolchain, from rustup.
    Rustup {
        component: &'static str,
        toolchain: &'static str,
    },
}

/// A file that is known by its name and sum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned {
    /// Its directory below the mirror.
    pub(crate) directory: &'static str,
    /// Its name.
    pub(crate) file: &'static str,
    /// Its SHA-256.
    pub(crate) sha256: &'static str,
}

/// The release of Xen that is fetched when the user names no tree.
const XEN: &str = "4.20.";

/// The release of Rust that rust-toolchain.toml pins.
const RUST: &str = "1.95.0";

/// Xen's source. The pinned versions are those with which everything was tested.
pub(crate) const XEN_SOURCE: Artefact = Artefact {
    name: "xen-source",
    title: "Xen's source",
    minutes: 10,
    origins: &[
        Origin::Pinned(&[Pinned {
            directory: "pool/main/x/xen",
            file: "xen_4.20.3+127-gc42374a105.orig.tar.xz",
            sha256: "df0831854a55a8f31cb3cb85036f2edc928e2ef098d77f815f5714bfafac68f3",
        }]),
        Origin::Source {
            package: "xen",
            version: XEN,
        },
        release("https://xenbits.xen.org/git-http/xen.git"),
        release("https://github.com/xen-project/xen.git"),
    ],
    finish: tarball::unpack,
    accept: tarball::check,
    remedy: "set XEN_IRQ_XEN_TARBALL to a tarball of Xen 4.20, or name a tree with --xen-tree",
};

/// Upstream's newest release that the series was tried on.
const fn release(repository: &'static str) -> Origin {
    Origin::Commit {
        repository,
        tag: "RELEASE-4.20.4",
        commit: "9611e26eff425be128d4b9c7b48f2bc6b5d3498e",
        sha256: "5fe22ba2f1886b2e444863e1dda91b9f5d065bf00ea45d95db34481ba8b539fb",
    }
}

/// The sources of core.
pub(crate) const RUST_SOURCE: Artefact = Artefact {
    name: "rust-src-1.95.0",
    title: "core's sources",
    minutes: 15,
    origins: &[
        Origin::Rustup {
            component: "rust-src",
            toolchain: RUST,
        },
        Origin::Package {
            package: "rust-src",
            version: RUST,
        },
        Origin::Pinned(&[Pinned {
            directory: "pool/main/r/rustc",
            file: "rust-src_1.95.0+dfsg1-2~bpo13+1_all.deb",
            sha256: "7b76db5b880a77f9e52975d2baa6209d2f76d2c9c2789515c3088cb960e2c83b",
        }]),
    ],
    finish: rust_src::unpack_rust_src,
    accept: rust_src::check_rust_src,
    remedy: "run `rustup component add rust-src` where there is a network",
};

/// The machine emulator. Older ones lose interrupts now and then, so trixie's is no fallback.
pub(crate) const EMULATOR: Artefact = Artefact {
    name: "emulator-packages",
    title: "the machine emulator",
    minutes: 30,
    origins: &[
        Origin::Closure {
            suite: Suite::TrixieBackports,
            packages: &["qemu-system-x86"],
        },
        Origin::Closure {
            suite: Suite::Sid,
            packages: &["qemu-system-x86"],
        },
    ],
    finish: super::keep_all,
    accept: super::accept_all,
    remedy: super::NETWORK,
};

/// The packages of dom0 without its kernel. The device model of trixie dies when two devices are
/// passed through, so it comes newer.
pub(crate) const DOM0: Artefact = Artefact {
    name: "dom0-packages",
    title: "dom0's packages",
    minutes: 30,
    origins: &[
        Origin::Closure {
            suite: Suite::Trixie,
            packages: &[
                "xen-utils-4.20",
                "xenstore-utils",
                "busybox-static",
                "qemu-system-xen/trixie-backports",
                "qemu-system-data/trixie-backports",
                "qemu-system-common/trixie-backports",
            ],
        },
        Origin::Closure {
            suite: Suite::Sid,
            packages: &[
                "xen-utils-4.20",
                "xenstore-utils",
                "busybox-static",
                "qemu-system-xen",
            ],
        },
    ],
    finish: super::keep_all,
    accept: super::accept_all,
    remedy: super::NETWORK,
};

/// The kernel of dom0 and of the guests.
pub(crate) const KERNEL: Artefact = Artefact {
    name: "kernel-packages",
    title: "the kernel",
    minutes: 30,
    origins: &[
        Origin::Closure {
            suite: Suite::Trixie,
            packages: &["linux-image-amd64"],
        },
        Origin::Closure {
            suite: Suite::TrixieBackports,
            packages: &["linux-image-amd64"],
        },
        Origin::Closure {
            suite: Suite::Sid,
            packages: &["linux-image-amd64"],
        },
    ],
    // A kernel's other dependencies are for a system that boots by itself.
    finish: |from, to| super::keep_some(from, to, "linux-"),
    accept: super::accept_all,
    remedy: super::NETWORK,
};

/// GRUB's scripts, Debian's settings for machines with Xen, and the programs that the scripts need.
const GRUB_PACKAGES: &[&str] = &[
    "grub-common",
    "grub2-common",
    "xen-hypervisor-common",
    "coreutils",
    "dash",
    "grep",
    "mawk",
    "sed",
];

/// What README's recipe for a real machine is tried with.
pub(crate) const GRUB: Artefact = Artefact {
    name: "grub-packages",
    title: "GRUB",
    minutes: 15,
    origins: &[
        Origin::Closure {
            suite: Suite::Trixie,
            packages: GRUB_PACKAGES,
        },
        Origin::Closure {
            suite: Suite::Sid,
            packages: GRUB_PACKAGES,
        },
    ],
    finish: super::keep_all,
    accept: super::accept_all,
    remedy: super::NETWORK,
};

/// All of them.
pub(crate) const ALL: [&Artefact; 6] =
    [&XEN_SOURCE, &RUST_SOURCE, &EMULATOR, &DOM0, &KERNEL, &GRUB];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_of_core_are_those_of_the_pinned_toolchain() {
        assert_eq!(rust_src::rust_version().unwrap(), RUST);
        assert_eq!(RUST_SOURCE.name, format!("rust-src-{RUST}"));
    }

    #[test]
    fn each_artefact_has_a_fallback() {
        for artefact in ALL {
            assert!(artefact.origins.len() >= 2, "{}", artefact.name);
        }
    }

    #[test]
    fn pinned_sums_are_sha256() {
        let origins = ALL.iter().flat_map(|artefact| artefact.origins);
        let pinned: Vec<&Pinned> = origins
            .filter_map(|origin| match origin {
                Origin::Pinned(files) => Some(*files),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(pinned.len(), 2);
        for file in pinned {
            let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            assert!(file.sha256.len() == 64 && file.sha256.chars().all(hex));
        }
    }
}
