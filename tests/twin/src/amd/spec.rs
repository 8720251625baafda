//! What a world consists of.

/// What tells a requester: segment, and bus, device and function.
pub(super) type Place = (u16, u16);

/// Functions of a device.
pub(super) const FUNCTIONS: u16 = 8;

/// An IOMMU.
#[derive(Clone, Copy, Debug)]
pub(super) struct IommuSpec {
    pub(super) place: Place,
    /// Whether entries have 128 bits.
    pub(super) wide: bool,
    pub(super) enabled: bool,
}

/// What firmware says of a requester.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequesterSpec {
    pub(super) place: Place,
    pub(super) valid: bool,
    /// The ID that its requests bear.
    pub(super) alias: u16,
    pub(super) iommu: Option<usize>,
    /// Whether it is an IO-APIC or the HPET: Xen gives those a table as soon as firmware speaks of
    /// them, and firmware may say only after that that their requests bear another's ID.
    pub(super) is_special: bool,
}

/// A function of PCI.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceSpec {
    pub(super) place: Place,
    /// How far apart its phantom functions are; zero where it has none.
    pub(super) stride: u8,
}

/// An IO-APIC.
#[derive(Clone, Debug)]
pub(super) struct IoApicSpec {
    pub(super) apic_id: u8,
    /// Where firmware says it is, if it does.
    pub(super) place: Option<Place>,
    /// What the pins hold at boot.
    pub(super) pins: Vec<u64>,
}

/// What firmware says of the HPET.
#[derive(Clone, Copy, Debug)]
pub(super) struct HpetSpec {
    pub(super) place: Place,
    pub(super) id: u16,
    /// Who says so: nobody, the command line, or firmware.
    pub(super) said_by: u32,
}

/// Who sends messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SenderSpec {
    /// A function with MSI, of one or more messages.
    Msi { device: usize, count: usize },
    /// A function with MSI-X.
    Msix { device: usize },
    /// An HPET, by its number.
    Hpet { id: u32 },
}

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(super) x2apic: bool,
    /// Whether requesters have tables of their own.
    pub(super) per_device: bool,
    /// The boot option `iommu=debug`.
    pub(super) debug: bool,
    /// How many requesters a segment has.
    pub(super) requester_count: u32,
    pub(super) segments: Vec<u16>,
    pub(super) iommus: Vec<IommuSpec>,
    pub(super) requesters: Vec<RequesterSpec>,
    pub(super) devices: Vec<DeviceSpec>,
    pub(super) io_apics: Vec<IoApicSpec>,
    pub(super) hpet: HpetSpec,
    pub(super) senders: Vec<SenderSpec>,
}

impl Spec {
    /// Where the messages of a sender come from.
    pub(super) fn place(&self, sender: SenderSpec) -> Place {
        match sender {
            SenderSpec::Msi { device, .. } | SenderSpec::Msix { device } => {
                self.devices[device].place
            }
            SenderSpec::Hpet { .. } => self.hpet.place,
        }
    }
}
