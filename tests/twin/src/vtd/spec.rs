//! What a world consists of, and what follows from that alone.

use xen_sys as sys;

/// What tells a function of PCI: segment, and bus, device and function.
pub(super) type Place = (u16, u16);

/// What `find_upstream_bridge()` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upstream {
    /// 0: the function is integrated.
    Direct,
    /// 1: a bridge, what `pdev_type()` says of it, and the bus below it.
    Bridge { id: u16, kind: u32, secondary: u8 },
    /// -1.
    Unknown,
}

/// The bus below a bridge that is on this one, and does not lie: the next.
pub(super) fn bus_below(bus: u8) -> u8 {
    bus + 1
}

/// An IOMMU as firmware left it.
#[derive(Clone, Copy, Debug)]
pub(super) struct IommuSpec {
    pub(super) capability: u64,
    pub(super) status: u32,
    pub(super) table: u64,
    pub(super) node: u8,
}

/// An IO-APIC.
#[derive(Clone, Debug)]
pub(super) struct IoApicSpec {
    pub(super) apic_id: u8,
    /// The unit that serves it, if one does, and the ID of its requests there.
    pub(super) unit: Option<usize>,
    pub(super) id: u16,
    /// What the pins hold at boot.
    pub(super) pins: Vec<u64>,
}

/// An HPET that a unit serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct HpetSpec {
    pub(super) hpet: u32,
    pub(super) unit: usize,
    pub(super) id: u16,
}

/// A function of PCI.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeviceSpec {
    pub(super) place: Place,
    pub(super) kind: u32,
    pub(super) stride: u8,
    pub(super) unit: Option<usize>,
    pub(super) upstream: Upstream,
}

/// Who sends messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SenderSpec {
    /// A function, with this many messages of MSI.
    Msi { device: usize, count: usize },
    /// A function, with an entry of MSI-X.
    Msix { device: usize, entry: u16 },
    /// An HPET, which need not have a unit.
    Hpet { hpet: u32 },
}

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Whether the local APICs are in x2APIC mode, and Xen composes 32-bit destinations.
    pub(super) x2apic: bool,
    /// Whether IOMMUs are switched on in extended interrupt mode. Firmware may have left the local
    /// APICs in x2APIC mode where they are not.
    pub(super) eim: bool,
    pub(super) non_coherent: bool,
    /// The boot option `intremap-entries`, which C does not have: how many entries of a table may
    /// be used.
    pub(super) limit: Option<usize>,
    pub(super) iommus: Vec<IommuSpec>,
    pub(super) io_apics: Vec<IoApicSpec>,
    pub(super) hpets: Vec<HpetSpec>,
    pub(super) devices: Vec<DeviceSpec>,
    pub(super) senders: Vec<SenderSpec>,
}

/// Whether 8 bits cannot name a destination of 32. All of them set mean every CPU, as a physical
/// ID.
pub(crate) fn is_long_destination(destination: u32, logical: bool) -> bool {
    destination > if logical { 0xff } else { 0xfe }
}

impl Spec {
    /// Whether an entry of the table cannot name a destination: it has 8 bits for APIC IDs of 32.
    pub(super) fn is_beyond(&self, destination: u32, logical: bool) -> bool {
        self.x2apic && !self.eim && is_long_destination(destination, logical)
    }

    /// The unit that serves a sender.
    pub(super) fn unit(&self, sender: SenderSpec) -> Option<usize> {
        match sender {
            SenderSpec::Msi { device, .. } | SenderSpec::Msix { device, .. } => {
                self.devices[device].unit
            }
            SenderSpec::Hpet { hpet } => self.hpet(hpet).map(|found| found.unit),
        }
    }

    /// An HPET by its number; of several, the first in the order of units.
    pub(super) fn hpet(&self, hpet: u32) -> Option<&HpetSpec> {
        let matching = self.hpets.iter().filter(|found| found.hpet == hpet);
        matching.min_by_key(|found| found.unit)
    }

    /// What `pdev_type()` answers for a bridge.
    pub(super) fn kind_of_bridge(&self, (segment, id): Place) -> Option<u32> {
        self.devices
            .iter()
            .find_map(|device| match device.upstream {
                Upstream::Bridge {
                    id: bridge, kind, ..
                } => ((device.place.0, bridge) == (segment, id)).then_some(kind),
                _ => None,
            })
    }

    /// Why nobody can say which requests are a function's: the errno of Rust, where C opens the
    /// entry to everybody.
    pub(super) fn refusal(&self, sender: SenderSpec) -> Option<i32> {
        let (SenderSpec::Msi { device, .. } | SenderSpec::Msix { device, .. }) = sender else {
            return None;
        };
        let device = &self.devices[device];
        let unknown = match device.kind {
            sys::DEV_TYPE_PCIe_ENDPOINT
            | sys::DEV_TYPE_PCIe_BRIDGE
            | sys::DEV_TYPE_PCIe2PCI_BRIDGE
            | sys::DEV_TYPE_PCI_HOST_BRIDGE => false,
            sys::DEV_TYPE_PCI | sys::DEV_TYPE_LEGACY_PCI_BRIDGE | sys::DEV_TYPE_PCI2PCIe_BRIDGE => {
                match device.upstream {
                    Upstream::Direct => false,
                    Upstream::Unknown => true,
                    // The bridge must be above its secondary bus, and that above the function.
                    Upstream::Bridge { id, secondary, .. } => {
                        let [bridge, own] = [id, device.place.1].map(|id| (id >> 8) as u8);
                        !(bridge < secondary && secondary <= own)
                    }
                }
            }
            _ => return Some(libc::EOPNOTSUPP),
        };
        unknown.then_some(libc::ENXIO)
    }
}
