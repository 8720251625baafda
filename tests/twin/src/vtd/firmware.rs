//! What firmware says of the world that is built, for the functions that Xen asks.

use xen_sys as sys;

use super::spec::{Place, Spec, Upstream};
use crate::heap::Failure;

/// The tables of one side, with pointers into its arena.
#[derive(Default)]
pub(crate) struct Firmware {
    spec: Option<Spec>,
    functions: Vec<(*mut sys::pci_dev, *mut sys::acpi_drhd_unit)>,
    hpets: Vec<(u32, *mut sys::acpi_drhd_unit)>,
    io_apics: Vec<(u32, *mut sys::acpi_drhd_unit)>,
    /// Whether interrupts may be remapped, and local APICs used in x2APIC mode.
    pub(super) remapping_allowed: bool,
    pub(super) x2apic_allowed: bool,
    /// Whether Xen has booted.
    pub(super) active: bool,
    /// Whether bridges may be asked: reading their configuration space takes time, and may fail.
    pub(super) bridges_answer: bool,
    /// Which allocations fail once a table was set.
    pub(super) late_failure: Option<Failure>,
}

impl Firmware {
    /// Those of a world.
    pub(super) fn of(
        spec: &Spec,
        units: &[*mut sys::acpi_drhd_unit],
        devices: &[*mut sys::pci_dev],
    ) -> Self {
        let unit = |unit: Option<usize>| unit.map_or(std::ptr::null_mut(), |number| units[number]);
        let devices = spec.devices.iter().zip(devices);
        Self {
            functions: devices
                .map(|(device, pdev)| (*pdev, unit(device.unit)))
                .collect(),
            hpets: spec
                .hpets
                .iter()
                .filter_map(|hpet| spec.hpet(hpet.hpet))
                .map(|hpet| (hpet.hpet, unit(Some(hpet.unit))))
                .collect(),
            io_apics: spec
                .io_apics
                .iter()
                .map(|io_apic| (io_apic.apic_id.into(), unit(io_apic.unit)))
                .collect(),
            spec: Some(spec.clone()),
            bridges_answer: true,
            ..Self::default()
        }
    }

    fn find<K: PartialEq>(
        list: &[(K, *mut sys::acpi_drhd_unit)],
        key: K,
    ) -> *mut sys::acpi_drhd_unit {
        list.iter()
            .find(|(known, _)| *known == key)
            .map_or(std::ptr::null_mut(), |(_, unit)| *unit)
    }

    /// The unit that serves a function.
    pub(super) fn unit_of_function(&self, pdev: *const sys::pci_dev) -> *mut sys::acpi_drhd_unit {
        Self::find(&self.functions, pdev.cast_mut())
    }

    /// The unit that serves an HPET.
    pub(super) fn unit_of_hpet(&self, hpet: u32) -> *mut sys::acpi_drhd_unit {
        Self::find(&self.hpets, hpet)
    }

    /// The unit that serves an IO-APIC.
    pub(super) fn unit_of_io_apic(&self, apic_id: u32) -> *mut sys::acpi_drhd_unit {
        Self::find(&self.io_apics, apic_id)
    }

    /// What `find_upstream_bridge()` answers, the bridge, and the bus below it.
    pub(super) fn upstream(&self, place: Place) -> Option<(i32, u16, u8)> {
        let devices = &self.spec.as_ref()?.devices;
        let device = devices.iter().find(|device| device.place == place)?;
        Some(match device.upstream {
            Upstream::Direct => (0, 0, 0),
            Upstream::Bridge { id, secondary, .. } => (1, id, secondary),
            // Where it gave up.
            Upstream::Unknown => (-1, !place.1, !(place.1 >> 8) as u8),
        })
    }

    /// What `pdev_type()` answers.
    pub(super) fn kind_of_bridge(&self, place: Place) -> Option<u32> {
        self.spec.as_ref()?.kind_of_bridge(place)
    }
}
