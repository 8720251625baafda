//! Xen's allocator, with failures on demand and a memory of its own mistakes.
//!
//! Memory is never handed out twice within a case. What was freed is filled with a byte that
//! differs between the sides and must still be there at the end, so a use after free changes an
//! answer or is seen as a write.

use std::ops::Range;

use anyhow::Result;

use crate::memory::Mapping;

const ROOM: usize = 64 << 20;
/// What Xen answers when it is asked for no bytes.
const NOTHING: u64 = 0xbad0_bad0_bad0_bad0;

/// Which allocations of a call fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// None.
    Never,
    /// Every one.
    Always,
    /// The one with this number, from zero.
    Nth(u32),
}

/// The words of some bytes that begin at a word.
pub(crate) fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
}

struct Block {
    start: usize,
    len: usize,
    live: bool,
    /// Whether a reader in an RCU section could find it between two calls.
    published: bool,
}

/// The heap of one side.
pub(crate) struct Heap {
    map: Mapping,
    used: usize,
    blocks: Vec<Block>,
    poison: u8,
    /// What the calls to come shall see.
    pub(crate) failure: Failure,
    /// How many bytes a file may ask for at once. For more than a page Xen's allocator takes
    /// contiguous ones, of which there may be none left.
    pub(crate) most: usize,
    asked: u32,
    failed: bool,
}

impl Heap {
    /// Makes an empty heap that fills freed memory with `poison`.
    pub(crate) fn new(poison: u8) -> Result<Self> {
        Ok(Self {
            map: Mapping::new(ROOM)?,
            used: 0,
            blocks: Vec::new(),
            poison,
            failure: Failure::Never,
            most: ROOM,
            asked: 0,
            failed: false,
        })
    }

    /// The addresses that it may hand out.
    pub(crate) fn range(&self) -> Range<usize> {
        self.map.base()..self.map.base() + ROOM
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.blocks.clear();
        self.start_call(Failure::Never);
    }

    /// Sets what the allocations of the next call shall see.
    pub(crate) fn start_call(&mut self, failure: Failure) {
        self.failure = failure;
        self.asked = 0;
        self.failed = false;
    }

    /// How many allocations were asked for since the call began.
    pub(crate) fn asked(&self) -> u32 {
        self.asked
    }

    /// Whether an allocation was refused since the call began.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Counts an allocation, here or of pages; whether it is to fail.
    pub(crate) fn refuses(&mut self) -> bool {
        let number = self.asked;
        self.asked += 1;
        let refused = self.failure == Failure::Always || self.failure == Failure::Nth(number);
        self.failed |= refused;
        refused
    }

    /// Allocates; zero when the allocation is to fail.
    pub(crate) fn allocate(
        &mut self,
        len: usize,
        align: usize,
        zeroed: bool,
    ) -> Result<u64, String> {
        if len == 0 {
            return Ok(NOTHING);
        }
        if self.refuses() {
            return Ok(0);
        }
        let start = self.used.next_multiple_of(align.max(16));
        if start + len > ROOM {
            return Err(format!(
                "an allocation of {len} bytes, more than the twin's heap has left"
            ));
        }
        // A gap after each block, so that a write beyond it does not hit another.
        self.used = start + len + 16;
        self.map
            .bytes(start, len)
            .fill(if zeroed { 0 } else { self.poison ^ 0xff });
        self.map.bytes(start + len, 16).fill(self.poison);
        self.blocks.push(Block {
            start,
            len,
            live: true,
            published: false,
        });
        Ok((self.map.base() + start) as u64)
    }

    /// Whether a block that is alive begins here.
    pub(crate) fn holds(&self, address: u64) -> bool {
        let start = (address as usize).wrapping_sub(self.map.base());
        let after = self.blocks.partition_point(|block| block.start <= start);
        self.blocks[..after]
            .last()
            .is_some_and(|block| block.live && start < block.start + block.len)
    }

    /// Which blocks are alive, and begin where one of the words points, or a word of such a block.
    fn reachable(&mut self, words: impl Iterator<Item = u64>) -> Vec<bool> {
        let mut kept = vec![false; self.blocks.len()];
        let mut found: Vec<u64> = words.collect();
        while let Some(word) = found.pop() {
            let start = (word as usize).wrapping_sub(self.map.base());
            let at = self
                .blocks
                .binary_search_by_key(&start, |block| block.start);
            let Ok(number) = at else { continue };
            let block = &self.blocks[number];
            if block.live && !std::mem::replace(&mut kept[number], true) {
                let bytes = self.map.bytes(block.start, block.len);
                found.extend(words_of(bytes));
            }
        }
        kept
    }

    /// Notes which blocks a reader finds that begins at the words of `roots`: those that one of
    /// them, or a word of a block that is found, points to or into.
    ///
    /// # Errors
    ///
    /// It finds one that is free.
    pub(crate) fn publish(&mut self, roots: impl Iterator<Item = u64>) -> Result<(), String> {
        let mut seen = vec![false; self.blocks.len()];
        let mut found: Vec<u64> = roots.collect();
        while let Some(word) = found.pop() {
            let at = (word as usize).wrapping_sub(self.map.base());
            if at >= self.used {
                continue;
            }
            let after = self.blocks.partition_point(|block| block.start <= at);
            let Some(number) = after.checked_sub(1) else {
                continue;
            };
            let block = &mut self.blocks[number];
            if at >= block.start + block.len || std::mem::replace(&mut seen[number], true) {
                continue;
            }
            if !block.live {
                return Err(format!("a reader finds {} bytes that are free", block.len));
            }
            block.published = true;
            let (start, len) = (block.start, block.len);
            found.extend(words_of(self.map.bytes(start, len)));
        }
        Ok(())
    }

    /// Frees. What a reader in an RCU section may have found is freed when `readers_left` only:
    /// in a callback, after a grace period.
    pub(crate) fn free(&mut self, address: u64, readers_left: bool) -> Result<(), String> {
        if matches!(address, 0 | NOTHING) {
            return Ok(());
        }
        let start = (address as usize).wrapping_sub(self.map.base());
        let block = self
            .blocks
            .iter_mut()
            .rev()
            .find(|block| block.start == start);
        let block =
            block.ok_or_else(|| format!("xfree() of {address:#x}, which was not allocated"))?;
        if !std::mem::take(&mut block.live) {
            return Err("xfree() of memory that is free already".to_owned());
        }
        if block.published && !readers_left {
            return Err(format!(
                "xfree() of {} bytes that readers may still use, outside of an RCU callback",
                block.len
            ));
        }
        let (start, len) = (block.start, block.len);
        self.map.bytes(start, len).fill(self.poison);
        Ok(())
    }

    /// Looks at the end of a case for what is still allocated or was written when it should not
    /// have been. What `words` of the side's own variables lead to is kept, and no leak.
    pub(crate) fn check(&mut self, words: impl Iterator<Item = u64>) -> Result<(), String> {
        let kept = self.reachable(words);
        for (number, block) in self.blocks.iter().enumerate() {
            if kept[number] {
                continue;
            }
            if block.live {
                return Err(format!("a leak of {} bytes", block.len));
            }
            let poison = self.poison;
            if self
                .map
                .bytes(block.start, block.len + 16)
                .iter()
                .any(|byte| *byte != poison)
            {
                return Err(format!(
                    "a write to {} bytes after they were freed, or beyond their end",
                    block.len
                ));
            }
        }
        Ok(())
    }
}
