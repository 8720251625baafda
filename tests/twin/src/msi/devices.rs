//! Functions of PCI, with the structures that Xen has of them.

use std::mem::offset_of;
use std::ops::Range;

use xen_sys as sys;

use super::spec::DeviceSpec;
use super::world::World;
use crate::machine::function::{COMMAND, Function};
use crate::side::Side;
use crate::xen::{addr, init_list, set};

impl World {
    /// Adds the function with a number.
    pub(super) fn add_device(&mut self, side: &mut Side, number: usize, spec: &DeviceSpec) {
        let arena = &mut side.env().arena;
        let pdev: *mut sys::pci_dev = arena.object("pci_dev", number);
        self.devices.push(pdev);
        arena.keep_private(addr!(pdev, msi_list));
        init_list(addr!(pdev, msi_list));
        set!(pdev, __bindgen_anon_1.sbdf.sbdf, spec.sbdf);
        self.own(number, spec.owner);
        let mut function = Function::new(spec.sbdf);
        function.set(COMMAND, 2, spec.command.into());
        function.set(0xe, 1, spec.header.into());
        for (bar, value) in spec.bars.into_iter().enumerate() {
            function.set(0x10 + 4 * bar, 4, value);
            let kind = if value & 1 != 0 { 3 } else { 0xf };
            function.allow(0x10 + 4 * bar, 4, !0xfff & !kind);
        }
        if let Some(msi) = spec.msi {
            let pos = usize::from(msi.pos);
            let control = msi.most << 1 | u32::from(msi.is_64) << 7 | u32::from(msi.maskable) << 8;
            function.set(pos + 2, 2, control);
            function.allow(pos + 2, 2, 0x71);
            function.allow(pos + 4, 4, !3);
            let mut data = pos + 8;
            if msi.is_64 {
                function.allow(pos + 8, 4, !0);
                data += 4;
            }
            function.allow(data, 2, 0xffff);
            let bits = u32::MAX >> (32 - (1 << msi.most));
            if msi.maskable {
                function.set(data + 4, 4, msi.reserved & !bits);
                function.allow(data + 4, 4, bits);
            }
            set!(pdev, msi_pos, msi.pos);
            set!(pdev, msi_maxvec, 1 << msi.most);
        }
        if let Some(msix) = spec.msix {
            let pos = usize::from(msix.pos);
            function.set(pos + 2, 2, msix.entries - 1);
            function.allow(pos + 2, 2, 0xc000);
            function.set(pos + 4, 4, msix.table.1 | msix.table.0);
            function.set(pos + 8, 4, msix.pba.1 | msix.pba.0);
            function.msix = pos;
            function.needs_enable = msix.needs_enable;
            function.hidden = msix.hidden;
            function.leaves_unmasked = msix.leaves_unmasked;
            function.table_at = self.spec.table(number);
            function.make_table(msix.entries as usize, msix.reserved);
            let arch: *mut sys::arch_msix = arena.object("arch_msix", number);
            set!(arch, nr_entries, msix.entries);
            // Rust has something of its own there; `compare` looks at what is C's in the same
            // words.
            for word in OWN.start / 8..OWN.end.div_ceil(8) {
                arena.keep_private((arch as usize + 8 * word) as *const u64);
            }
            set!(pdev, msix_pos, msix.pos);
            set!(pdev, msix, arch);
        }
        if let Some(physical) = spec.physical {
            let at = self.spec.devices[physical].sbdf;
            set!(pdev, info.is_virtfn, true);
            set!(pdev, info.physfn.bus, (at >> 8) as u8);
            set!(pdev, info.physfn.devfn, at as u8);
            set!(pdev, __bindgen_anon_2.pf_pdev, self.devices[physical]);
            function.physical = Some(physical);
        }
        if let Some(sriov) = spec.sriov {
            let pos = usize::from(sriov.pos);
            function.extended = sriov.pos.into();
            function.set(pos + 0x08, 2, sriov.control.into());
            function.set(pos + 0x10, 2, sriov.count.into());
            function.set(pos + 0x14, 2, sriov.offset.into());
            function.set(pos + 0x16, 2, sriov.stride.into());
            for (bar, value) in sriov.bars.into_iter().enumerate() {
                function.set(pos + 0x24 + 4 * bar, 4, value);
            }
            set!(pdev, __bindgen_anon_2.physfn.vf_rlen, sriov.lens);
        }
        function.finish();
        let pci = &mut side.env().machine.pci;
        pci.active = true;
        pci.lies = self.spec.lies;
        pci.functions.push(function);
    }
}

/// The bytes of `struct arch_msix` in which C's mappings of the pages lie. Rust keeps them in
/// another form.
pub(super) const OWN: Range<usize> =
    offset_of!(sys::arch_msix, __bindgen_anon_1)..offset_of!(sys::arch_msix, adj_access_idx);
