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
use crate::irq::IrqDesc;
use crate::memory;
use crate::msi_desc::MsiDesc;
use crate::pci::PciDev;
use crate::rcu::ReadGuard;
use crate::rwlock::EventLock;
use crate::shadow::Shadow;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::iter::successors;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use irq_core::msix::access::entry_number;
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

/// What is known of an entry's interrupt.
#[derive(Clone, Copy)]
pub enum Bound<'a> {
    /// It is bound, and this is its MSI.
    To(MsiDesc<'a>),
    /// It is not set up.
    Nowhere,
    /// It is not bound, but some entry of the function is set up without being bound, as between the device model's two
    /// hypercalls.
    Unknown,
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
    device: PciDev<'static>,
    entries: usize,
    /// No other table has or had the same.
    generation: u64,

    // Volatile state, written under the event lock.
    /// How many pirqs of the function are bound.
    bindings: AtomicU32,
    /// How often an interrupt was bound or unbound.
    changes: AtomicU32,
    /// The fingerprint under which all entries that are set up are bound, or else `changes`, which is smaller than any.
    settled: AtomicU64,
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

    /// The function that has the table.
    #[inline]
    pub fn device(&self) -> PciDev<'_> {
        self.device
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

    /// Looks for the MSI that is set up for `entry`, which is the one at `place`, without a search.
    ///
    /// The shadow names the IRQ of every entry that is bound, and is checked against the descriptor at each use.
    #[inline]
    pub fn bound<'a>(&self, entry: &Entry, place: Place) -> Bound<'a> {
        if let Some(irq) = entry.irq()
            // SAFETY: The number came from a descriptor, when the entry was bound.
            && let Some(desc) = unsafe { IrqDesc::of(irq) }.msi_desc()
            && self.has(desc, place.number() as u16)
        {
            return Bound::To(desc);
        }
        if self.settled.load(Ordering::Relaxed) == self.fingerprint() {
            Bound::Nowhere
        } else {
            Bound::Unknown
        }
    }

    /// A word that changes when an entry of the function is set up or given up: how many there are, and which was the last.
    #[inline]
    fn fingerprint(&self) -> u64 {
        let used = self.device.msix().map_or(0, |msix| msix.used());
        u64::from(used) << 48 | self.device.last_msi() << 16 >> 16
    }

    /// Returns the MSI that is set up for the entry at a place of this table, if need be by a search.
    pub fn descriptor<'a>(&self, place: Place) -> Option<MsiDesc<'a>> {
        match self.bound(self.entry(place), place) {
            Bound::To(desc) => Some(desc),
            Bound::Nowhere => None,
            Bound::Unknown => self.search(place.number() as u16),
        }
    }

    /// Returns whether a descriptor is that of an entry of this table.
    #[inline]
    fn has(&self, desc: MsiDesc, number: u16) -> bool {
        desc.entry() == number && desc.is_msix() && desc.is_of(self.device)
    }

    /// Looks through all descriptors of the function for that of an entry. A search in vain that finds all of them bound
    /// spares the next ones, until an entry is set up, bound or unbound.
    #[cold]
    #[inline(never)]
    fn search<'a>(&self, number: u16) -> Option<MsiDesc<'a>> {
        let (settled, fingerprint) = (self.settled.load(Ordering::Relaxed), self.fingerprint());
        let mut all_bound = true;
        for desc in self.device.msi_descs().filter(|desc| desc.is_msix()) {
            if self.has(desc, number) {
                return Some(desc);
            }
            let entry = self.numbered(desc.entry().into());
            all_bound &= entry.is_some_and(|entry| entry.irq().is_some());
        }
        if all_bound {
            // Whoever binds or unbinds meanwhile changes the word, and then this result is worth nothing.
            let _ = self.settled.compare_exchange(
                settled,
                fingerprint,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
        None
    }

    /// Changes the number of bindings, which only the holder of the event lock does; returns the new one.
    fn add_to_bindings(&self, change: u32) -> u32 {
        let bindings = self.bindings.load(Ordering::Relaxed).wrapping_add(change);
        self.bindings.store(bindings, Ordering::Relaxed);
        bindings
    }

    /// Has the next search in vain be a real one. Only the holder of the event lock does this.
    fn unsettle(&self) {
        let changes = self.changes.load(Ordering::Relaxed).wrapping_add(1);
        self.changes.store(changes, Ordering::Relaxed);
        self.settled.store(changes.into(), Ordering::Relaxed);
    }

    /// Allocates a table that nothing is known of yet.
    ///
    /// Context: IRQs on.
    ///
    /// # Errors
    ///
    /// `INVAL` for a function that has no MSI-X, `NOMEM`.
    fn new(device: PciDev, base: u64) -> Result<NonNull<Self>, Errno> {
        let entries = device.msix().map_or(0, |msix| msix.entries()) as usize;
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Errno::INVAL);
        }
        let table = memory::zalloc(Layout::new::<Self>())
            .ok_or(Errno::NOMEM)?
            .cast::<Self>();
        // The memory is zeroed, and that is the value of a link that is in no chain.
        // SAFETY: The memory is ours and large enough; single fields are written, because the rest is right as it is.
        unsafe {
            let this = table.as_ptr();
            Shadow::allocate(&raw mut (*this).shadow, entries)
                .inspect_err(|_| sys::xfree(this.cast()))?;
            (*this).base = base;
            (*this).bytes = entries as u64 * ENTRY_SIZE;
            // The function outlives its table: the table goes with the function's last binding.
            (&raw mut (*this).device).write(PciDev::from_raw(device.as_ptr()).unwrap_unchecked());
            (*this).entries = entries;
            (*this).generation = LAST_GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
        }
        Ok(table)
    }

    /// The keys under which the table is found.
    fn keys(&self) -> impl Iterator<Item = u64> + use<> {
        let last = self.base.saturating_add(self.bytes - 1);
        let pages = self.base >> PAGE_SHIFT..=last >> PAGE_SHIFT;
        core::iter::once(device_key(self.device)).chain(pages)
    }
}

fn device_key(device: PciDev) -> u64 {
    device.as_ptr() as u64
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
            // SAFETY: Links are parts of tables, which stay while the caller's RCU section or lock lasts.
            let this = unsafe { link.as_ref() }?;
            if this.key == key {
                // SAFETY: As above; a link in a chain names its table.
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
#[inline]
pub fn find<'g>(domain: Domain<'g>, _: &'g ReadGuard, address: u64) -> Option<&'g Table> {
    root(domain)?.find(address >> PAGE_SHIFT)
}

/// An interrupt of a function's MSI-X table, as a descriptor says under its lock.
#[derive(Clone, Copy)]
pub struct Binding<'a> {
    /// The function.
    pub device: PciDev<'a>,
    /// The entry of its table; `None` where the interrupt is none of MSI-X.
    pub entry: Option<u16>,
    /// The IRQ.
    pub irq: u32,
}

impl Binding<'_> {
    /// Its entry in the shadow.
    fn shadow<'t>(&self, table: &'t Table) -> Option<&'t Entry> {
        table.numbered(self.entry?.into())
    }
}

/// Takes note that an interrupt is bound; its function's table is at `base`, unless an earlier binding said otherwise.
///
/// # Errors
///
/// `INVAL` for a function without MSI-X, `NOMEM`.
pub fn bind(_: &EventLock, domain: Domain, binding: Binding, base: u64) -> Result<(), Errno> {
    let tables = make_root(domain)?;
    let table = match tables.find(device_key(binding.device)) {
        Some(table) => table,
        None => insert(tables, binding.device, base)?,
    };
    table.add_to_bindings(1);
    if let Some(entry) = binding.shadow(table) {
        entry.set_irq(Some(binding.irq));
    }
    table.unsettle();
    Ok(())
}

/// Takes note that an interrupt is no longer bound; its function's table goes with the last.
pub fn unbind(_: &EventLock, domain: Domain, binding: Binding) {
    let Some(tables) = root(domain) else { return };
    let Some(table) = tables.find(device_key(binding.device)) else {
        return;
    };
    if let Some(entry) = binding.shadow(table)
        && entry.irq() == Some(binding.irq)
    {
        entry.set_irq(None);
    }
    table.unsettle();
    if table.add_to_bindings(1u32.wrapping_neg()) == 0 {
        remove(tables, table);
    }
}

/// Removes all tables of a domain.
pub fn remove_all(_: &EventLock, domain: Domain) {
    let Some(tables) = root(domain) else { return };
    for bucket in &tables.buckets {
        // SAFETY: The event lock keeps the links of the chain.
        while let Some(link) = unsafe { bucket.load(Ordering::Relaxed).as_ref() } {
            // SAFETY: As above; the first link goes with its table, so that the loop ends.
            remove(tables, unsafe { &*link.table });
        }
    }
    // SAFETY: The field is ours. Readers that still have the root keep it until their section ends; then C frees it.
    unsafe {
        AtomicPtr::from_ptr(domain.msix_tables()).store(ptr::null_mut(), Ordering::Release);
        sys::shim_call_rcu_xfree(tables.rcu.get());
    }
}

/// Makes a function's table and publishes it.
fn insert<'t>(tables: &'t Tables, device: PciDev, base: u64) -> Result<&'t Table, Errno> {
    let table = Table::new(device, base)?;
    // SAFETY: The table is ours until its first link is published.
    let this = unsafe { table.as_ref() };
    for (index, key) in this.keys().take(LINKS).enumerate() {
        let bucket = tables.bucket(key);
        // SAFETY: The link is not in a chain yet, so that nobody else looks at it.
        unsafe {
            let link = (&raw mut (*table.as_ptr()).links).cast::<Link>().add(index);
            link.write(Link {
                next: AtomicPtr::new(bucket.load(Ordering::Relaxed)),
                key,
                table: table.as_ptr(),
            });
            bucket.store(link, Ordering::Release);
        }
    }
    Ok(this)
}

/// Takes a table out of all chains, and has it freed when no reader can have it any more.
fn remove(tables: &Tables, table: &Table) {
    for link in table.links.iter().filter(|link| !link.table.is_null()) {
        let chain = successors(Some(tables.bucket(link.key)), |slot| {
            // SAFETY: The event lock keeps the links of the chain.
            unsafe { slot.load(Ordering::Relaxed).as_ref() }.map(|link| &link.next)
        });
        for slot in chain {
            if ptr::eq(slot.load(Ordering::Relaxed), link) {
                slot.store(link.next.load(Ordering::Relaxed), Ordering::Release);
                break;
            }
        }
    }
    // SAFETY: The table is unreachable for new readers.
    unsafe { table.shadow.free_later() };
}
