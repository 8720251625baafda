//! Which pirq of a domain is mapped to an IRQ: the one that the caller names, the one that the IRQ
//! has, or one that is free.

use crate::create;
use crate::pirqs::{Mapped, Source, map};
use irq_core::irq::pirqs::{Link, PirqNumber, block_of};
use xen::arch::cpu::current;
use xen::base::errno::Errno;
use xen::irq::pirqs::{Pirqs, link_without_lock};
use xen::irq::{options, pirq_log as log};
use xen::objects::domain::Domain;
use xen::objects::irq_desc::IrqDesc;
use xen::objects::msi_info::Request;
use xen::objects::pci_dev::DeviceList;
use xen::sync::rwlock::EventLock;

/// What a pirq is chosen for.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A pin.
    Pin,
    /// A message.
    Message,
}

/// Returns what tells whether a pirq is free, and allocates the structure of one that is.
fn take_free(pirqs: Pirqs<'_>) -> impl FnMut(PirqNumber) -> bool {
    move |number| {
        let is_free = pirqs.is_free(number);
        if is_free {
            // Without memory `map` fails later, and says so.
            pirqs.get_or_allocate(number);
        }
        is_free
    }
}

/// Chooses a pirq that is free (`get_free_pirq()`).
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::NOSPC`].
#[doc(alias = "get_free_pirq")]
pub fn choose_free(lock: &EventLock<'_>, kind: Kind) -> Result<PirqNumber, Errno> {
    let pirqs = Pirqs::of(lock);
    let found = match kind {
        Kind::Pin => pirqs.numbers().for_pin(take_free(pirqs)),
        Kind::Message => pirqs.numbers().for_message(take_free(pirqs)),
    };
    found.ok_or(Errno::NOSPC)
}

/// Chooses a run of pirqs that are free, and returns the lowest (`get_free_pirqs()`).
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::NOSPC`].
#[doc(alias = "get_free_pirqs")]
pub fn choose_free_block(lock: &EventLock<'_>, messages: u32) -> Result<PirqNumber, Errno> {
    let pirqs = Pirqs::of(lock);
    let found = pirqs.numbers().for_block(messages, take_free(pirqs));
    found.ok_or(Errno::NOSPC)
}

/// Chooses the pirqs of a block of messages. The request says how many there are to be, and then
/// how many the block has; where there is no run of as many, how many there could be.
fn choose_block(lock: &EventLock<'_>, request: Request<'_>) -> Result<PirqNumber, Errno> {
    let pirqs = Pirqs::of(lock);
    let block = block_of(request.messages().cast_signed()).ok_or(Errno::DOM)?;
    if request.messages() != 1 && !options::are_remapped() {
        return Err(Errno::OPNOTSUPP);
    }
    request.set_messages(block);
    let chosen = choose_free_block(lock, block);
    if chosen.is_err() {
        let smaller = pirqs.numbers().smaller_block(block, take_free(pirqs));
        request.set_messages(smaller);
        log::no_block(pirqs.domain(), smaller << 1);
    }
    chosen
}

/// Chooses the pirq of an IRQ that is to be mapped. `wanted` is the number that the caller names,
/// negative for none; `index` is what it names the source by (`allocate_pirq()`).
///
/// # Errors
///
/// [`Errno::BUSY`] where a guest has yet to unbind from the IRQ, [`Errno::EXIST`] where it has
/// another pirq than the one that is wanted, [`Errno::NOSPC`]; [`Errno::DOM`] for a number of
/// messages that no block has, [`Errno::OPNOTSUPP`] for several where interrupts are not remapped.
#[doc(alias = "allocate_pirq")]
fn choose(
    lock: &EventLock<'_>,
    (index, wanted): (i32, i32),
    irq: IrqDesc<'_>,
    source: Source<'_>,
) -> Result<i32, Errno> {
    let pirqs = Pirqs::of(lock);
    let domain = pirqs.domain();
    let old = pirqs.link_of(irq);
    if wanted >= 0 {
        if old != Link::None && old.word() != wanted {
            log::has_other_pirq(domain, irq.number(), old.word());
            return Err(Errno::EXIST);
        }
        return Ok(wanted);
    }
    if old != Link::None {
        log::has_pirq(domain, index, wanted, old.word());
        return match old {
            Link::To(number) => Ok(number.cast_signed()),
            _ => Err(Errno::BUSY),
        };
    }
    let chosen = match source {
        Source::Block(request, _) => return choose_block(lock, request).map(PirqNumber::get),
        Source::Pin => choose_free(lock, Kind::Pin),
        Source::Message(..) => choose_free(lock, Kind::Message),
    };
    if chosen.is_err() {
        log::no_pirq(domain);
    }
    chosen.map(PirqNumber::get)
}

/// Maps a pirq of a domain to a pin's IRQ, which the current domain names by a pirq of its own; the
/// domain that owns the hardware may name it by its number. Returns the pirq, which is `wanted`, or
/// is chosen where that is negative (`allocate_and_map_gsi_pirq()`).
///
/// Context: IRQs on; the domain's event lock is not held.
///
/// # Errors
///
/// [`Errno::INVAL`] for a pin that there is not, or that the current domain may not name; those of
/// [`choose`] and [`map`].
#[doc(alias = "allocate_and_map_gsi_pirq")]
pub fn map_pin(domain: Domain<'_>, index: i32, wanted: i32) -> Result<i32, Errno> {
    let pin = u32::try_from(index)
        .ok()
        .filter(|pin| *pin < IrqDesc::pins());
    let Some(pin) = pin else {
        log::no_pin(domain, index);
        return Err(Errno::INVAL);
    };
    let caller = current().domain();
    let irq = match link_without_lock(caller, index) {
        Link::To(irq) => irq,
        Link::None | Link::Held(_) if caller.is_hardware() => pin,
        Link::None | Link::Held(_) => {
            log::no_irq_of_pirq(domain);
            return Err(Errno::INVAL);
        }
    };
    let desc = IrqDesc::numbered(irq).ok_or(Errno::INVAL)?;
    let lock = EventLock::write(domain);
    let pirq = choose(&lock, (index, wanted), desc, Source::Pin)?;
    map(&lock, pirq, desc.irq(), Source::Pin)?;
    Ok(pirq)
}

/// Maps a pirq of a domain to a function's message, or a run of pirqs to a block of messages.
/// Returns the first pirq, which is `wanted`, or is chosen where that is negative
/// (`allocate_and_map_msi_pirq()`). One message gets the IRQ `index`, unless that is -1; the others
/// get IRQs that are created.
///
/// Context: IRQs on; the domain's event lock is not held.
///
/// # Errors
///
/// [`Errno::INVAL`] where no IRQ could be created, or where that of the caller's is none of
/// messages; those of [`choose`] and [`map`].
#[doc(alias = "allocate_and_map_msi_pirq")]
pub fn map_messages(
    list: DeviceList<'_>,
    (index, wanted): (i32, i32),
    is_block: bool,
    request: Request<'_>,
) -> Result<i32, Errno> {
    let domain = list.domain();
    let source = if is_block {
        Source::Block(request, list)
    } else {
        Source::Message(request, list)
    };
    if !is_block && !request.is_for_table() {
        request.set_messages(1);
    }
    let mut created = None;
    let desc = if is_block || index == -1 {
        created = create::create(None, true).ok();
        created.as_ref().map(|irq| irq.desc())
    } else {
        let desc = u32::try_from(index).ok().and_then(IrqDesc::numbered);
        desc.filter(|desc| desc.is_of_message())
    };
    let Some(desc) = desc else {
        log::no_irq(domain);
        return Err(Errno::INVAL);
    };
    request.set_irq(desc.irq());
    let lock = EventLock::write(domain);
    let chosen = choose(&lock, (index, wanted), desc, source);
    let mapped = chosen.and_then(|pirq| Ok((pirq, map(&lock, pirq, desc.irq(), source)?)));
    drop(lock);
    match (created, mapped) {
        // It is destroyed with its message.
        (Some(irq), Ok((_, Mapped::Done))) => {
            irq.into_number();
        }
        (Some(irq), _) => create::destroy(irq),
        (None, _) => {}
    }
    mapped.map(|(pirq, _)| pirq)
}
