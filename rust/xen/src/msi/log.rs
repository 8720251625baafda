//! What is said about MSI and MSI-X of the host's devices.

use crate::arch::cpu::current;
use crate::base::errno::Errno;
use crate::base::log::{debug_lines, lines, print, word};
use crate::objects::arch_msix::SharedPage;
use crate::objects::domain::Domain;
use crate::objects::irq_desc::IrqDesc;
use crate::objects::msi_desc::{MsiDesc, Sender};
use crate::objects::msi_msg::Message;
use crate::objects::pci_dev::PciDev;
use core::ffi::{c_char, c_int, c_uint};
use irq_core::msi::mask::Masks;
use irq_hw::msi::{Address, Data};
use xen_sys as sys;

lines! {
    /// An IRQ is set up already.
    irq_in_use(irq: i32, kind: Sender, device: PciDev):
        c"<0>irq %d already mapped to %s on %pp\n", irq, name(kind), device.sbdf();

    /// The function's other capability is in use.
    other_kind_in_use(kind: Sender, device: PciDev):
        c"<1>%s already in use on %pp\n", name(kind), device.sbdf();

    /// Registers that share a page with the table cannot be reached.
    shared_page_not_mapped(which: SharedPage, device: PciDev, errno: Errno):
        c"<G><0>%pv %pp: Failed to map %s MSI-X table page: %d\n",
        current().as_ptr(), device.sbdf(),
        word(which == SharedPage::First, c"first", c"last"), errno.negative();

    /// dom0 uses a table that was not protected when its owner could map it.
    potentially_insecure_use(device: PciDev, owner: Domain):
        c"<1>Potentially insecure use of MSI-X on %pp by %pd\n", device.sbdf(), owner.as_ptr();

    /// Another domain does.
    insecure_use(device: PciDev, owner: Domain):
        c"<0>Insecure use of MSI-X on %pp by %pd\n", device.sbdf(), owner.as_ptr();

    /// An entry could not be masked.
    all_masked(desc: IrqDesc, device: PciDev):
        c"<G><1>cannot mask IRQ %d: masking MSI-X on Dom%d's %pp\n",
        desc.irq(), device.owner_id(), device.sbdf();

    /// An entry could not be masked for good.
    not_disabled(msi: MsiDesc, device: PciDev):
        c"<1>cannot disable IRQ %d: masking MSI-X on %pp\n", msi.irq(), device.sbdf();

    /// Some functions may still send.
    not_all_disabled(errno: Errno):
        c"<0>Failed to disable MSI(-X) on some devices: %d\n", errno.negative();

    /// Debug key `M`: the first line.
    heading(): c"MSI information:\n";
}

debug_lines! {
    /// An interrupt to be restored is not set up.
    not_set_up(device: PciDev, number: u32):
        "<0>", " Restore MSI for %pp entry %u not set?", device.sbdf(), number;
}

/// What sends an MSI, for C.
fn name(sender: Sender) -> *const c_char {
    match sender {
        Sender::Msi => c"MSI",
        Sender::Msix => c"MSI-X",
        Sender::Hpet => c"HPET",
        Sender::Iommu => c"IOMMU",
        Sender::Unknown => c"???",
    }
    .as_ptr()
}

/// Debug key `M`: what follows the host's MSIs.
pub fn vpci() {
    // SAFETY: Takes the locks that it needs.
    unsafe { sys::shim_vpci_dump_msi() };
}

/// Debug key `M`: an MSI, as it was while its descriptor was locked.
pub struct Line {
    sender: Sender,
    message: Message,
    has_mask_bit: bool,
    masks: Masks,
    mask_bit: Option<bool>,
}

impl Line {
    /// Takes down what is known of it, and the mask bit as the device has it.
    pub fn new(msi: MsiDesc, mask_bit: Option<bool>) -> Self {
        Self {
            sender: msi.sender(),
            message: msi.message(),
            has_mask_bit: msi.has_mask_bit(),
            masks: msi.masks(),
            mask_bit,
        }
    }

    /// Prints it.
    pub fn print(&self, irq: i32) {
        let (address, data) = (
            Address::new(self.message.address),
            Data::new(self.message.data),
        );
        let letter = |set, letter: u8| c_int::from(if set { letter } else { b' ' });
        print!(
            c" %-6s%4u vec=%02x%7s%6s%3sassert%5s%7s dest=%08x mask=%d/%c%c/%c\n",
            name(self.sender),
            irq as c_uint,
            c_uint::from(data.vector()),
            word(data.delivery_mode() & 1 != 0, c"lowest", c"fixed"),
            word(data.level_triggered(), c"level", c"edge"),
            word(data.asserts(), c"", c"de"),
            word(address.logical(), c"log", c"phys"),
            word(address.redirection_hint(), c"lowest", c"cpu"),
            self.message.destination,
            c_int::from(self.has_mask_bit),
            letter(self.masks.host, b'H'),
            letter(self.masks.guest, b'G'),
            match self.mask_bit {
                Some(set) => c_int::from(b'0' + u8::from(set)),
                None => c_int::from(b'?'),
            }
        );
    }
}
