//! Pirqs of domains that are mapped to IRQs, and unmapped.
//!
//! A domain names an IRQ by a pirq: that of a pin, or one message of a function, or each message of
//! a block. The types say what is held and what may happen:
//!
//! - [`EventLock`] is the domain's event lock, held for writing; [`Pirqs`], which is made of it,
//!   leads to the domain's pirqs and to the map from IRQs. [`DeviceList`] is `pcidevs_lock` or the
//!   domain's `pci_lock`, under which its functions and their messages stay. Both are taken before
//!   the lock of an IRQ's descriptor ([`HeldDesc`]), with which a link between a pirq and its IRQ
//!   changes.
//! - [`PirqNumber`] is below the number of pirqs that the domain may have. [`Link`] is what a pirq
//!   or an IRQ leads to: nothing, a number, or nothing until a guest that was unbound by force has
//!   unbound.
//!
//! To map a pirq ([`map`]):
//! 1. The current domain may use the IRQ, and neither leads elsewhere. XSM agrees.
//! 2. The domain may use the IRQ from now on, and the map has an entry for it, which leads to
//!    nothing yet.
//! 3. For a message: the function is enabled to send it, and the IRQ set up for it.
//! 4. The links are set.
//!
//! For each further message of a block an IRQ is created; then its step 2 to 4 follow, where step 3
//! is its own IRQ alone. A [`Mapping`] notes what was done of each message. Where a step fails, all
//! is undone, from the last message to the first, so that pirqs and IRQs lead where they led before
//! ([`Mapping::undo_messages`]), and the IRQs that were created are destroyed.
//!
//! To unmap one ([`unmap`]): each guest of each message of a block is unbound first, so that
//! nothing refers to the IRQs any more. Then the function sends no messages, the links end, the
//! domain may not use the IRQs, and messages are freed with their IRQs. A guest that was unbound
//! by force has yet to unbind by itself: until then its pirq and the IRQ hold each other's
//! numbers, and neither is chosen for something else.

use crate::guests::force_unbind;
use crate::{create, emulated};
use irq_core::irq::pirqs::{Emuirq, Link, MOST_MESSAGES, PirqNumber};
use xen::arch::cpu::current;
use xen::base::errno::Errno;
use xen::irq::messages::{self, NewMessages, Refused};
use xen::irq::pirqs::{After, Pirqs, PrivateMaps, guest_of};
use xen::irq::place::{self, PlacedDesc};
use xen::irq::{options, pirq_log as log};
use xen::objects::domain::Domain;
use xen::objects::irq_desc::{HeldDesc, IrqDesc};
use xen::objects::msi_desc::Sender;
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::{DeviceList, KeptDev, with_devices_locked};
use xen::objects::pirq::PirqView;
use xen::sync::rwlock::EventLock;
use xen::xen_assert;

/// What a pirq is mapped to.
#[derive(Clone, Copy)]
pub enum Source<'l> {
    /// A pin of an IO-APIC or a PIC.
    Pin,
    /// One message of a function, or an entry of its MSI-X table.
    Message(Request<'l>, DeviceList<'l>),
    /// A block of messages of a function.
    Block(Request<'l>, DeviceList<'l>),
}

impl<'l> Source<'l> {
    /// The request of messages.
    fn request(self) -> Option<Request<'l>> {
        match self {
            Self::Pin => None,
            Self::Message(request, _) | Self::Block(request, _) => Some(request),
        }
    }
}

/// What was done so far to map a pirq, or those of a block of messages. The bits are those of the
/// messages, the first of which alone there is otherwise.
struct Mapping<'l> {
    pirqs: Pirqs<'l>,
    /// The pirq of the first message.
    first: PirqNumber,
    /// Where the IRQ of the first message led before.
    irq_before: Link,
    /// Where the pirqs led before, as words.
    before: [i32; MOST_MESSAGES as usize],
    /// Those whose IRQ the domain was given access to.
    permitted: u32,
    /// Those whose IRQ has a new entry in the map.
    entered: u32,
    /// Those that are linked.
    linked: u32,
}

/// The bit of a message.
fn bit(number: u32) -> u32 {
    1u32.wrapping_shl(number)
}

impl<'l> Mapping<'l> {
    fn new(pirqs: Pirqs<'l>, first: PirqNumber, irq_before: Link) -> Self {
        Self {
            pirqs,
            first,
            irq_before,
            before: [0; MOST_MESSAGES as usize],
            permitted: 0,
            entered: 0,
            linked: 0,
        }
    }

    fn domain(&self) -> Domain<'l> {
        self.pirqs.domain()
    }

    /// Lets the domain use the IRQ of a message, if it may not yet.
    fn permit(&mut self, number: u32, desc: IrqDesc<'_>) -> Result<(), Errno> {
        if !self.domain().may_use_irq(desc.irq()) {
            self.domain().set_irq_access(desc.number(), true)?;
            self.permitted |= bit(number);
        }
        Ok(())
    }

    /// Undoes [`Self::permit`].
    fn revoke(&self, number: u32, desc: IrqDesc<'_>) {
        let is_permitted = self.permitted & bit(number) != 0;
        if is_permitted && self.domain().set_irq_access(desc.number(), false).is_err() {
            log::not_revoked(self.domain(), desc.number(), self.first.get());
        }
    }

    /// Makes an entry in the map for the IRQ of a message, and allocates its pirq.
    fn prepare(
        &mut self,
        number: u32,
        desc: IrqDesc<'_>,
        pirq: PirqNumber,
    ) -> Result<PirqView<'l>, Errno> {
        let (pirq, is_new) = self.pirqs.prepare(desc, pirq)?;
        if let Some(before) = self.before.get_mut(number as usize) {
            *before = pirq.link().word();
        }
        if is_new {
            self.entered |= bit(number);
        }
        Ok(pirq)
    }

    /// Undoes [`Self::prepare`] and [`Self::link`].
    fn forget(&self, number: u32, desc: IrqDesc<'_>) {
        let pirq = self.pirqs.numbers().behind(self.first, number);
        let Some(pirq) = pirq.and_then(|pirq| self.pirqs.get(pirq)) else {
            return;
        };
        if self.linked & bit(number) != 0 {
            let before = self.before.get(number as usize);
            let pirq_before = before.map_or(Link::None, |word| Link::of(*word));
            let irq_before = if number == 0 {
                self.irq_before
            } else {
                Link::None
            };
            let locked = desc.lock();
            let before = After::AsBefore(pirq_before, irq_before);
            self.pirqs.unlink(locked.held(), pirq, before);
        }
        if self.entered & bit(number) != 0 {
            self.pirqs.forget(desc, pirq);
        }
    }

    /// Has the pirq of a message and its IRQ lead to each other.
    fn link(&mut self, number: u32, desc: HeldDesc<'_>, pirq: PirqView<'l>) {
        self.pirqs.link_to(desc, pirq);
        self.linked |= bit(number);
    }

    /// Maps the messages of a function. What was done to the first before is left to who did it.
    fn map_messages(
        &mut self,
        (desc, pirq): (IrqDesc<'static>, PirqView<'l>),
        (request, is_block): (Request<'l>, bool),
        list: DeviceList<'l>,
    ) -> Result<(), Errno> {
        if !options::has_apic() {
            return Err(Errno::NODEV);
        }
        let device = list.find(request.function()).ok_or(Errno::NODEV)?;
        let messages = NewMessages::enable(device, request).map_err(|why| match why {
            Refused::TooMany(most) => {
                request.set_messages(most);
                Errno::NFILE
            }
            Refused::Error(errno) => errno,
        })?;
        let count = if is_block { messages.count() } else { 1 };
        let mut added = self.add(0, (desc, pirq), &messages);
        let mut number = 0;
        while added.is_ok() && number + 1 < count {
            number += 1;
            let next = self.begin(number, &messages);
            added = next.and_then(|next| self.add(number, next, &messages));
        }
        if added.is_err() {
            self.undo_messages(number, messages);
        }
        added
    }

    /// Creates the IRQ of a message that is not the first, and prepares its pirq.
    fn begin(
        &mut self,
        number: u32,
        messages: &NewMessages<'_>,
    ) -> Result<(IrqDesc<'static>, PirqView<'l>), Errno> {
        let irq = create::create(None, true)?;
        let desc = irq.desc();
        messages.use_irq(number, irq);
        let pirq = self.pirqs.numbers().behind(self.first, number);
        let pirq = pirq.ok_or(Errno::INVAL)?;
        if matches!(self.pirqs.link(pirq), Link::To(_)) {
            return Err(Errno::EXIST);
        }
        if self.pirqs.link_of(desc) != Link::None {
            return Err(Errno::BUSY);
        }
        let pirq = self.prepare(number, desc, pirq)?;
        if self.permit(number, desc).is_err() {
            log::message_not_permitted(self.domain(), desc.number(), self.first.get());
        }
        Ok((desc, pirq))
    }

    /// Sets the IRQ of a message up, and links it.
    fn add(
        &mut self,
        number: u32,
        (desc, pirq): (IrqDesc<'static>, PirqView<'l>),
        messages: &NewMessages<'_>,
    ) -> Result<(), Errno> {
        let locked = desc.lock();
        let held = locked.held();
        if !held.is_unused() {
            if number == 0 {
                drop(locked);
                log::in_use(self.domain(), desc.number());
            } else {
                log::message_in_use(self.domain(), held, pirq.number());
            }
            return Err(Errno::BUSY);
        }
        messages.set_up(number, held)?;
        keep_apart(held, messages.device());
        self.link(number, held, pirq);
        Ok(())
    }

    /// Undoes what was done to messages, of which `last` could not be added, but for the first's
    /// pirq and IRQ.
    fn undo_messages(&self, last: u32, messages: NewMessages<'_>) {
        messages.disable();
        for number in (1..=last).rev() {
            if let Some(desc) = messages.irq(number) {
                self.revoke(number, desc);
                self.forget(number, desc);
            }
        }
        messages.free_but_first();
    }
}

/// Keeps an IRQ from sharing a vector with others of its function, if that is asked for.
fn keep_apart(held: HeldDesc<'_>, device: KeptDev<'_>) {
    if !options::keeps_functions_apart() || place::used(held).is_some() {
        return;
    }
    place::set_used_of(held, device);
    let vector = PlacedDesc::of(held).and_then(|desc| place::read(desc).vector);
    if let (Some(vector), Some(used)) = (vector, place::used(held)) {
        let was_used = used.insert(vector);
        xen_assert!(!was_used);
    }
}

/// The descriptor of an IRQ that a pirq can stand for. IRQ 0 is none: zero leads to nothing.
fn usable(irq: i32) -> Option<IrqDesc<'static>> {
    let irq = u32::try_from(irq).ok().filter(|irq| *irq != 0)?;
    IrqDesc::numbered(irq)
}

/// What came of a mapping that is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// The pirq stands for the IRQ.
    Done,
    /// The pirq stands for another IRQ, or the IRQ has another pirq. Nothing has changed.
    Elsewhere,
}

/// Maps a pirq of a domain to an IRQ: a pin's, or that of a message (`map_domain_pirq()`).
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::PERM`] where the current domain may not use the IRQ, [`Errno::INVAL`] for numbers that
/// there are not, [`Errno::NODEV`] without such a function, [`Errno::NFILE`] where it has fewer
/// messages, [`Errno::BUSY`] where the IRQ of a message is in use, [`Errno::EXIST`] where the pirq
/// of a further message is mapped; those of XSM, `pci_enable_msi()`, `setup_msi_irq()` and
/// `create_irq()`. All is as it was then, but for the request, which says how many messages the
/// function has; for access to an IRQ that could not be taken back, which the log names; and for
/// the other kind of MSI, which `pci_enable_msi()` disables first.
#[doc(alias = "map_domain_pirq")]
pub fn map(lock: &EventLock<'_>, pirq: i32, irq: i32, source: Source<'_>) -> Result<Mapped, Errno> {
    let pirqs = Pirqs::of(lock);
    let domain = pirqs.domain();
    if !current().domain().may_use_irq(irq) {
        return Err(Errno::PERM);
    }
    let (Some(number), Some(desc)) = (pirqs.numbered(pirq), usable(irq)) else {
        log::invalid(domain, pirq, irq);
        return Err(Errno::INVAL);
    };
    let (old_irq, old_pirq) = (pirqs.link(number), pirqs.link_of(desc));
    let irq_is_other = matches!(old_irq, Link::To(old) if old != desc.number());
    let pirq_is_other = old_pirq != Link::None && old_pirq != Link::To(number.index());
    if irq_is_other || pirq_is_other {
        log::already_mapped(domain, pirq, irq, old_pirq.word(), old_irq.word());
        return Ok(Mapped::Elsewhere);
    }
    if let Err(errno) = domain.check_map_permission(desc.number(), source.request()) {
        log::refused(domain, irq, pirq);
        return Err(errno);
    }
    let mut mapping = Mapping::new(pirqs, number, old_pirq);
    if let Err(errno) = mapping.permit(0, desc) {
        log::not_permitted(domain, desc.number(), pirq);
        return Err(errno);
    }
    let mapped = mapping
        .prepare(0, desc, number)
        .and_then(|view| match source {
            Source::Pin => {
                mapping.link(0, desc.lock().held(), view);
                Ok(())
            }
            Source::Message(request, list) => {
                mapping.map_messages((desc, view), (request, false), list)
            }
            Source::Block(request, list) => {
                mapping.map_messages((desc, view), (request, true), list)
            }
        });
    if mapped.is_err() {
        mapping.forget(0, desc);
        mapping.revoke(0, desc);
    }
    mapped.map(|()| Mapped::Done)
}

/// Unmaps a pirq of a domain, or those of a block of messages, the first of which it is
/// (`unmap_domain_pirq()`). Guests are unbound by force where they are still bound.
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::INVAL`] where the pirq stands for no IRQ, [`Errno::BUSY`] for a message that is not the
/// first of its block, those of XSM. Where the domain could not be denied an IRQ, the pirq is
/// unmapped nevertheless.
#[doc(alias = "unmap_domain_pirq")]
pub fn unmap(lock: &EventLock<'_>, list: DeviceList<'_>, pirq: i32) -> Result<(), Errno> {
    let pirqs = Pirqs::of(lock);
    let domain = pirqs.domain();
    let first = pirqs.numbered(pirq).ok_or(Errno::INVAL)?;
    let Link::To(irq) = pirqs.link(first) else {
        log::not_mapped(domain, pirq);
        return Err(Errno::INVAL);
    };
    let msi = messages::of(pirqs, first, list);
    let block = msi.filter(|msi| msi.sender() == Sender::Msi);
    if block.is_some_and(|msi| msi.entry() != 0) {
        log::is_secondary(domain, pirq);
        return Err(Errno::BUSY);
    }
    let count = block.map_or(1, |msi| msi.messages());
    // A domain that ends is unmapped by Xen itself, on whatever vCPU that runs.
    if !domain.is_dying() {
        domain.check_unmap_permission(irq, msi.and_then(|msi| msi.device()))?;
    }
    let numbers = (0..count).filter_map(|number| {
        let pirq = pirqs.numbers().behind(first, number)?;
        Some((number, pirq))
    });
    // A pirq of the run that stands for another IRQ is none of the block's.
    let is_own = |number: u32, pirq| match block {
        Some(block) => {
            let own = messages::of(pirqs, pirq, list);
            own.is_some() && own == block.block().nth(number as usize)
        }
        None => matches!(pirqs.link(pirq), Link::To(_)),
    };
    let mut forced = 0;
    for (number, pirq) in numbers.clone() {
        let guest = guest_of(lock, pirq).filter(|_| is_own(number, pirq));
        if guest.is_some_and(force_unbind) {
            log::unbound_by_force(domain, pirq.get());
            forced |= bit(number);
        }
    }
    if let Some(msi) = msi {
        messages::disable(msi);
    }
    let (mut result, mut taken) = (Ok(()), None);
    for (number, pirq) in numbers {
        let linked = linked(pirqs, pirq);
        xen_assert!(linked.is_none() || is_own(number, pirq));
        let Some((view, desc)) = linked.filter(|_| is_own(number, pirq)) else {
            log::message_not_mapped(domain, pirq.get());
            continue;
        };
        let is_forced = forced & bit(number) != 0;
        let after = if is_forced {
            After::Held
        } else {
            After::AsBefore(Link::None, Link::None)
        };
        let locked = desc.lock();
        let held = locked.held();
        pirqs.unlink(held, view, after);
        if let Some(msi) = msi {
            if number == 0 {
                taken = messages::take(held, msi);
            } else {
                messages::take_further(held, msi, number);
            }
        }
        drop(locked);
        if !is_forced {
            pirqs.forget(desc, view);
        }
        if let Err(errno) = domain.set_irq_access(desc.number(), false) {
            log::not_denied(domain, desc.number(), pirq.get());
            result = Err(errno);
        }
    }
    if let Some(taken) = taken {
        taken.free();
    }
    result
}

/// A pirq that stands for an IRQ, and the IRQ.
fn linked<'l>(pirqs: Pirqs<'l>, number: PirqNumber) -> Option<(PirqView<'l>, IrqDesc<'static>)> {
    let pirq = pirqs.get(number)?;
    let Link::To(irq) = pirq.link() else {
        return None;
    };
    Some((pirq, IrqDesc::numbered(irq)?))
}

/// Unmaps all pirqs of a domain (`free_domain_pirqs()`).
///
/// Context: IRQs on, no lock held.
#[doc(alias = "free_domain_pirqs")]
pub fn unmap_all(domain: Domain<'_>) {
    with_devices_locked(|all| {
        let lock = EventLock::write(domain);
        let (pirqs, list) = (Pirqs::of(&lock), all.of(domain));
        for number in pirqs.numbers().all() {
            if matches!(pirqs.link(number), Link::To(_)) {
                // The log says which pirq could not be unmapped.
                let _ = unmap(&lock, list, number.get());
            }
        }
    });
}

/// Initializes the maps of a new domain. Its pirqs of the PICs' IRQs stand for these from the start
/// on (`init_domain_irq_mapping()`).
///
/// # Errors
///
/// [`Errno::NOMEM`]; then the maps are empty.
#[doc(alias = "init_domain_irq_mapping")]
pub fn initialize(maps: &PrivateMaps<'_>) -> Result<(), Errno> {
    maps.initialize();
    let pirqs = maps.pirqs();
    let of_pics = IrqDesc::of_pics()
        .skip(1)
        .filter(|desc| !desc.is_of_io_apic());
    for desc in of_pics {
        let number = pirqs.numbered(desc.irq()).ok_or(Errno::INVAL);
        let prepared = number.and_then(|number| pirqs.prepare(desc, number));
        match prepared {
            Ok((pirq, is_new)) => {
                xen_assert!(is_new);
                pirqs.link_to(desc.lock().held(), pirq);
            }
            Err(errno) => {
                maps.destroy();
                return Err(errno);
            }
        }
    }
    Ok(())
}

/// Unmasks the message that a pirq is mapped to, when an event channel was bound to the pirq
/// (`arch_evtchn_bind_pirq()`).
#[doc(alias = "arch_evtchn_bind_pirq")]
pub fn bound_to_channel(lock: &EventLock<'_>, pirq: i32) {
    let pirqs = Pirqs::of(lock);
    let number = pirqs.numbered(pirq);
    let Some((_, desc)) = number.and_then(|number| linked(pirqs, number)) else {
        return;
    };
    // A PV domain has no hardware of its own, and the channel is bound also where this fails.
    let _ = emulated::map(lock, pirq, Emuirq::PASSED_THROUGH);
    desc.lock().guest_mask_msi(false);
}
