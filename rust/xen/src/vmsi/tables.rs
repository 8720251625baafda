//! The MSI-X tables of a domain, found by the guest-physical page of an access or by the function
//! that has the table.
//!
//! Each vCPU looks here at every access that no other emulation wants, so a look-up takes no lock:
//! it searches a list ([`rows`]) that writers replace as a whole ([`Published`]). Writers hold the
//! domain's event lock; readers are in an RCU section.
//!
//! The domain's own structure leads to the list, in the half of `arch.hvm.msixtbl_list` that C
//! leaves to us.

use crate::base::errno::Errno;
use crate::base::memory;
use crate::objects::domain::{Domain, HvmDomain};
use crate::objects::irq_desc::{IrqDesc, LockedDesc};
use crate::objects::msi_desc::MsiDesc;
use crate::objects::pci_dev::{DeviceId, Devices, PciDev};
use crate::sync::rcu::ReadGuard;
use crate::sync::rcu_array::{New, Published};
use crate::sync::rwlock::EventLock;
use crate::vmsi::shadow::Shadow;
use core::alloc::Layout;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use irq_core::vmsi::access::entry_number;
use irq_core::vmsi::rows::{self, Row};
use irq_core::vmsi::shadow::Entry;
use irq_hw::msix::{ENTRY_SIZE, MAX_ENTRIES};
use xen_sys as sys;

const PAGE_SHIFT: u32 = 12;

/// An interrupt of a table's entry, as it was when it was looked up.
#[derive(Clone, Copy)]
pub struct EntryIrq {
    irq: IrqDesc<'static>,
    entry: EntryOf,
}

/// Which entry of which function's table.
#[derive(Clone, Copy)]
struct EntryOf {
    /// The address of the function's structure, which is compared and never followed.
    structure: u64,
    number: u16,
}

impl EntryOf {
    /// Returns whether an MSI is that entry's.
    #[inline]
    fn sends(self, msi: MsiDesc) -> bool {
        msi.entry() == self.number && msi.is_msix() && msi.is_at(self.structure)
    }
}

impl EntryIrq {
    /// Masks or unmasks it for a domain. Nothing happens where the IRQ is not the entry's any more,
    /// or the function is not the domain's.
    #[inline]
    pub fn set_guest_mask(self, domain: Domain, mask: bool) {
        let locked = self.irq.lock();
        if let Some(msi) = locked.msi_desc()
            && self.entry.sends(*msi)
            && msi
                .device()
                .is_some_and(|device| device.is_owned_by(domain))
        {
            locked.guest_mask_msi(mask);
        }
    }
}

/// An entry of which an interrupt is set up.
#[derive(Clone, Copy)]
pub struct SetUp {
    /// Whether the guest has it masked.
    pub guest_masked: bool,
    /// `None` before it has an IRQ.
    pub irq: Option<EntryIrq>,
}

/// The generation of the table that was made last.
static LAST_GENERATION: AtomicU64 = AtomicU64::new(0);

/// A passed-through function's MSI-X table.
#[repr(C)]
pub struct Table {
    /// First, because C frees the table by the address of this.
    shadow: Shadow,

    // Configuration.
    base: u64,
    bytes: u64,
    /// The function may go before its table does.
    device: DeviceId,
    entries: usize,
    /// No other table has or had the same.
    generation: u64,

    // Volatile state, written under the event lock.
    /// How many pirqs of the function are bound.
    bindings: AtomicU32,
}

impl Table {
    /// Guest-physical address of the first byte.
    #[inline]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// A number that no other table has or had, of any domain.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns whether a byte of guest-physical memory lies in the table.
    #[inline]
    pub fn contains(&self, address: u64) -> bool {
        // An address below the table wraps around to an offset that is too large, too.
        address.wrapping_sub(self.base) < self.bytes
    }

    /// Returns the entry that a byte of guest-physical memory lies in; `None` outside of the table.
    #[inline]
    pub fn entry(&self, address: u64) -> Option<TableEntry<'_>> {
        self.contains(address).then(|| {
            let number = entry_number(address.wrapping_sub(self.base));
            TableEntry {
                // SAFETY: The byte lies in the table, which has an entry for each 16 bytes.
                shadow: unsafe { self.shadow.get_unchecked(number, self.entries) },
                table: self,
                number: number as u16,
            }
        })
    }

    /// Returns the function that has the table, if the domain still has it.
    pub fn device<'a>(&self, devices: &'a Devices) -> Option<PciDev<'a>> {
        devices.find(self.device)
    }

    /// Changes the number of bindings, which only the holder of the event lock does; returns the
    /// new one.
    fn add_to_bindings(&self, change: u32) -> u32 {
        let bindings = self.bindings.load(Ordering::Relaxed).wrapping_add(change);
        self.bindings.store(bindings, Ordering::Relaxed);
        bindings
    }

    /// Allocates a table that nothing is known of yet, and that nothing leads to. It lives until
    /// `remove` has it freed.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// `INVAL` for a function that has no MSI-X, `NOMEM`.
    fn new<'t>(device: DeviceId, entries: usize, base: u64) -> Result<&'t Self, Errno> {
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Errno::INVAL);
        }
        let table = memory::zalloc(Layout::new::<Self>())
            .ok_or(Errno::NOMEM)?
            .cast::<Self>();
        let bytes = entries as u64 * ENTRY_SIZE;
        // SAFETY: `zalloc` gave the memory to this function alone, and enough of it; no reference
        // is made before the last write.
        unsafe {
            let this = table.as_ptr();
            Shadow::allocate(&raw mut (*this).shadow, entries)
                .inspect_err(|_| sys::xfree(this.cast()))?;
            (*this).base = base;
            (*this).bytes = bytes;
            (*this).device = device;
            (*this).entries = entries;
            (*this).generation = LAST_GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(table.as_ref())
        }
    }
}

/// An entry of a table; what is known of its message is that of the shadow.
#[derive(Clone, Copy)]
pub struct TableEntry<'t> {
    table: &'t Table,
    shadow: &'t Entry,
    number: u16,
}

impl Deref for TableEntry<'_> {
    type Target = Entry;

    #[inline]
    fn deref(&self) -> &Entry {
        self.shadow
    }
}

impl TableEntry<'_> {
    /// Which it is.
    #[inline]
    fn identity(self) -> EntryOf {
        EntryOf {
            structure: self.table.device.structure(),
            number: self.number,
        }
    }

    /// Looks for the interrupt that is bound to it, and at its MSI.
    ///
    /// The shadow names the IRQ of every entry that is bound, and is checked against the descriptor
    /// at each use.
    #[inline]
    fn look<R>(self, look: impl FnOnce(MsiDesc) -> R) -> Option<(EntryIrq, R)> {
        let irq = IrqDesc::numbered(self.irq()?)?;
        let entry = self.identity();
        // SAFETY: A table is found in an RCU section only, which lasts for as long as the reference
        // to it.
        let seen = unsafe { irq.look_at_msi(|msi| entry.sends(msi).then(|| look(msi))) }?;
        Some((EntryIrq { irq, entry }, seen))
    }

    /// Looks for the interrupt that is bound to it.
    #[doc(alias = "msixtbl_addr_to_desc")]
    #[inline]
    pub fn bound(self) -> Option<EntryIrq> {
        self.look(|_| ()).map(|(irq, ())| irq)
    }

    /// Returns whether the guest has the interrupt masked that is bound to it.
    #[inline]
    pub fn guest_masked(self) -> Option<bool> {
        self.look(|msi| msi.masks().guest).map(|(_, masked)| masked)
    }

    /// Looks for the interrupt that is set up for it, bound or not, among all of the function's.
    /// The outer `None` says that there is none, the inner one that it has no IRQ yet.
    #[doc(alias = "msixtbl_addr_to_desc")]
    #[cold]
    pub fn set_up(self, devices: &Devices) -> Option<SetUp> {
        let entry = self.identity();
        let msi = devices
            .msi_descs(self.table.device)?
            .find(|msi| entry.sends(*msi))?;
        Some(SetUp {
            guest_masked: msi.masks().guest,
            irq: msi.irq_desc().map(|irq| EntryIrq { irq, entry }),
        })
    }
}

/// The tables of a domain, as a reader or the holder of its event lock found them.
#[derive(Clone, Copy)]
struct Tables<'a>(&'a [Row<Table>]);

/// The field that leads to the list of a domain's tables.
#[inline]
fn field<'a>(domain: HvmDomain<'a>) -> Published<'a, Row<Table>> {
    // SAFETY: The field is a part of the domain; C only sets it to null, when it creates the
    // domain, and this module alone publishes there.
    unsafe { Published::new(domain.msix_tables()) }
}

impl<'a> Tables<'a> {
    /// Returns those of a domain.
    ///
    /// # Safety
    ///
    /// An RCU section lasts for as long as `'a`, or the domain's event lock is held.
    #[inline]
    unsafe fn of(domain: HvmDomain<'a>) -> Self {
        // SAFETY: `of` asks for the section, or the lock of the writers.
        Self(unsafe { field(domain).rows() })
    }

    /// Returns the newest table on a page.
    #[inline]
    fn find(self, page: u64) -> Option<&'a Table> {
        // SAFETY: A table is freed a grace period after its row was cleared, or its list replaced.
        rows::find(self.0, page).map(|table| unsafe { table.as_ref() })
    }

    /// All that are not gone.
    fn tables(self) -> impl Iterator<Item = &'a Table> {
        // SAFETY: As for `find`.
        let table = |table: NonNull<Table>| unsafe { table.as_ref() };
        self.0.iter().filter_map(Row::table).map(table)
    }

    /// Takes a table out, and has it freed when no reader can have it any more.
    ///
    /// Context: the domain's event lock is held.
    #[doc(alias = "del_msixtbl_entry")]
    #[doc(alias = "free_msixtbl_entry")]
    fn remove(self, table: &Table) {
        let this = Some(NonNull::from(table));
        self.0
            .iter()
            .filter(|row| row.table() == this)
            .for_each(Row::clear);
        // SAFETY: The table is unreachable for new readers.
        unsafe { table.shadow.free_later() };
    }
}

/// Returns the table that shares a page with a guest-physical address.
#[doc(alias = "msixtbl_find_entry")]
#[inline]
pub fn find<'g>(domain: HvmDomain<'g>, _: &'g ReadGuard, address: u64) -> Option<&'g Table> {
    // SAFETY: The guard is that of the section.
    unsafe { Tables::of(domain) }.find(address >> PAGE_SHIFT)
}

/// What a pirq is bound to, as its IRQ's descriptor says under its lock.
#[derive(Clone, Copy)]
pub struct Binding {
    device: DeviceId,
    /// How many entries the function's table has; 0 without MSI-X.
    entries: u32,
    /// The number of the interrupt as its descriptor has it.
    number: u16,
    is_msix: bool,
    /// The number by which the shadow names the IRQ.
    irq: Option<u32>,
}

impl Binding {
    /// Reads it; `None` where the IRQ is not that of a function's MSI.
    pub fn of(locked: &LockedDesc) -> Option<Self> {
        let msi = locked.msi_desc()?;
        let device = msi.device()?;
        Some(Self {
            device: device.identity(),
            entries: device.msix().map_or(0, |msix| msix.entries()),
            number: msi.entry(),
            is_msix: msi.is_msix(),
            irq: u32::try_from(locked.held().irq()).ok(),
        })
    }

    /// The number of the interrupt as its descriptor has it.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its entry in the shadow.
    fn shadow<'t>(&self, table: &'t Table) -> Option<&'t Entry> {
        let number = usize::from(self.number);
        // SAFETY: The number is below that of the entries, which `new` allocated.
        (self.is_msix && number < table.entries)
            .then(|| unsafe { table.shadow.get_unchecked(number, table.entries) })
    }
}

/// The tables of a domain whose event lock is held: they may come and go.
pub struct LockedTables<'a> {
    domain: HvmDomain<'a>,
    /// `None` where the lock is borrowed.
    _taken: Option<EventLock<'a>>,
}

impl<'a> LockedTables<'a> {
    /// Takes the event lock of a domain.
    pub fn lock(domain: HvmDomain<'a>) -> Self {
        Self {
            _taken: Some(EventLock::write(*domain)),
            domain,
        }
    }

    /// Those of the domain whose event lock this is; `None` where emulation was not set up for it.
    pub fn of(lock: &'a EventLock) -> Option<Self> {
        Some(Self {
            domain: lock.domain().with_msix_emulation()?,
            _taken: None,
        })
    }

    /// The domain.
    pub fn domain(&self) -> HvmDomain<'a> {
        self.domain
    }

    /// The list that the lock keeps.
    fn list(&self) -> Tables<'_> {
        // SAFETY: The lock is held.
        unsafe { Tables::of(self.domain) }
    }

    /// The list that the lock keeps, and in it the table of the function that has, or had, the
    /// structure at the same address.
    fn of_function(&self, device: DeviceId) -> Option<(Tables<'_>, &Table)> {
        let tables = self.list();
        let is_its = |table: &&Table| table.device.structure() == device.structure();
        Some((tables, tables.tables().find(is_its)?))
    }

    /// Has the domain's readers find another list from now on, or none.
    fn publish(&self, list: Option<New<Row<Table>>>) {
        // SAFETY: The writers' lock is the event lock, which is held, and no row is used behind
        // this.
        unsafe { field(self.domain).publish(list) };
    }

    /// Takes note that an interrupt is bound; its function's table is at `base`, unless an earlier
    /// binding said otherwise.
    ///
    /// # Errors
    ///
    /// `INVAL` for a function without MSI-X, `NOMEM`.
    pub fn bind(&self, binding: Binding, base: u64) -> Result<(), Errno> {
        let table = match self.of_function(binding.device) {
            Some((_, table)) if table.device == binding.device => table,
            other => {
                // What is left of a function that went before its interrupts were unbound.
                if let Some((tables, stale)) = other {
                    tables.remove(stale);
                }
                self.insert(binding, base)?
            }
        };
        table.add_to_bindings(1);
        if let Some(entry) = binding.shadow(table) {
            entry.set_irq(binding.irq);
        }
        Ok(())
    }

    /// Takes note that an interrupt is no longer bound; its function's table goes with the last.
    pub fn unbind(&self, binding: Binding) {
        let Some((tables, table)) = self.of_function(binding.device) else {
            return;
        };
        if let Some(entry) = binding.shadow(table) {
            // Should another IRQ be bound to the entry, too, accesses search for it.
            entry.set_irq(None);
        }
        if table.add_to_bindings(1u32.wrapping_neg()) == 0 {
            tables.remove(table);
        }
    }

    /// Removes the table of a function that goes.
    pub fn remove(&self, device: DeviceId) {
        if let Some((tables, table)) = self.of_function(device) {
            tables.remove(table);
        }
    }

    /// Removes all tables.
    pub fn remove_all(&self) {
        let tables = self.list();
        tables.tables().for_each(|table| tables.remove(table));
        self.publish(None);
    }

    /// Makes a function's table and publishes it.
    ///
    /// Context: IRQs on.
    #[doc(alias = "add_msixtbl_entry")]
    fn insert(&self, binding: Binding, base: u64) -> Result<&Table, Errno> {
        let table = Table::new(binding.device, binding.entries as usize, base)?;
        let Tables(old) = self.list();
        let last = table.base.saturating_add(table.bytes - 1);
        let (first, last) = (table.base >> PAGE_SHIFT, last >> PAGE_SHIFT);
        let new = Row::new(first, last, NonNull::from(table));
        let Some(list) = New::allocate(old.len() + 1, rows::with(old, new)) else {
            // SAFETY: No list has it.
            unsafe { table.shadow.free_later() };
            return Err(Errno::NOMEM);
        };
        self.publish(Some(list));
        Ok(table)
    }
}
