//! IOMMUs, requesters, IO-APICs, and functions and HPETs with MSI descriptors.

use xen_sys as sys;

use super::plan::Plan;
use super::platform::{PAGES, Platform};
use super::spec::{Place, SenderSpec, Spec};
use crate::machine::io_apic::IoApics;
use crate::side::Side;
use crate::vtd::world::{set_element, set_variable};
use crate::xen::{add_to_list, addr, get, init_list, physical_start, set};

/// A sender of messages and its descriptors.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    /// One for each message.
    pub(super) descs: *mut sys::msi_desc,
    pub(super) count: usize,
    pub(super) place: Place,
    /// The requester in whose table its entries were allocated.
    pub(super) holder: Option<u16>,
}

/// A built world.
pub(crate) struct World {
    pub(super) spec: Spec,
    pub(super) iommus: Vec<*mut sys::amd_iommu>,
    pub(super) senders: Vec<Sender>,
    /// For each pin, which entry it uses.
    pub(super) pins: Vec<*mut u16>,
    pub(super) message: *mut sys::msi_msg,
    /// A descriptor that no sender has, for entries that are in use.
    pub(super) filler: *mut sys::msi_desc,
    /// What the step was about.
    pub(super) plan: Plan,
}

/// How many descriptors there are that no sender has: as many as a block has.
pub(super) const FILLERS: usize = 32;

/// What says that a pin uses no entry.
pub(super) const NO_ENTRY: u16 = u16::MAX;

impl World {
    pub(super) fn build(side: &mut Side, spec: &Spec) -> Self {
        let vcpu = side.env().arena.object::<sys::vcpu>("vcpu", 0);
        side.cpu.set_current(vcpu, 0);
        let mut world = Self {
            spec: spec.clone(),
            iommus: Vec::new(),
            senders: Vec::new(),
            pins: Vec::new(),
            message: side.env().arena.object("msi_msg", 0),
            filler: side.env().arena.objects("filler", 0, FILLERS),
            plan: Plan::default(),
        };
        world.add_iommus(side);
        world.add_requesters(side);
        world.add_io_apics(side);
        world.add_senders(side);
        for number in 0..FILLERS {
            let desc = world.filler.wrapping_add(number);
            set!(desc, irq, 1000 + number as i32);
            side.env().arena.keep_private(addr!(desc, irq));
        }
        add_page_infos(side);
        set_variable(side, "x2apic_enabled", spec.x2apic);
        set_variable(side, "amd_iommu_perdev_intremap", spec.per_device);
        set_variable(side, "iommu_debug", spec.debug);
        set_variable(side, "iommu_enable", true);
        set_variable(side, "iommu_intremap", sys::iommu_intremap_full);
        set_variable(side, "ivrs_bdf_entries", spec.requester_count);
        let hpet = sys::hpet_sbdf {
            bdf: spec.hpet.place.1,
            seg: spec.hpet.place.0,
            id: spec.hpet.id,
            init: spec.hpet.said_by,
        };
        set_own(side, "hpet_sbdf", 0, hpet);
        world
    }

    fn add_iommus(&mut self, side: &mut Side) {
        let head = side.image.variable("amd_iommu_head");
        let head = head.map(|address| address as *mut sys::list_head);
        if let Some(head) = head {
            init_list(head);
        }
        for (number, spec) in self.spec.iommus.iter().enumerate() {
            let arena = &mut side.env().arena;
            let iommu: *mut sys::amd_iommu = arena.object("amd_iommu", number);
            set!(iommu, seg, spec.place.0);
            set!(iommu, bdf, spec.place.1);
            // All bits but that one, or that one alone.
            let wide = u64::from(sys::XEN_IRQ_AMD_CONTROL_GA_EN);
            set!(iommu, ctrl.raw, if spec.wide { wide } else { !wide });
            set!(iommu, enabled, spec.enabled.into());
            // The head is a variable of the image.
            arena.keep_private(addr!(iommu, list));
            if let Some(head) = head {
                add_to_list(addr!(iommu, list), head);
            }
            self.iommus.push(iommu);
        }
    }

    fn add_requesters(&mut self, side: &mut Side) {
        let count = self.spec.requester_count as usize;
        let mut platform = Platform::default();
        platform.requester_count = self.spec.requester_count;
        platform.iommus.clone_from(&self.iommus);
        let arena = &mut side.env().arena;
        for (number, segment) in self.spec.segments.iter().enumerate() {
            // One more than there are: Xen keeps its device table there.
            let mappings: *mut sys::ivrs_mappings =
                arena.objects("ivrs_mappings", number, count + 1);
            for id in 0..count {
                let mapping = mappings.wrapping_add(id);
                set!(mapping, dte_requestor_id, id as u16);
                // To the rest of Xen the pointer means nothing.
                arena.keep_private(addr!(mapping, intremap_inuse));
            }
            platform.segments.push((*segment, mappings));
        }
        for spec in &self.spec.requesters {
            let Some(mapping) = platform.requester(spec.place) else {
                continue;
            };
            set!(mapping, dte_requestor_id, spec.alias);
            // SAFETY: The mapping lies in the arena.
            unsafe { sys::ivrs_mappings::set_valid_raw(mapping, spec.valid) };
            if let Some(iommu) = spec.iommu {
                set!(mapping, iommu, self.iommus[iommu]);
            }
        }
        *side.env().unit.of_mut() = platform;
    }

    fn add_io_apics(&mut self, side: &mut Side) {
        set_variable(side, "nr_ioapics", self.spec.io_apics.len() as u32);
        let mut listed = 0;
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
            let pins: *mut u16 = side
                .env()
                .arena
                .objects("pin_2_idx", number, spec.pins.len());
            self.pins.push(pins);
            self.forget_pins(number);
            if let Some((segment, id)) = spec.place {
                let entry = sys::ioapic_sbdf {
                    bdf: id,
                    seg: segment,
                    id: spec.apic_id,
                    cmdline: false,
                    pin_2_idx: pins,
                };
                set_own(side, "ioapic_sbdf", listed, entry);
                listed += 1;
            }
        }
        set_own(side, "nr_ioapic_sbdf", 0, listed as u32);
    }

    /// Has no pin of an IO-APIC use an entry.
    pub(super) fn forget_pins(&self, io_apic: usize) {
        for pin in 0..self.spec.io_apics[io_apic].pins.len() {
            // SAFETY: There are as many as pins, in the arena.
            unsafe { self.pins[io_apic].add(pin).write(NO_ENTRY) };
        }
    }

    /// Which entry a pin uses.
    pub(super) fn entry_of_pin(&self, io_apic: usize, pin: usize) -> u16 {
        // SAFETY: As above.
        unsafe { self.pins[io_apic].add(pin).read() }
    }

    fn add_senders(&mut self, side: &mut Side) {
        let devices: Vec<_> = self
            .spec
            .devices
            .iter()
            .enumerate()
            .map(|(number, device)| {
                let pdev: *mut sys::pci_dev = side.env().arena.object("pci_dev", number);
                let (segment, id) = device.place;
                let sbdf = u32::from(segment) << 16 | u32::from(id);
                set!(pdev, __bindgen_anon_1.sbdf.sbdf, sbdf);
                set!(pdev, phantom_stride, device.stride);
                pdev
            })
            .collect();
        for (number, spec) in self.spec.senders.iter().enumerate() {
            let count = match *spec {
                SenderSpec::Msi { count, .. } => count,
                _ => 1,
            };
            let descs: *mut sys::msi_desc = side.env().arena.objects("msi_desc", number, count);
            for message in 0..count {
                let desc = descs.wrapping_add(message);
                set!(desc, remap_index, -1);
                set!(desc, irq, (100 * number + message) as i32);
                // See `compare`.
                side.env().arena.keep_private(addr!(desc, irq));
                match *spec {
                    SenderSpec::Msi { device, count } => {
                        set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSI as u8);
                        set!(desc, msi_attrib.entry_nr, message as u16);
                        set!(desc, dev, devices[device]);
                        let count = if message == 0 { count } else { 0 };
                        set!(desc, __bindgen_anon_1.msi.nvec, count as u32);
                    }
                    SenderSpec::Msix { device } => {
                        set!(desc, msi_attrib.type_, sys::PCI_CAP_ID_MSIX as u8);
                        set!(desc, dev, devices[device]);
                        // Where MSI has the number of its messages.
                        let mask = 0xffff_82c0_1000_0007_usize + number * 16;
                        set!(desc, __bindgen_anon_1.mask_base, mask as *mut _);
                    }
                    SenderSpec::Hpet { id } => set!(desc, __bindgen_anon_1.hpet_id, id),
                }
            }
            self.senders.push(Sender {
                descs,
                count,
                place: self.spec.place(*spec),
                holder: None,
            });
        }
    }

    /// Sets what the next call is told.
    pub(super) fn set_message(&self, address: u32, data: u32, destination: u32) {
        set!(self.message, __bindgen_anon_1.address, address.into());
        set!(self.message, data, data);
        set!(self.message, dest32, destination);
    }

    /// An index of a list of the world, taken modulo its length; none where it has no elements.
    pub(super) fn choose<T>(list: &[T], index: usize) -> Option<usize> {
        index.checked_rem(list.len())
    }

    /// Whether an IOMMU is itself at a place.
    pub(super) fn is_iommu(&self, place: Place) -> bool {
        self.spec.iommus.iter().any(|iommu| iommu.place == place)
    }

    /// The number of the IOMMU that serves a place.
    pub(super) fn iommu_of(&self, side: &mut Side, place: Place) -> Option<usize> {
        let iommu = side.env().unit.of_mut::<Platform>().serving(place);
        self.iommus.iter().position(|known| *known == iommu)
    }
}

/// Has `virt_to_page()` of an address in the arena lead to a word there, too.
fn add_page_infos(side: &mut Side) {
    let arena = &mut side.env().arena;
    arena.align(size_of::<sys::page_info>());
    let infos: *mut sys::page_info = arena.objects("page_info", 0, PAGES);
    let start = physical_start(arena.base(), infos as usize);
    side.env().unit.of_mut::<Platform>().page_infos = infos;
    set_variable(side, "xen_phys_start", start);
}

/// Sets an element of a variable that the file itself has; C and the shim have the same.
pub(super) fn set_own<T>(side: &Side, name: &str, index: usize, value: T) {
    if let Ok(address) = side.image.symbol(name) {
        // SAFETY: The variable has that type in C, and no call runs.
        unsafe { (address as *mut T).add(index).write(value) };
    }
}

/// Reads a variable that the file itself has.
pub(super) fn own<T: Copy + Default>(side: &Side, name: &str) -> T {
    match side.image.symbol(name) {
        // SAFETY: As for `set_own`.
        Ok(address) => unsafe { (address as *const T).read() },
        Err(_) => T::default(),
    }
}

/// The table of a requester, or zero.
pub(super) fn table_of(mapping: *mut sys::ivrs_mappings) -> usize {
    get!(mapping, intremap_table) as usize
}
