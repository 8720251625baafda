//! Finds out what a step is about.

use xen_sys as sys;

use super::fakes::digest;
use super::plan::Plan;
use super::platform::{Platform, Pointers};
use super::spec::{FUNCTIONS, Place};
use super::world::{World, table_of};
use crate::side::Side;
use crate::xen::{addr, get};

/// How a device uses a table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Pins,
    Messages,
}

/// The functions of a requester's device that use its table, itself among them.
pub(super) fn sharers(side: &mut Side, world: &World, (segment, id): Place) -> Vec<u16> {
    let platform = &side.env().unit.of::<Platform>();
    let table = |id| platform.requester((segment, id)).map_or(0, table_of);
    let (own, first) = (table(id), id & !(FUNCTIONS - 1));
    (first..first + FUNCTIONS)
        .filter(|other| *other == id || world.spec.per_device && own != 0 && table(*other) == own)
        .collect()
}

/// Where a requester's own lock is.
pub(super) fn own_lock(side: &mut Side, place: Place) -> u64 {
    let mapping = side.env().unit.of::<Platform>().requester(place);
    let mapping = mapping.unwrap_or(std::ptr::null_mut::<sys::ivrs_mappings>());
    let lock = addr!(mapping, intremap_lock);
    side.env().offset(lock)
}

/// Where the lock is that Rust takes for a requester: that of the device's function 0.
pub(super) fn rust_lock(side: &mut Side, (segment, id): Place) -> u64 {
    own_lock(side, (segment, id & !(FUNCTIONS - 1)))
}

impl Plan {
    /// That of a step about no table.
    pub(super) fn none(world: &World) -> Self {
        Self {
            per_device: world.spec.per_device,
            rust_reads: true,
            ..Self::default()
        }
    }

    /// That of a device's pins or messages. None where C does not look where the table is, or uses
    /// two of them.
    pub(super) fn of(side: &mut Side, world: &World, place: Place, by: By) -> Option<Self> {
        let iommu = world.iommu_of(side, place)?;
        let platform = &side.env().unit.of::<Platform>();
        let own = platform.requester(place)?;
        let interrupts = get!(own, dte_requestor_id);
        let accesses = match by {
            By::Pins => interrupts,
            By::Messages => platform.of_accesses(place)?,
        };
        let requester_of = |id| platform.requester((place.0, id));
        let table = |id| requester_of(id).map_or(0, table_of);
        let alias_of = |id| requester_of(id).map(|own| get!(own, dte_requestor_id));
        // C follows a null pointer where the sender has no table: there it is told that what the
        // messages' ID stands for sends them.
        let stands_in = (by == By::Messages && table_of(own) == 0).then_some(interrupts);
        let (id, other) = match stands_in {
            Some(alias) => (alias, accesses),
            None => (accesses, interrupts),
        };
        let used = table(id);
        let same = |table: usize| table == used;
        let fits = match (by, stands_in) {
            (By::Pins, _) => true,
            (By::Messages, None) => {
                same(table_of(own)) && (table(interrupts) == 0 || same(table(interrupts)))
            }
            (By::Messages, Some(alias)) => {
                alias_of(alias) == Some(alias)
                    && alias != place.1
                    && !world.is_iommu((place.0, alias))
            }
        };
        let tables = [table(id), table(other)];
        let two_tables = by == By::Messages && stands_in.is_none() && {
            let [own, others] = tables;
            own != 0 && others != 0 && own != others
        };
        if two_tables {
            // C sets the entry of one, and ends Xen by a BUG_ON.
            return Some(Self {
                table: used,
                size: if world.spec.iommus[iommu].wide { 16 } else { 4 },
                refusal: Some(libc::EINVAL),
                ..Self::none(world)
            });
        }
        if used == 0 || !fits {
            return None;
        }
        let first = id & !(FUNCTIONS - 1);
        let is_copy = world.spec.per_device && id != first && table(first) == used;
        if let Some(alias) = stands_in
            && world.iommu_of(side, (place.0, alias)) != Some(iommu)
        {
            return None;
        }
        let requester = (place.0, id);
        let mut flushed = vec![id];
        let sharers = sharers(side, world, requester);
        for user in sharers.iter().copied().chain([other]) {
            if !flushed.contains(&user) {
                flushed.push(user);
            }
        }
        let platform = &side.env().unit.of::<Platform>();
        let is_bare = |id: &u16| {
            let own = platform.requester((place.0, *id));
            own.map_or(0, table_of) == 0
        };
        let bare = flushed.iter().copied().filter(is_bare).collect();
        let copies = sharers.iter().copied();
        // Through the entries of a copy no message goes, and so it does not matter who else is
        // told.
        let is_copied = platform.is_copy(requester);
        let copies =
            copies.filter(|user| *user != id && (is_copied || platform.is_copy((place.0, *user))));
        let copies = copies.collect();
        let lock = rust_lock(side, requester);
        let locks = [own_lock(side, requester), own_lock(side, place)].map(|c| (c, lock));
        Some(Self {
            table: used,
            size: if world.spec.iommus[iommu].wide { 16 } else { 4 },
            flushed,
            bare,
            copies,
            stands_in,
            refusal: (is_copy && by == By::Messages).then_some(libc::ENODEV),
            enabled: get!(world.iommus[iommu], enabled) != 0,
            locks: locks.into(),
            lock: world.spec.per_device.then_some(lock),
            ..Self::none(world)
        })
    }

    /// That of a sender whose messages' IDs have a table each, where its entries are in the first:
    /// they stay there. None where they are not.
    pub(super) fn with_second_table(
        side: &mut Side,
        world: &World,
        place: Place,
        holder: Option<u16>,
    ) -> Option<Self> {
        let platform = side.env().unit.of::<Platform>();
        let own = platform.requester(place)?;
        let interrupts = get!(own, dte_requestor_id);
        let accesses = platform.of_accesses(place)?;
        if holder != Some(accesses) || interrupts == accesses {
            return None;
        }
        let second = Pointers::of(platform.requester((place.0, interrupts))?);
        second.without_table().set();
        let plan = Self::of(side, world, place, By::Messages);
        second.set();
        let mut plan = plan.filter(|plan| plan.stands_in.is_none())?;
        plan.bare.retain(|id| *id != interrupts);
        plan.hidden = Some(second);
        let table = second.table as usize;
        plan.second = Some((interrupts, digest(side.env(), table)));
        Some(plan)
    }
}
