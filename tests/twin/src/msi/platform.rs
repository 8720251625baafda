//! What the rest of Xen keeps of interrupts while msi.c is driven alone.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use xen_sys as sys;

use crate::glue::Writer;
use crate::memory::Mapping;
use crate::side::Env;
use crate::trace::Event;
use crate::xen::get;

/// Bits of the status of an interrupt.
pub(super) const IRQ_DISABLED: u32 = 1 << 1;
pub(super) const IRQ_GUEST: u32 = 1 << 4;
pub(super) const IRQ_MOVE_PENDING: u32 = 1 << 5;

/// What another CPU does to a function right after one of its registers was read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// The function decodes memory no more; the read is that of its command word.
    StopMemory,
    /// The function is reset, and has its command word again; the read is that of message control
    /// of MSI-X.
    Reset,
    /// The function loses the address of its MSI's message, the data of which was just written.
    LoseMessage,
    /// The function changes the bits of its MSI's mask register that are its own; the read is that
    /// of the register.
    ChangeReserved,
}

impl Meanwhile {
    /// Whether it is about an MSI; else about an entry of a table.
    pub(super) const fn is_about_msi(self) -> bool {
        matches!(self, Self::LoseMessage | Self::ChangeReserved)
    }

    /// Whether the register is written before; else it is read.
    pub(super) const fn follows_write(self) -> bool {
        matches!(self, Self::LoseMessage)
    }
}

/// Another CPU carries out a write of dom0's that it has announced before. Then it may mask an
/// interrupt.
pub(super) struct Race {
    /// The function, and the register of it that is read or written.
    pub(super) sbdf: u32,
    pub(super) register: usize,
    /// What is done to it.
    pub(super) act: Meanwhile,
    /// Where the address of its MSI's message is.
    pub(super) address: usize,
    /// How many reads or writes of the register come before.
    pub(super) skip: u64,
    /// What it calls when the write has been carried out.
    pub(super) written: Option<usize>,
    /// The interrupt that it masks then.
    pub(super) masks: Option<*mut sys::irq_desc>,
}

/// What another CPU does to the masks of an MSI inside a call.
#[derive(Clone, Copy)]
pub(super) enum Other {
    /// It changes those of an interrupt, by a function of the side that runs.
    Change {
        desc: *mut sys::irq_desc,
        function: usize,
        mask: bool,
    },
    /// dom0 writes a mask register there.
    Write(Write),
}

/// A write of dom0's, and what Xen calls for it.
#[derive(Clone, Copy)]
pub(super) struct Write {
    /// The function's structure.
    pub(super) pdev: u64,
    /// Its address, and the register.
    pub(super) register: (u32, u32),
    /// Where the value is.
    pub(super) data: *mut u32,
    /// What decides about the write, and what is called when it has been carried out.
    pub(super) intercept: usize,
    pub(super) written: Option<usize>,
}

/// Another CPU waits for its moment.
pub(super) struct Waiting {
    /// Whether it acts before the call changes masks; else afterwards.
    pub(super) before: bool,
    /// The mask register that the call is about: function and register.
    pub(super) register: (u32, u32),
    pub(super) other: Other,
}

/// A pirq that a domain has mapped.
pub(super) struct Pirq {
    pub(super) domain: u64,
    pub(super) number: i32,
    pub(super) irq: i32,
    /// The function that it was mapped for.
    pub(super) dev: u64,
    /// Whether it is bound to a virtual MSI, which HVM domains do.
    pub(super) bound: bool,
    /// Whether its IRQ was destroyed with a block that names the same one.
    pub(super) bereft: bool,
    /// Whether XSM did not let it go.
    pub(super) refused: bool,
}

/// A structure of a pirq that is not mapped, as Xen keeps while something is noted in it.
pub(super) struct Info {
    pub(super) domain: u64,
    pub(super) number: i32,
    pub(super) info: Box<sys::pirq>,
    /// The IRQ that has to stay noted in it: of one that is mapped all the same, or, negative, that
    /// an event channel had when it was unmapped.
    pub(super) keeps: Option<i32>,
}

/// What guards some state, and the state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Guarded {
    pub(super) lock: u64,
    pub(super) state: [u64; 3],
}

/// What is guarded, by where it lies and which of two it is there.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Guard(pub(super) Vec<((u64, bool), Guarded)>);

/// A descriptor as a reader found it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The head of the list.
    pub(super) head: u64,
    pub(super) dev: u64,
    pub(super) irq: i32,
    /// The capability, its position, and the entry.
    pub(super) kind: (u8, u8, u16),
    /// How many messages, and the register of their masks; or where the entry is.
    pub(super) place: u64,
}

/// State of the fakes.
#[derive(Default)]
pub(crate) struct Platform {
    /// All functions, in the order of the machine's.
    pub(super) devices: Vec<u64>,
    /// How many interrupts there are.
    pub(super) irqs: usize,
    /// The CPUs that are online.
    pub(super) online: u64,
    /// The set of pages that dom0 may not write.
    pub(super) read_only: u64,
    /// `no_irq_type`.
    pub(super) no_irq_type: u64,
    /// Whether APIC IDs have 32 bits.
    pub(super) x2apic: bool,
    /// Whether an interrupt was bound in this step whose message has no CPU or no vector.
    pub(super) no_target: bool,
    /// Whether a range could not be added to it in this step.
    pub(super) not_protected: bool,
    /// Whether an entry was set up in it that lies in two pages.
    pub(super) crossed: bool,
    /// Entries of the remapping table that were handed out.
    pub(super) remapped: i32,
    /// The side's lock of registers that several interrupts share; 0 where it has none. The
    /// registers: function and register.
    pub(super) register_lock: u64,
    /// Xen is about to start a crash kernel: a CPU that was halted may hold any lock.
    pub(super) crashes: bool,
    pub(super) shared_registers: Vec<(u32, u32)>,
    /// The shim's function that updates an entry of the remapping table, and whether the IOMMU's
    /// driver says what changes.
    pub(super) update: usize,
    pub(super) tells: bool,
    /// What locks guard, as it was when one was taken or released last; none between calls.
    pub(super) guard: Option<Guard>,
    /// Whether instructions are counted: all of callgrind's time would go to looking at locks.
    pub(super) counts: bool,
    /// What a reader without a lock has found in the lists of descriptors so far.
    pub(super) found: BTreeMap<u64, Seen>,
    /// What another CPU does in this step.
    pub(super) race: Option<Race>,
    /// What another CPU does to the masks of an MSI in this step, if it has not yet; and whether it
    /// does so inside a call, after which masks need not be those that the call has set.
    pub(super) waiting: Option<Waiting>,
    pub(super) acts_inside: bool,
    /// What domains have mapped, and the functions by which irq.c frees what an unmapped IRQ has.
    pub(super) pirqs: Vec<Pirq>,
    pub(super) unmapping: [usize; 2],
    /// Structures of pirqs, as far as they were asked for; and for which there was no memory in
    /// this step.
    pub(super) infos: Vec<Info>,
    pub(super) unreserved: Vec<(u64, i32)>,
    /// How deep `pcidevs_lock` is held.
    pub(super) pcidevs: u32,
    /// The domain that is being destroyed in this step, and is not found any more.
    pub(super) dying: Option<u64>,
    /// The function that is being removed in this step.
    pub(super) leaving: Option<u64>,
    /// The handler of debug key M.
    pub(super) key_handler: u64,
}

impl Platform {
    /// Whether a lock of some domain is held that `pcidevs_lock` comes before.
    pub(super) fn holds_lock_of_domain(&self) -> bool {
        let of_devices = self.devices.iter().map(|device| {
            let device = *device as *const sys::pci_dev;
            get!(device, domain)
        });
        let of_pirqs = self.pirqs.iter();
        let of_pirqs = of_pirqs.map(|pirq| pirq.domain as *mut sys::domain);
        let domains = of_devices.chain(of_pirqs);
        let mut domains = domains.filter(|domain| !domain.is_null());
        domains.any(|domain| {
            let locks = [
                get!(domain, event_lock.cnts.counter),
                get!(domain, pci_lock.cnts.counter),
            ];
            locks != [0; 2]
        })
    }

    /// Notes that an IRQ is destroyed. A pirq of it that is still mapped is of another block,
    /// unless it is of the function that is being removed: that one's pirqs are unmapped before, if
    /// XSM lets them go.
    pub(super) fn note_destroyed(&mut self, irq: u32) {
        for pirq in &mut self.pirqs {
            let is_kept = pirq.refused || self.leaving != Some(pirq.dev);
            pirq.bereft |= pirq.irq as u32 == irq && is_kept;
        }
    }
}

/// The address of a function of the driver for code that calls it through a pointer.
pub(super) fn pointer_to(targets: [usize; 2]) -> [u64; 2] {
    static POINTERS: OnceLock<[u64; 2]> = OnceLock::new();
    *POINTERS.get_or_init(|| {
        const ROOM: usize = 0x1000;
        let mut map = Mapping::new(ROOM).expect("a page is to be had");
        let mut writer = Writer::new(map.base()..map.base() + ROOM);
        let pointers = targets.map(|target| writer.call(target) as u64);
        let code = writer.code();
        map.bytes(0, code.len()).copy_from_slice(code);
        // For the rest of the process.
        std::mem::forget(map);
        pointers
    })
}

/// Records a call.
pub(super) fn call(env: &mut Env, name: &'static str, told: &[u64]) {
    let mut words = [0; 6];
    words[..told.len()].copy_from_slice(told);
    env.record(Event::Call(name, words));
}
