//! IOMMUs, IO-APICs, and functions and HPETs with MSI descriptors.

use xen_sys as sys;

use super::firmware::Firmware;
use super::spec::{DeviceSpec, IoApicSpec, SenderSpec, Spec};
use crate::machine::io_apic::IoApics;
use crate::side::Side;
use crate::xen::{add_to_list, addr, get, init_list, set};

/// `iommu_intremap_full`, and `SYS_STATE_boot`.
pub(super) const FULL: u8 = sys::iommu_intremap_full;
/// `iommu_intremap_restricted`.
pub(super) const RESTRICTED: u8 = sys::iommu_intremap_restricted;
/// The word of the features with CMPXCHG16B (leaf 1, ECX), and its bit there.
const CX16: (usize, u32) = (1, 1 << 13);
/// Where `boot_cpu_data` has the words of features.
const FEATURES: usize = 12;

/// A sender of messages and its descriptors.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    pub(super) spec: SenderSpec,
    /// One for each message.
    pub(super) descs: *mut sys::msi_desc,
    pub(super) count: usize,
    pub(super) unit: Option<usize>,
    /// See [`Spec::refusal`].
    pub(super) refusal: Option<i32>,
}

/// A built world.
pub(crate) struct World {
    pub(super) spec: Spec,
    pub(super) iommus: Vec<*mut sys::vtd_iommu>,
    pub(super) units: Vec<*mut sys::acpi_drhd_unit>,
    pub(super) devices: Vec<*mut sys::pci_dev>,
    pub(super) senders: Vec<Sender>,
    /// For each pin whether it has an entry.
    pub(super) remapped: Vec<Vec<bool>>,
    /// What was last written to each pin, as its entry of the table delivers it.
    pub(super) delivered: Vec<Vec<u64>>,
    pub(super) message: *mut sys::msi_msg,
    /// The unit that serves the sender of the message, while there is one.
    pub(super) addressee: Option<usize>,
    /// A descriptor that no sender has, for entries that are in use.
    pub(super) filler: *mut sys::msi_desc,
    /// Whether remapping was switched on in full, and pins may be remapped.
    pub(super) ready: bool,
    /// Whether it was once switched on but for the memory for pins.
    pub(super) ran_out: bool,
}

impl World {
    pub(super) fn build(side: &mut Side, spec: &Spec) -> Self {
        let vcpu = side.env().arena.object::<sys::vcpu>("vcpu", 0);
        side.cpu.set_current(vcpu, 0);
        let mut world = Self {
            spec: spec.clone(),
            iommus: Vec::new(),
            units: Vec::new(),
            devices: Vec::new(),
            senders: Vec::new(),
            remapped: spec
                .io_apics
                .iter()
                .map(|io_apic| vec![false; io_apic.pins.len()])
                .collect(),
            delivered: spec
                .io_apics
                .iter()
                .map(|io_apic| vec![0; io_apic.pins.len()])
                .collect(),
            message: side.env().arena.object("msi_msg", 0),
            addressee: None,
            filler: side.env().arena.objects("filler", 0, 32),
            ready: false,
            ran_out: false,
        };
        // What these hold names entries, whose numbers may differ; see `compare`.
        side.env().arena.keep_private(world.message);
        side.env()
            .arena
            .keep_private::<[sys::msi_desc; 32]>(world.filler.cast());
        world.add_units(side);
        world.add_io_apics(side);
        for (number, device) in spec.devices.iter().enumerate() {
            let pdev = add_device(side, number, device);
            world.devices.push(pdev);
        }
        for number in 0..spec.senders.len() {
            world.add_sender(side, number);
        }
        *side.env().unit.of_mut() = Firmware::of(spec, &world.units, &world.devices);
        set_variable(side, "x2apic_enabled", spec.x2apic);
        set_variable(side, "iommu_non_coherent", spec.non_coherent);
        set_variable(side, "iommu_enable", true);
        set_variable(side, "iommu_qinval", true);
        set_variable(side, "iommu_intremap", FULL);
        set_variable(side, "xen_phys_start", 0x1_2340_0000_u64);
        set_option(side, "intremap-entries", spec.limit.unwrap_or(0) as u32);
        world
    }

    fn add_units(&mut self, side: &mut Side) {
        let head = list_head(side);
        if let Some(head) = head {
            init_list(head);
        }
        for (number, spec) in self.spec.iommus.iter().enumerate() {
            let env = side.env();
            let iommu: *mut sys::vtd_iommu = env.arena.object("vtd_iommu", number);
            let unit: *mut sys::acpi_drhd_unit = env.arena.object("acpi_drhd_unit", number);
            let registers = env.machine.vtd.add(iommu, spec.status, spec.table);
            set!(iommu, reg, registers as *mut _);
            set!(iommu, index, number as u32);
            set!(iommu, ecap, spec.capability);
            set!(iommu, node, spec.node);
            set!(iommu, drhd, unit);
            set!(unit, iommu, iommu);
            init_list(addr!(unit, ioapic_list));
            init_list(addr!(unit, hpet_list));
            // The head is a variable of the image.
            env.arena.keep_private(addr!(unit, list));
            if let Some(head) = head {
                add_to_list(addr!(unit, list), head);
            }
            self.iommus.push(iommu);
            self.units.push(unit);
        }
        for (number, spec) in self.spec.hpets.iter().enumerate() {
            let hpet: *mut sys::acpi_hpet_unit = side.env().arena.object("acpi_hpet_unit", number);
            set!(hpet, id, spec.hpet);
            set!(hpet, __bindgen_anon_1.bdf, spec.id);
            add_to_list(addr!(hpet, list), addr!(self.units[spec.unit], hpet_list));
        }
    }

    fn add_io_apics(&mut self, side: &mut Side) {
        set_variable(side, "nr_ioapics", self.spec.io_apics.len() as u32);
        for (number, spec) in self.spec.io_apics.iter().enumerate() {
            side.env().machine.io_apics.add(spec.pins.clone());
            let entry = sys::mpc_config_ioapic {
                mpc_type: 2,
                mpc_apicid: spec.apic_id,
                mpc_apicver: 0x20,
                mpc_flags: 1,
                mpc_apicaddr: IoApics::address(number),
            };
            set_element(side, "mp_ioapics", number, entry);
            set_element(side, "nr_ioapic_entries", number, spec.pins.len() as u32);
            if let IoApicSpec {
                unit: Some(unit), ..
            } = spec
            {
                let io_apic: *mut sys::acpi_ioapic_unit =
                    side.env().arena.object("acpi_ioapic_unit", number);
                set!(io_apic, apic_id, spec.apic_id.into());
                set!(io_apic, ioapic.info, spec.id);
                add_to_list(addr!(io_apic, list), addr!(self.units[*unit], ioapic_list));
            }
        }
    }

    fn add_sender(&mut self, side: &mut Side, number: usize) {
        let spec = self.spec.senders[number];
        let count = match spec {
            SenderSpec::Msi { count, .. } => count,
            _ => 1,
        };
        let descs: *mut sys::msi_desc = side.env().arena.objects("msi_desc", number, count);
        for message in 0..count {
            let desc = descs.wrapping_add(message);
            set!(desc, irq, (40 + number * 32 + message) as i32);
            set!(desc, remap_index, -1);
            // See `compare`.
            side.env().arena.keep_private(index_word(desc));
            match spec {
                SenderSpec::Msi { device, count } => {
                    set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
                    set!(desc, msi_attrib.entry_nr, message as u16);
                    set!(desc, dev, self.devices[device]);
                    let count = if message == 0 { count } else { 0 };
                    set!(desc, __bindgen_anon_1.msi.nvec, count as u32);
                }
                SenderSpec::Msix { device, entry } => {
                    set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSIX as u8);
                    set!(desc, msi_attrib.entry_nr, entry);
                    set!(desc, dev, self.devices[device]);
                    // Where MSI has the number of its messages.
                    let mask = 0xffff_82c0_1000_0007_usize + number * 16;
                    set!(desc, __bindgen_anon_1.mask_base, mask as *mut _);
                }
                SenderSpec::Hpet { hpet } => set!(desc, __bindgen_anon_1.hpet_id, hpet),
            }
        }
        self.senders.push(Sender {
            spec,
            descs,
            count,
            unit: self.spec.unit(spec),
            refusal: self.spec.refusal(spec),
        });
    }

    /// Sets what the next call is told.
    pub(super) fn set_message(&self, address: u64, data: u32, destination: u32) {
        set!(self.message, __bindgen_anon_1.address, address);
        set!(self.message, data, data);
        set!(self.message, dest32, destination);
    }

    /// An index of a list of the world, taken modulo its length; none where it has no elements.
    pub(super) fn choose<T>(list: &[T], index: usize) -> Option<usize> {
        index.checked_rem(list.len())
    }

    /// Whether an IOMMU has a table.
    pub(super) fn has_table(&self, unit: usize) -> bool {
        get!(self.iommus[unit], intremap.maddr) != 0
    }

    /// Whether entries of an IOMMU were taken into use and not written yet. C hands those out
    /// again; what calls it for the messages of a block, and for an HPET, does not let go before
    /// all are written.
    pub(super) fn has_unwritten(&self, unit: usize) -> bool {
        self.senders
            .iter()
            .filter(|sender| sender.unit == Some(unit))
            .flat_map(|sender| (0..sender.count).map(|number| sender.descs.wrapping_add(number)))
            .any(|desc| get!(desc, remap_index) >= 0 && !get!(desc, irte_initialized))
    }
}

/// The word of a descriptor that holds its entry's number, with that of its interrupt.
pub(super) fn index_word(desc: *mut sys::msi_desc) -> *const u64 {
    addr!(desc, irq) as *const u64
}

fn add_device(side: &mut Side, number: usize, spec: &DeviceSpec) -> *mut sys::pci_dev {
    let pdev: *mut sys::pci_dev = side.env().arena.object("pci_dev", number);
    let (segment, id) = spec.place;
    set!(
        pdev,
        __bindgen_anon_1.sbdf.sbdf,
        u32::from(segment) << 16 | u32::from(id)
    );
    set!(pdev, type_, spec.kind);
    set!(pdev, phantom_stride, spec.stride);
    pdev
}

/// The list of all units, if the image refers to it.
fn list_head(side: &Side) -> Option<*mut sys::list_head> {
    let address = side.image.variable("acpi_drhd_units")?;
    Some(address as *mut sys::list_head)
}

/// Sets a variable of Xen, if the image refers to it.
pub(crate) fn set_variable<T>(side: &Side, name: &str, value: T) {
    set_element(side, name, 0, value);
}

/// Sets an element of an array of Xen, if the image refers to it.
pub(crate) fn set_element<T>(side: &Side, name: &str, index: usize, value: T) {
    if let Some(address) = side.image.variable(name) {
        // SAFETY: `import` gives each variable the room of its type in Xen, and no call runs.
        unsafe { (address as *mut T).add(index).write(value) };
    }
}

/// Sets the variable behind a boot option, if the image has the option.
pub(crate) fn set_option<T>(side: &mut Side, name: &str, value: T) {
    if let Some(address) = side.image.option(name) {
        // SAFETY: The variable is one of the image's own and has that type, and no call runs.
        unsafe { (address as *mut T).write(value) };
    }
}

/// Reads a byte of a variable of Xen, if the image refers to it.
pub(crate) fn byte_variable(side: &Side, name: &str) -> Option<u8> {
    let address = side.image.variable(name)?;
    // SAFETY: As for `set_element`; any bytes are a valid byte.
    Some(unsafe { (address as *const u8).read() })
}

/// Says whether the processor has CMPXCHG16B.
pub(crate) fn set_wide_exchange(side: &Side, value: bool) {
    let (word, bit) = CX16;
    let mut features = [0u32; 4];
    features[word] = if value { bit } else { !bit };
    if let Some(address) = side.image.variable("boot_cpu_data") {
        // SAFETY: As for `set_element`.
        unsafe { ((address + FEATURES) as *mut [u32; 4]).write(features) };
    }
}
