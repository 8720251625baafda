//! The machine emulator: QEMU of a newer Debian, run from the cache by its own loader, and its
//! command lines.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::image;
use crate::fetch::table::EMULATOR;
use crate::proc::Cmd;
use crate::{cache, fetch, ui};

/// The IOMMU of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Iommu {
    /// Intel's, with interrupt remapping; `eim` gives it extended interrupt mode.
    Vtd {
        /// Interrupts are remapped.
        intremap: bool,
        /// Extended interrupt mode: 32-bit destinations.
        eim: bool,
    },
    /// AMD's, with interrupt remapping; `xt` gives it 128-bit entries.
    Amd {
        /// 128-bit interrupt remapping entries.
        xt: bool,
    },
}

impl Iommu {
    /// Whether it has room for the 32-bit destinations of x2APIC mode.
    fn wide(self) -> bool {
        match self {
            Self::Vtd { eim, .. } => eim,
            Self::Amd { xt } => xt,
        }
    }

    fn device(self) -> String {
        let onoff = |on| if on { "on" } else { "off" };
        match self {
            // Extended interrupt mode exists only with remapping; QEMU refuses it without.
            Self::Vtd { intremap, eim } => {
                format!(
                    "intel-iommu,intremap={},eim={}",
                    onoff(intremap),
                    onoff(eim)
                )
            }
            // Unless told to, it translates no addresses for devices of guests.
            Self::Amd { xt } => {
                format!("amd-iommu,intremap=on,dma-remap=on,xtsup={}", onoff(xt))
            }
        }
    }
}

/// A machine to emulate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Its IOMMU, if any.
    pub(super) iommu: Option<Iommu>,
    /// A NIC at 00:04.0 and an NVMe disk at 00:05.0. The device model of a guest keeps lower slots
    /// to itself.
    pub(super) devices: bool,
    /// One device of each other kind: MSI (edu), a root port, MSI with many vectors (xhci); at
    /// 00:06.0 to 00:08.0.
    pub(super) test_devices: bool,
    /// Further devices, as the emulator's options name them.
    pub(super) more: &'static [&'static str],
    /// Memory in MiB.
    pub(super) memory: u32,
    /// Processors.
    pub(super) cpus: u32,
}

impl Machine {
    /// A line for people.
    pub(super) fn describe(&self) -> String {
        let iommu = match self.iommu {
            None => "no IOMMU",
            Some(Iommu::Vtd {
                intremap: false, ..
            }) => "VT-d without interrupt remapping",
            Some(Iommu::Vtd { .. }) => "VT-d with interrupt remapping",
            Some(Iommu::Amd { .. }) => "AMD-Vi with interrupt remapping",
        };
        format!(
            "QEMU's q35, {} CPUs, {} MiB, {iommu}",
            self.cpus, self.memory
        )
    }
}

/// What the machine starts.
pub(super) struct Payload<'a> {
    /// Xen, the ELF32 file that multiboot takes.
    pub(super) xen: &'a Path,
    /// Xen's command line.
    pub(super) xen_line: &'a str,
    /// dom0's kernel.
    pub(super) kernel: &'a Path,
    /// dom0's command line.
    pub(super) kernel_line: &'a str,
    /// dom0's RAM disk, if it has one.
    pub(super) initrd: Option<&'a Path>,
    /// The socket of a debugger that the machine waits for, if it is to wait for one.
    pub(super) debugger: Option<&'a Path>,
}

/// The emulator, unpacked in the cache.
pub(super) struct Emulator {
    root: PathBuf,
}

impl Emulator {
    /// The emulator, from the cache or fetched.
    pub(super) fn get() -> Result<Self> {
        let recipe = format!("{:?}", EMULATOR.origins);
        let root = cache::entry("emulator", &recipe, |dir| {
            let debs = fetch::files(&fetch::get(&EMULATOR)?)?;
            let step = ui::step("unpacking the machine emulator");
            image::prepare_root(dir)?;
            fetch::unpack(&debs, dir)?;
            step.done();
            Ok(())
        })?;
        Ok(Self { root })
    }

    /// Where it is; the name stands for what it was made from.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The command that runs `machine`: the serial line goes to `serial`, the disk is the file
    /// `disk`.
    pub(super) fn command(
        &self,
        machine: &Machine,
        payload: &Payload<'_>,
        serial: &Path,
        disk: &Path,
    ) -> Cmd {
        let x2apic = match machine.iommu {
            Some(iommu) if iommu.wide() => ",+x2apic",
            _ => "",
        };
        let lib = self.root.join("usr/lib/x86_64-linux-gnu");
        // The host's C library may be older than the emulator's: its own loader finds its own
        // libraries.
        let mut cmd = Cmd::new(self.root.join("usr/lib64/ld-linux-x86-64.so.2"))
            .env("QEMU_MODULE_DIR", lib.join("qemu"))
            .arg("--library-path")
            .arg(lib)
            .arg(self.root.join("usr/bin/qemu-system-x86_64"));
        for data in ["qemu", "seabios"] {
            cmd = cmd.arg("-L").arg(self.root.join("usr/share").join(data));
        }
        cmd = cmd
            .args(["-accel", "tcg,thread=multi"])
            .args(["-machine", "q35,kernel-irqchip=split"])
            // TCG has no VMX but SVM. MWAIT is left out because dom0's use of it faults, nested
            // paging because a guest's addresses are now and then translated as the host's or the
            // other way round, on stock Xen too, which is a triple fault of the guest. Xen shadows
            // the guests' page tables instead.
            .args(["-cpu", &format!("EPYC,-monitor,-npt{x2apic}")])
            .args(["-smp", &machine.cpus.to_string()])
            .args(["-m", &machine.memory.to_string()])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-vga", "none", "-monitor", "stdio"])
            .args(["-serial", &format!("file:{}", escape(serial))]);
        if let Some(iommu) = machine.iommu {
            cmd = cmd.args(["-device", &iommu.device()]);
        }
        if machine.devices {
            cmd = cmd
                // 10.0.2.100 port 7 sends back what it gets.
                .args([
                    "-netdev",
                    "user,id=n0,restrict=on,guestfwd=tcp:10.0.2.100:7-cmd:cat",
                ])
                // Without its boot ROM, which every guest that has it would run.
                .args(["-device", "e1000e,netdev=n0,addr=4,romfile="])
                .args([
                    "-drive",
                    &format!("if=none,id=d0,format=raw,file={}", escape(disk)),
                ])
                .args(["-device", "nvme,serial=a,drive=d0,addr=5"]);
        }
        if machine.test_devices {
            cmd = cmd
                .args(["-device", "edu,addr=6"])
                .args(["-device", "ioh3420,addr=7,id=rp,chassis=1"])
                .args(["-device", "nec-usb-xhci,addr=8"]);
        }
        cmd = cmd.args(machine.more);
        if let Some(socket) = payload.debugger {
            let port = format!("unix:{},server=on,wait=off", escape(socket));
            cmd = cmd.args(["-S", "-gdb", &port]);
        }
        let mut modules = format!("{} {}", escape(payload.kernel), payload.kernel_line);
        if let Some(initrd) = payload.initrd {
            modules += &format!(",{}", escape(initrd));
        }
        cmd.arg("-kernel")
            .arg(payload.xen)
            .args(["-initrd", &modules])
            .args(["-append", payload.xen_line])
    }
}

/// A comma in a file name is written twice in the emulator's options.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_are_doubled() {
        assert_eq!(escape(Path::new("/a,b")), "/a,,b");
    }

    #[test]
    fn each_iommu_has_its_device() {
        let noeim = Iommu::Vtd {
            intremap: true,
            eim: false,
        };
        assert_eq!(noeim.device(), "intel-iommu,intremap=on,eim=off");
        assert!(Iommu::Amd { xt: true }.device().ends_with("xtsup=on"));
    }
}
