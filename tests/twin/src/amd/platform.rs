//! What Xen knows of AMD's IOMMUs and their requesters, and the pages that tables are made of.

use xen_sys as sys;

use super::spec::{FUNCTIONS, Place};
use crate::arena::Arena;
use crate::xen::{get, set};

pub(super) const PAGE: usize = 0x1000;
/// Pages of the arena that tables may lie in: those with a `page_info`.
pub(super) const PAGES: usize = 256;
/// What pages hold when they are handed out, and when they were given back.
const FRESH: u8 = 0x77;
const STALE: u8 = 0x6b;
/// What else uses the word with a block's order.
const OTHER_USE: u32 = 0x5a5a;

/// Pages in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    /// Where in the arena.
    start: usize,
    order: u32,
    live: bool,
    /// How much of the arena was used before.
    before: usize,
    /// The call that it was handed out in.
    call: u64,
}

/// What is known on one side, with pointers into its arena.
pub(crate) struct Platform {
    pub(super) requester_count: u32,
    /// What is kept of the requesters of each segment.
    pub(super) segments: Vec<(u16, *mut sys::ivrs_mappings)>,
    pub(super) iommus: Vec<*mut sys::amd_iommu>,
    /// What preparing the IOMMUs answers.
    pub(super) prepared: i32,
    /// Xen's words about the pages of the arena.
    pub(super) page_infos: *mut sys::page_info,
    /// Functions that were taken for copies of function 0.
    copies: Vec<Place>,
    blocks: Vec<Block>,
    call: u64,
    /// What another CPU does meanwhile.
    pub(super) meanwhile: Option<Meanwhile>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            requester_count: 0,
            segments: Vec::new(),
            iommus: Vec::new(),
            prepared: 0,
            page_infos: std::ptr::null_mut(),
            copies: Vec::new(),
            blocks: Vec::new(),
            call: 0,
            meanwhile: None,
        }
    }
}

impl Platform {
    /// What is kept of the requesters of a segment.
    pub(super) fn segment(&self, segment: u16) -> *mut sys::ivrs_mappings {
        let found = self.segments.iter().find(|(known, _)| *known == segment);
        found.map_or(std::ptr::null_mut(), |(_, mappings)| *mappings)
    }

    /// What is kept of a requester, if there is one.
    pub(super) fn requester(&self, (segment, id): Place) -> Option<*mut sys::ivrs_mappings> {
        let mappings = self.segment(segment);
        (!mappings.is_null() && u32::from(id) < self.requester_count)
            .then(|| mappings.wrapping_add(id.into()))
    }

    /// The IOMMU that serves a device. A function that firmware does not list is taken for a copy
    /// of function 0, with the pointer to its table; Xen does not have the function's entry of the
    /// device table point there.
    pub(super) fn serving(&mut self, place: Place) -> *mut sys::amd_iommu {
        let Some(own) = self.requester(place) else {
            return std::ptr::null_mut();
        };
        let (segment, id) = place;
        let first = (segment, id & !(FUNCTIONS - 1));
        if get!(own, iommu).is_null()
            && let Some(zero) = self.requester(first)
        {
            let iommu = get!(zero, iommu);
            if !iommu.is_null() && get!(iommu, bdf) != id {
                let alias = get!(zero, dte_requestor_id);
                // SAFETY: Both lie in the arena.
                unsafe { own.copy_from(zero, 1) };
                if alias == first.1 {
                    set!(own, dte_requestor_id, id);
                }
                self.copies.push(place);
            }
        }
        get!(own, iommu)
    }

    /// Whether a function was taken for a copy of function 0.
    pub(super) fn is_copy(&self, place: Place) -> bool {
        self.copies.contains(&place)
    }

    /// The requester that memory accesses of a device come from.
    pub(super) fn of_accesses(&self, place: Place) -> Option<u16> {
        let own = self.requester(place)?;
        let alias = get!(own, dte_requestor_id);
        let valid = |mapping: *mut sys::ivrs_mappings| {
            // SAFETY: The mapping lies in the arena, and no reference to it lives.
            unsafe { sys::ivrs_mappings::valid_raw(mapping) }
        };
        let both = valid(own) && valid(self.requester((place.0, alias))?);
        Some(if both { place.1 } else { alias })
    }

    /// Tells blocks of the call that begins from those of calls before.
    pub(super) fn start_call(&mut self) {
        self.call += 1;
    }

    /// Hands out pages; none where there are no more.
    pub(super) fn allocate(&mut self, arena: &mut Arena, order: u32) -> Option<u64> {
        let len = PAGE.checked_shl(order).unwrap_or(usize::MAX);
        let before = arena.used();
        if len > PAGES * PAGE - before.next_multiple_of(PAGE) - 4 * PAGE {
            return None;
        }
        arena.align(PAGE);
        let place = arena.objects::<u8>("table", self.blocks.len(), len);
        // SAFETY: The object is new and has that many bytes.
        unsafe { place.write_bytes(FRESH, len) };
        let start = place as usize - arena.base();
        set!(self.info(start), v.free.order, OTHER_USE);
        self.blocks.push(Block {
            start,
            order,
            live: true,
            before,
            call: self.call,
        });
        Some(place as u64)
    }

    /// Xen's word about the page at an offset.
    fn info(&self, start: usize) -> *mut sys::page_info {
        self.page_infos.wrapping_add(start / PAGE)
    }

    /// Takes pages back. Returns what was noted of them, unless they were handed out in this very
    /// call: then nothing is left of that.
    pub(super) fn free(
        &mut self,
        arena: &mut Arena,
        address: u64,
        order: u32,
    ) -> Result<Option<u32>, String> {
        let start = (address as usize).wrapping_sub(arena.base());
        let found = self.blocks.iter().position(|block| block.start == start);
        let number = found.ok_or("pages given back that were not handed out")?;
        let block = &mut self.blocks[number];
        if !std::mem::take(&mut block.live) || block.order != order {
            return Err("pages given back twice, or not as many as were handed out".to_owned());
        }
        let block = *block;
        let noted = get!(self.info(start), v.free.order);
        if block.call == self.call && number + 1 == self.blocks.len() {
            self.blocks.pop();
            set!(self.info(start), v.free.order, 0);
            arena.give_back(block.before);
            return Ok(None);
        }
        // SAFETY: The block has that many bytes.
        unsafe { (address as *mut u8).write_bytes(STALE, PAGE << order) };
        Ok(Some(noted))
    }

    /// The bytes of the table at an address; none where none begins there.
    pub(super) fn table(&self, arena: &Arena, address: usize) -> &[u8] {
        let start = address.wrapping_sub(arena.base());
        let mut live = self.blocks.iter().filter(|block| block.live);
        match live.find(|block| block.start == start) {
            // SAFETY: The block has that many bytes, and nothing writes them while the driver
            // looks.
            Some(block) => unsafe {
                std::slice::from_raw_parts(address as *const u8, PAGE << block.order)
            },
            None => &[],
        }
    }

    /// Where blocks in use are, and how large.
    pub(super) fn blocks(&self) -> Vec<(usize, u32)> {
        let live = self.blocks.iter().filter(|block| block.live);
        live.map(|block| (block.start, block.order)).collect()
    }
}

/// What a requester points to: its table, and what is kept of that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointers {
    pub(super) mapping: *mut sys::ivrs_mappings,
    pub(super) table: *mut core::ffi::c_void,
    pub(super) in_use: *mut core::ffi::c_ulong,
}

impl Pointers {
    pub(super) fn of(mapping: *mut sys::ivrs_mappings) -> Self {
        Self {
            mapping,
            table: get!(mapping, intremap_table),
            in_use: get!(mapping, intremap_inuse),
        }
    }

    /// The same requester without a table.
    pub(super) fn without_table(self) -> Self {
        Self {
            table: std::ptr::null_mut(),
            in_use: std::ptr::null_mut(),
            ..self
        }
    }

    pub(super) fn set(self) {
        set!(self.mapping, intremap_table, self.table);
        set!(self.mapping, intremap_inuse, self.in_use);
    }
}

/// What happens once the IOMMU was told to forget the table of a requester.
pub(super) type Meanwhile = (u16, Vec<Pointers>);
