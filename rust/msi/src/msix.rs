//! The MSI-X capability.

use crate::control;
use crate::window::MsixWindow;
use core::num::NonZero;
use irq_core::msi::mask::with_mask;
use irq_core::msi::place::{Pages, pending_pages};
use irq_hw::msix::{MASKED, VECTOR_CTRL};
use irq_hw::pci::{Location, MsixRegisters};
use xen::arch::cpu::current;
use xen::base::errno::Errno;
use xen::msi::bar;
use xen::msi::log;
use xen::msi::new::NewMsi;
use xen::msi::pages::Mapped;
use xen::msi::table::MsixTable;
use xen::objects::arch_msix::{Msix, SharedPage};
use xen::objects::msi_desc::MsiDesc;
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::{KeptDev, PciDev};
use xen::objects::rangeset as ranges;
use xen::xen_warn;

/// Sets up an entry of the table; it is masked.
///
/// # Errors
///
/// [`Errno::NXIO`] where the function does not decode memory, or the table cannot be found or lies
/// in what the memory map has as RAM,
/// [`Errno::NODATA`] where only dom0 may look for it and has not, [`Errno::INVAL`] for an entry
/// that lies in two pages, [`Errno::NOMEM`] where there is no memory, no fixmap entry for the
/// table, or it cannot be protected.
#[doc(alias = "msix_capability_init")]
pub(crate) fn set_up_entry<'a>(
    device: KeptDev<'a>,
    msix: Msix<'a>,
    request: Request,
) -> Result<MsiDesc<'a>, Errno> {
    let (window, position) = open(*device, msix)?;
    let new = NewMsi::allocate(device, NonZero::<u32>::MIN).ok_or(Errno::NOMEM)?;
    // Where the table is, is known while an entry is set up.
    let first = msix.used() == 0;
    let (table, pending) = match first {
        true if may_locate(device) => locate(*device, msix, position, Some(request))?,
        true => return Err(Errno::NODATA),
        false => (msix.table().ok_or(Errno::NODATA)?, msix.pages()[1]),
    };
    if first {
        mask_entries(table)?;
    }
    let page = table.map(table.entry(request.entry()))?;
    // One page is mapped for an entry; what is mapped behind it is another's.
    let entry = page.entry().ok_or(Errno::INVAL)?;
    entry.write32(VECTOR_CTRL, with_mask(entry.read32(VECTOR_CTRL), true));
    if first {
        keep_from_domains(table, pending)?;
    }
    let number = request.entry() as u16;
    let msi = new
        .become_msix(position, number, page, request.irq())
        .ok_or(Errno::INVAL)?;
    if first {
        report_owner(device);
    }
    close(window, *device, msix, first);
    Ok(msi)
}

/// Finds the table, and protects it before any entry is set up. Registers that share its pages
/// become accessible to the emulation for its owner.
///
/// # Errors
///
/// As for [`set_up_entry`].
pub(crate) fn protect<'a>(device: PciDev<'a>, msix: Msix<'a>) -> Result<(), Errno> {
    let (window, position) = open(device, msix)?;
    let (table, pending) = locate(device, msix, position, None)?;
    mask_entries(table)?;
    let shared = map_shared(device, table);
    keep_from_domains(table, pending)?;
    for (which, page) in ENDS.into_iter().zip(shared) {
        if let Some(page) = page {
            msix.share(which, page);
        }
    }
    close(window, device, msix, true);
    Ok(())
}

/// Masks every entry of a table of which none is in use. What ran before may have left some
/// unmasked, which would send messages once the function does not mask all any more.
///
/// Where a page is refused, the entries in those before it stay masked, which harms nothing: none
/// is in use, and who sets one up masks it first and unmasks it itself. No page stays mapped.
///
/// # Errors
///
/// [`Errno::NXIO`] where the memory map has a page of the table as RAM, [`Errno::NOMEM`] where no
/// fixmap entry is left to map one, [`Errno::INVAL`] where no table has so many pages.
fn mask_entries(table: MsixTable) -> Result<(), Errno> {
    let pages = table.pages();
    for page in pages.first..=pages.last {
        let first = table.vector_controls(page).next();
        let Some(mapped) = first.map(|first| table.map(first)).transpose()? else {
            continue;
        };
        for address in table.vector_controls(page) {
            let Some(control) = mapped.word(address) else {
                continue;
            };
            let value = control.read();
            // Bits 31:1 are the device's.
            if value & MASKED == 0 {
                control.write(value | MASKED);
            }
        }
    }
    Ok(())
}

/// The pages that a table may share with other registers.
const ENDS: [SharedPage; 2] = [SharedPage::First, SharedPage::Last];

/// Maps those that it does. Where one cannot be mapped the registers there cannot be used, and that
/// is all.
fn map_shared<'a>(device: PciDev, table: MsixTable<'a>) -> [Option<Mapped<'a>>; 2] {
    let [first, last] = table.shares_pages();
    let first = (SharedPage::First, first, table.address);
    let last = (SharedPage::Last, last, table.last_byte());
    [first, last].map(|(which, shares, byte)| {
        let page = shares.then(|| table.map(byte))?;
        page.inspect_err(|&errno| log::shared_page_not_mapped(which, device, errno))
            .ok()
    })
}

/// Who may say where the table is: dom0, of a function that it owns or has given up; and Xen
/// itself.
fn may_locate(device: KeptDev) -> bool {
    let domain = current().domain();
    domain.is_hardware()
        && device
            .owner()
            .is_some_and(|owner| owner == domain || owner.is_io())
}

/// Keeps domains from writing to the table and to the pending bits, and notes where they are.
fn keep_from_domains(table: MsixTable, pending: Pages) -> Result<(), Errno> {
    ranges::add(table.pages())?;
    if let Err(errno) = ranges::add(pending) {
        if ranges::remove(table.pages()).is_err() {
            xen_warn!();
        }
        return Err(errno);
    }
    table.note(pending);
    Ok(())
}

/// Looks for the table and the pending bits; `request` is dom0's, if it is who asks.
///
/// # Errors
///
/// Those of [`Msix::locate`].
fn locate<'a>(
    device: PciDev,
    msix: Msix<'a>,
    position: u16,
    request: Option<Request>,
) -> Result<(MsixTable<'a>, Pages), Errno> {
    let table = msix.locate(device, request)?;
    if ranges::overlap(table.pages()) {
        xen_warn!();
    }
    let register = MsixRegisters::new(position).pending();
    let place = Location::new(device.config().read32(register));
    let found = bar::address(device, place.base_address());
    if found.is_none() {
        xen_warn!();
    }
    let pending = found.unwrap_or(0).wrapping_add(place.offset().into());
    let pending = pending_pages(pending, table.entries);
    if ranges::overlap(pending) {
        xen_warn!();
    }
    Ok((table, pending))
}

/// Says who uses MSI-X of a function that dom0 has not prepared; who could have mapped the table
/// already is ended.
fn report_owner(device: KeptDev) {
    let domain = current().domain();
    let owner = device.owner().unwrap_or(domain);
    // Asked anew at each decision: the fences against speculation belong to the branch.
    if !domain.is_hardware() || owner != domain {
        if domain.is_hardware() {
            log::potentially_insecure_use(*device, owner);
        } else {
            log::insecure_use(*device, owner);
        }
    }
    if !owner.is_hardware() && (!domain.is_hardware() || owner.has_memory()) {
        owner.crash();
    }
}

/// Opens a window in which a function's table is prepared.
///
/// # Errors
///
/// [`Errno::NODEV`] where it has no such capability, [`Errno::NXIO`] where it does not decode
/// memory.
fn open<'a>(device: PciDev<'a>, msix: Msix<'a>) -> Result<(MsixWindow<'a>, u16), Errno> {
    let position = device.msix_position().ok_or(Errno::NODEV)?;
    let window = MsixWindow::open(device, msix, position);
    if control::decodes_memory(device) {
        Ok((window, position))
    } else {
        Err(Errno::NXIO)
    }
}

/// Closes it: one more entry is set up, or the function prepared; `first` where nothing was before.
fn close(window: MsixWindow, device: PciDev, msix: Msix, first: bool) {
    msix.add_user();
    let for_xen = control::is_for_xen();
    if for_xen {
        device.set_intx(false);
    }
    window.close(|mut control| {
        // Where nothing was in use, no CPU has masked all messages for an entry.
        if first {
            msix.set_host_mask_all(false);
            control = control.with_mask_all(msix.mask_all().guest);
        }
        if for_xen {
            msix.set_host_mask_all(false);
            control = control.with_enabled(true).with_mask_all(false);
        }
        control
    });
}
