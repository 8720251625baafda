//! What a world consists of, and what follows from that alone.

/// Bits of the control word of a physical function.
pub(super) const SRIOV_ENABLE: u16 = 1 << 0;
pub(super) const SRIOV_MEMORY: u16 = 1 << 3;

/// Who has a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Dom0,
    Guest,
    /// Nobody, but a guest may have it next: `dom_io`.
    Quarantine,
}

/// Who runs on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Dom0,
    Guest,
    Idle,
}

/// A capability of MSI.
#[derive(Clone, Copy, Debug)]
pub(super) struct MsiSpec {
    pub(super) pos: u8,
    pub(super) is_64: bool,
    pub(super) maskable: bool,
    /// Messages that it can send, as a power of two.
    pub(super) most: u32,
    /// What the mask register has beyond the messages, which is the device's.
    pub(super) reserved: u32,
}

impl MsiSpec {
    /// Where the address of the message is.
    pub(super) fn address_register(self) -> u32 {
        u32::from(self.pos) + 4
    }

    /// Where the data of the message is.
    pub(super) fn data_register(self) -> u32 {
        u32::from(self.pos) + if self.is_64 { 12 } else { 8 }
    }

    /// Where the mask bits are.
    pub(super) fn mask_register(self) -> u32 {
        u32::from(self.pos) + if self.is_64 { 16 } else { 12 }
    }
}

/// A capability of MSI-X.
#[derive(Clone, Copy, Debug)]
pub(super) struct MsixSpec {
    pub(super) pos: u8,
    pub(super) entries: u32,
    /// BAR and offset.
    pub(super) table: (u32, u32),
    pub(super) pba: (u32, u32),
    /// Whether the table answers only while MSI-X is enabled, and what it reads as else.
    pub(super) needs_enable: bool,
    /// What vector control has in bits 31:1, which are the device's.
    pub(super) reserved: u32,
    pub(super) hidden: u32,
    /// Whether entries are unmasked while Xen has set none up.
    pub(super) leaves_unmasked: bool,
}

/// A capability of single root I/O virtualisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct SriovSpec {
    pub(super) pos: u16,
    pub(super) control: u16,
    pub(super) count: u16,
    pub(super) offset: u16,
    pub(super) stride: u16,
    pub(super) bars: [u32; 6],
    /// What Xen found out of the size of each virtual function's BARs.
    pub(super) lens: [u64; 6],
}

/// A function of PCI.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceSpec {
    pub(super) sbdf: u32,
    pub(super) header: u8,
    pub(super) owner: Owner,
    pub(super) command: u16,
    pub(super) bars: [u32; 6],
    pub(super) msi: Option<MsiSpec>,
    pub(super) msix: Option<MsixSpec>,
    pub(super) sriov: Option<SriovSpec>,
    /// The number of the physical function, of a virtual one.
    pub(super) physical: Option<usize>,
}

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(super) x2apic: bool,
    /// Whether the processor has non-executable pages.
    pub(super) no_execute: bool,
    /// `INT_DELIVERY_MODE` and `INT_DEST_MODE`.
    pub(super) modes: [i32; 2],
    pub(super) remapping: u8,
    /// How many CPUs there are; operations name 16 of them, evenly spread.
    pub(super) cpus: u32,
    pub(super) online: u64,
    pub(super) irqs: usize,
    /// What the boot option `msi` became.
    pub(super) use_msi: i8,
    /// Whether dom0 exists already.
    pub(super) booted: bool,
    /// Whether dom0 is a PVH domain, not all of whose writes to configuration space are seen.
    pub(super) pvh: bool,
    /// One read in so many of a device is a lie; none if zero.
    pub(super) lies: usize,
    /// Whether the IOMMU's driver says what of a message changes, as from 4.21 on.
    pub(super) tells: bool,
    /// The boot option `msi-recheck`.
    pub(super) recheck: bool,
    pub(super) devices: Vec<DeviceSpec>,
}

/// Where a memory BAR among some says that memory is.
fn memory(bars: &[u32], bir: usize) -> Option<u64> {
    let low = *bars.get(bir)?;
    let high = match low & 7 {
        _ if low & 1 != 0 => return None,
        4 | 6 if low & 2 == 0 => u64::from(*bars.get(bir + 1)?),
        _ => 0,
    };
    Some(high << 32 | u64::from(low & !0xf))
}

impl Spec {
    /// Where a BAR of a function begins, by what the manuals say; none when there is no memory.
    pub(super) fn bar(&self, device: usize, bir: u32) -> Option<u64> {
        let device = &self.devices[device];
        let bir = bir as usize;
        let Some(physical) = device.physical else {
            let count = match device.header & 0x7f {
                0 => 6,
                1 => 2,
                2 => 1,
                _ => 0,
            };
            return memory(&device.bars[..count], bir).filter(|base| *base != 0);
        };
        let physical = &self.devices[physical];
        let sriov = physical.sriov?;
        let enabled = SRIOV_ENABLE | SRIOV_MEMORY;
        if sriov.control & enabled != enabled || *sriov.lens.get(bir)? == 0 {
            return None;
        }
        let first = (physical.sbdf as u16).checked_add(sriov.offset)?;
        let behind = (device.sbdf as u16).checked_sub(first)?;
        let number = behind.checked_div(sriov.stride).unwrap_or(behind);
        let is_one = behind == number * sriov.stride.max(1) && number < sriov.count;
        if !is_one || sriov.offset == 0 || (sriov.count > 1 && sriov.stride == 0) {
            return None;
        }
        let first = memory(&sriov.bars, bir)?;
        Some(first + u64::from(number) * sriov.lens[bir]).filter(|base| *base != 0)
    }

    /// Registers that several interrupts share: mask registers of MSI, and message control of
    /// MSI-X.
    pub(super) fn shared_registers(&self) -> Vec<(u32, u32)> {
        let of_device = |device: &DeviceSpec| {
            let msi = device.msi.filter(|msi| msi.maskable);
            let registers = [
                msi.map(MsiSpec::mask_register),
                device.msix.map(|msix| u32::from(msix.pos) + 2),
            ];
            let sbdf = device.sbdf;
            let registers = registers.into_iter().flatten();
            registers.map(move |register| (sbdf, register))
        };
        // Where a device lies, any register may be taken for another.
        let honest = self.devices.iter().filter(|_| self.lies == 0);
        honest.flat_map(of_device).collect()
    }

    /// Where the table of a function is.
    pub(super) fn table(&self, device: usize) -> Option<u64> {
        let (bir, offset) = self.devices[device].msix?.table;
        self.bar(device, bir).map(|base| base + u64::from(offset))
    }
}
