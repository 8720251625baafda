//! The MSI-X tables of a domain, found by the guest-physical page of an access or by the function that has the table.
//!
//! Each vCPU looks here at every access that no other emulation wants, so a look-up takes no lock, and its cost does not
//! grow with the number of tables: it is a hash table with chains of links, which are a part of the tables. Writers hold
//! the domain's event lock; readers are in an RCU section. Where several tables share a page, the one that came last is
//! found, as upstream does.
//!
//! The root is in the domain's own structure, in the half of `arch.hvm.msixtbl_list` that C leaves to us.

use crate::domain::Domain;
use crate::errno::Errno;
use crate::irq::{IrqDesc, LockedDesc};
use crate::memory;
use crate::msi_desc::MsiDesc;
use crate::pci::{DeviceId, Devices, PciDev};
use crate::rcu::ReadGuard;
use crate::rwlock::EventLock;
use crate::shadow::Shadow;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::iter::successors;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use irq_core::msix::access::entry_number;
use irq_core::msix::chain;
use irq_core::msix::shadow::Entry;
use irq_hw::msix::{ENTRY_SIZE, MAX_ENTRIES};
use static_assertions::const_assert;
use xen_sys as sys;

const PAGE_SHIFT: u32 = 12;

/// Links of a table: one for each page that it touches, and one for its function.
const LINKS: usize = ((MAX_ENTRIES * ENTRY_SIZE as usize) >> PAGE_SHIFT) + 2;

/// With the rest of [`Tables`] less than a page.
const BUCKETS_LOG2: u32 = 8;

/// Where a byte lies in a table, as an offset that is known to be in it.
#[derive(Clone, Copy)]
pub struct Place(u64);

impl Place {
    /// The number of the entry.
    #[inline]
    fn number(self) -> usize {
        entry_number(self.0)
    }
}

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
            && self.entry.sends(msi)
            && msi.is_owned_by(domain)
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

/// A place in a chain.
struct Link {
    next: AtomicPtr<Link>,
    /// Page frame number, or address of a function's structure; the two do not meet.
    key: u64,
    table: *const Table,
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
    links: [Link; LINKS],
}

// One page each is the most that is allocated at a time.
const_assert!(size_of::<Table>() < 2048 && size_of::<Tables>() < 4080);

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

    /// The shadow of the entry with a number.
    #[inline]
    fn numbered(&self, number: usize) -> Option<&Entry> {
        // SAFETY: The number is below that of the entries, which `new` allocated.
        (number < self.entries).then(|| unsafe { self.shadow.get_unchecked(number, self.entries) })
    }

    /// Returns where a byte of guest-physical memory lies in the table; `None` outside.
    #[inline]
    pub fn place(&self, address: u64) -> Option<Place> {
        // An address below the table wraps around to an offset that is too large, too.
        let offset = address.wrapping_sub(self.base);
        (offset < self.bytes).then_some(Place(offset))
    }

    /// The shadow of the entry at a place of this table.
    #[inline]
    pub fn entry(&self, place: Place) -> &Entry {
        // SAFETY: The place lies in this table, which has an entry for each 16 bytes.
        unsafe { self.shadow.get_unchecked(place.number(), self.entries) }
    }

    /// Which entry lies at a place.
    #[inline]
    fn entry_of(&self, place: Place) -> EntryOf {
        EntryOf {
            structure: self.device.structure(),
            number: place.number() as u16,
        }
    }

    /// Looks for the interrupt that is bound to `entry`, which is the one at `place`, and at its
    /// MSI.
    ///
    /// The shadow names the IRQ of every entry that is bound, and is checked against the descriptor
    /// at each use.
    #[inline]
    fn look<R>(
        &self,
        entry: &Entry,
        place: Place,
        look: impl FnOnce(MsiDesc) -> R,
    ) -> Option<(EntryIrq, R)> {
        let irq = IrqDesc::numbered(entry.irq()?)?;
        let entry = self.entry_of(place);
        // SAFETY: A table is found in an RCU section only, which lasts for as long as the reference
        // to it.
        let seen = unsafe { irq.look_at_msi(|msi| entry.sends(msi).then(|| look(msi))) }?;
        Some((EntryIrq { irq, entry }, seen))
    }

    /// Looks for the interrupt that is bound to `entry`, which is the one at `place`.
    #[doc(alias = "msixtbl_addr_to_desc")]
    #[inline]
    pub fn bound(&self, entry: &Entry, place: Place) -> Option<EntryIrq> {
        self.look(entry, place, |_| ()).map(|(irq, ())| irq)
    }

    /// Returns whether the guest has the interrupt masked that is bound to `entry`, which is the
    /// one at `place`.
    #[inline]
    pub fn guest_masked(&self, entry: &Entry, place: Place) -> Option<bool> {
        self.look(entry, place, |msi| msi.guest_masked())
            .map(|(_, masked)| masked)
    }

    /// Looks for the interrupt that is set up for the entry at a place, bound or not, among all of
    /// the function's. The outer `None` says that there is none, the inner one that it has no IRQ
    /// yet.
    #[doc(alias = "msixtbl_addr_to_desc")]
    #[cold]
    pub fn set_up(&self, devices: &Devices, place: Place) -> Option<SetUp> {
        let entry = self.entry_of(place);
        let msi = devices
            .msi_descs(self.device)?
            .find(|msi| entry.sends(*msi))?;
        Some(SetUp {
            guest_masked: msi.guest_masked(),
            irq: msi.irq_desc().map(|irq| EntryIrq { irq, entry }),
        })
    }

    /// Returns the function that has the table, if the domain still has it.
    pub fn device<'a>(&self, devices: &'a Devices) -> Option<PciDev<'a>> {
        devices.find(self.device)
    }

    /// Changes the number of bindings, which only the holder of the event lock does; returns the new one.
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
        // The memory is zeroed, and that is the value of a link that is in no chain.
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
            for (index, key) in keys(device, base, bytes).take(LINKS).enumerate() {
                let link = (&raw mut (*this).links).cast::<Link>().add(index);
                (*link).key = key;
                (*link).table = this;
            }
            Ok(table.as_ref())
        }
    }
}

/// The keys under which a table is found: its function, and each page that it touches.
fn keys(device: DeviceId, base: u64, bytes: u64) -> impl Iterator<Item = u64> {
    let last = base.saturating_add(bytes - 1);
    core::iter::once(device_key(device)).chain(base >> PAGE_SHIFT..=last >> PAGE_SHIFT)
}

fn device_key(device: DeviceId) -> u64 {
    device.structure()
}

/// The tables of a domain.
#[repr(C)]
struct Tables {
    /// First, because C frees this by the address of it.
    rcu: UnsafeCell<sys::rcu_head>,
    buckets: [AtomicPtr<Link>; 1 << BUCKETS_LOG2],
}

impl Tables {
    #[inline]
    fn bucket(&self, key: u64) -> &AtomicPtr<Link> {
        // The upper bits of a product with 2^64 divided by the golden ratio spread neighbours well.
        let hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - BUCKETS_LOG2);
        // SAFETY: The shift leaves as many bits as the number of buckets has.
        unsafe { self.buckets.get_unchecked(hash as usize) }
    }

    #[inline]
    fn find(&self, key: u64) -> Option<&Table> {
        let mut link = self.bucket(key).load(Ordering::Acquire);
        loop {
            // SAFETY: Links are parts of tables, which `remove` has freed after a grace period:
            // they stay for as long as the RCU section that `find` asks for, or the event lock.
            let this = unsafe { link.as_ref() }?;
            if this.key == key {
                // SAFETY: A link that is in a chain names its table, of which it is a part.
                return Some(unsafe { this.table.as_ref().unwrap_unchecked() });
            }
            link = this.next.load(Ordering::Acquire);
        }
    }
}

/// Returns the root of a domain's tables, if it has any.
#[inline]
fn root<'a>(domain: Domain<'a>) -> Option<&'a Tables> {
    // SAFETY: The field is null or what `set_up` stored, which stays while the caller's RCU section or lock lasts.
    unsafe {
        AtomicPtr::from_ptr(domain.msix_tables())
            .load(Ordering::Acquire)
            .cast::<Tables>()
            .as_ref()
    }
}

/// Returns the root of a domain's tables, made at need.
fn make_root<'a>(domain: Domain<'a>) -> Result<&'a Tables, Errno> {
    if let Some(tables) = root(domain) {
        return Ok(tables);
    }
    let tables = memory::zalloc(Layout::new::<Tables>())
        .ok_or(Errno::NOMEM)?
        .cast::<Tables>();
    // SAFETY: The memory is zeroed, and so is an empty chain. It is published in one step.
    unsafe {
        AtomicPtr::from_ptr(domain.msix_tables()).store(tables.as_ptr().cast(), Ordering::Release);
        Ok(tables.as_ref())
    }
}

/// Sets up emulation of MSI-X tables for a domain that has it not yet.
///
/// Should memory be short, the first binding tries again, and can say so.
///
/// Context: the domain is an HVM domain; `pcidevs_lock` is held, IRQs on.
pub fn set_up(domain: Domain) {
    domain.set_up_msix_emulation();
    // The result is ignored for the reason above.
    let _ = make_root(domain);
}

/// Returns the table that shares a page with a guest-physical address.
#[doc(alias = "msixtbl_find_entry")]
#[inline]
pub fn find<'g>(domain: Domain<'g>, _: &'g ReadGuard, address: u64) -> Option<&'g Table> {
    root(domain)?.find(address >> PAGE_SHIFT)
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
    irq: IrqDesc<'static>,
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
            irq: locked.desc().for_good(),
        })
    }

    /// The number of the interrupt as its descriptor has it.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its entry in the shadow.
    fn shadow<'t>(&self, table: &'t Table) -> Option<&'t Entry> {
        let number = self.is_msix.then_some(self.number)?;
        table.numbered(number.into())
    }

    /// The number by which the shadow names the IRQ.
    fn irq_number(&self) -> Option<u32> {
        u32::try_from(self.irq.irq()).ok()
    }
}

/// Takes note that an interrupt is bound; its function's table is at `base`, unless an earlier binding said otherwise.
///
/// # Errors
///
/// `INVAL` for a function without MSI-X, `NOMEM`.
pub fn bind(lock: &EventLock, binding: Binding, base: u64) -> Result<(), Errno> {
    let tables = make_root(lock.domain())?;
    let table = match tables.find(device_key(binding.device)) {
        Some(table) if table.device == binding.device => table,
        other => {
            // What is left of a function that went before its interrupts were unbound.
            if let Some(stale) = other {
                remove(tables, stale);
            }
            insert(tables, binding, base)?
        }
    };
    table.add_to_bindings(1);
    if let Some(entry) = binding.shadow(table) {
        entry.set_irq(binding.irq_number());
    }
    Ok(())
}

/// Takes note that an interrupt is no longer bound; its function's table goes with the last.
pub fn unbind(lock: &EventLock, binding: Binding) {
    let Some(tables) = root(lock.domain()) else {
        return;
    };
    let Some(table) = tables.find(device_key(binding.device)) else {
        return;
    };
    if let Some(entry) = binding.shadow(table) {
        // Should another IRQ be bound to the entry, too, accesses search for it.
        entry.set_irq(None);
    }
    if table.add_to_bindings(1u32.wrapping_neg()) == 0 {
        remove(tables, table);
    }
}

/// Removes the table of a function that goes.
pub fn forget(lock: &EventLock, device: DeviceId) {
    if let Some(tables) = root(lock.domain())
        && let Some(table) = tables.find(device_key(device))
    {
        remove(tables, table);
    }
}

/// Removes all tables of a domain.
pub fn remove_all(lock: &EventLock) {
    let domain = lock.domain();
    let Some(tables) = root(domain) else { return };
    for bucket in &tables.buckets {
        // SAFETY: The event lock keeps the links of the chain.
        while let Some(link) = unsafe { bucket.load(Ordering::Relaxed).as_ref() } {
            // SAFETY: The event lock keeps the table that the link is a part of. The link goes with
            // it, so that the loop ends.
            remove(tables, unsafe { &*link.table });
        }
    }
    // SAFETY: The field is ours. Readers that still have the root keep it until their section ends; then C frees it.
    unsafe {
        AtomicPtr::from_ptr(domain.msix_tables()).store(ptr::null_mut(), Ordering::Release);
        sys::shim_call_rcu_xfree(tables.rcu.get());
    }
}

/// Makes a function's table and publishes it. The caller holds the domain's event lock.
#[doc(alias = "add_msixtbl_entry")]
fn insert(tables: &Tables, binding: Binding, base: u64) -> Result<&Table, Errno> {
    let table = Table::new(binding.device, binding.entries as usize, base)?;
    for link in table.links.iter().filter(|link| !link.table.is_null()) {
        let address = ptr::from_ref(link).cast_mut();
        chain::insert(tables.bucket(link.key), address, &link.next);
    }
    Ok(table)
}

/// Takes a table out of all chains, and has it freed when no reader can have it any more.
#[doc(alias = "del_msixtbl_entry")]
#[doc(alias = "free_msixtbl_entry")]
fn remove(tables: &Tables, table: &Table) {
    for link in table.links.iter().filter(|link| !link.table.is_null()) {
        let slots = successors(Some(tables.bucket(link.key)), |slot| {
            // SAFETY: The event lock keeps the links of the chain.
            unsafe { slot.load(Ordering::Relaxed).as_ref() }.map(|link| &link.next)
        });
        chain::remove(slots, ptr::from_ref(link).cast_mut(), &link.next);
    }
    // SAFETY: The table is unreachable for new readers.
    unsafe { table.shadow.free_later() };
}
