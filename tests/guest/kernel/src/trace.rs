//! Which processor took which interrupt, as Xen itself notes it in the trace buffer of each
//! processor.
//!
//! Xen makes the buffers when its command line says so: `tbuf_size=1 tevt_mask=0x802000`, a page
//! each, for interrupts only.

use crate::hypercall::{self, Frame};
use crate::mmio::Window;
use crate::pv::Machine;

/// No machine of ours has more processors.
const MOST: usize = 16;

/// A buffer begins with how far it was read and how far it is written. Both run to twice its
/// length, so that a full one and an empty one differ.
const READ: usize = 0;
const WRITTEN: usize = 4;
const START: usize = 8;
const LENGTH: u32 = 4096 - 8;

/// `TRC_HW_IRQ_HANDLED`.
const HANDLED: u32 = 0x80_2008;

/// The buffers.
pub struct Trace {
    buffers: [Option<Window>; MOST],
}

impl Trace {
    /// Maps the buffers of that many processors.
    pub fn open(machine: &mut Machine, processors: usize) -> Self {
        let (result, frame) = hypercall::trace_buffers();
        assert!(result == 0 && frame != 0, "no trace buffers: {result}");
        // Half words: the length of each buffer, and for each processor the word in which its frame
        // is.
        let list = machine.map_frame(frame * 4096, Frame::XenReadOnly);
        let buffer = |processor: usize| {
            let word = list.read16(2 + 2 * processor);
            let frame = list.read32(usize::from(word) * 4);
            machine.map_frame(u64::from(frame) * 4096, Frame::Xen)
        };
        let mut buffers = [None; MOST];
        let mapped = (0..processors).map(buffer).map(Some);
        buffers
            .iter_mut()
            .zip(mapped)
            .for_each(|(slot, buffer)| *slot = buffer);
        Self { buffers }
    }

    /// Takes what was noted since the last time: `each` gets the processor and Xen's number of the
    /// interrupt. What came while the buffer was full is missing.
    pub fn handled(&self, mut each: impl FnMut(usize, u32)) {
        for (processor, buffer) in self.buffers.iter().flatten().enumerate() {
            let end = buffer.read32(WRITTEN);
            let mut at = buffer.read32(READ);
            while at != end {
                let record = buffer.at(START + (at % LENGTH) as usize);
                // The event, how many words it has, and whether the time stamp counter is before
                // them.
                let header = record.read32(0);
                let words = header >> 28 & 7;
                let stamp = (header >> 31) * 8;
                if header & 0xfff_ffff == HANDLED {
                    each(processor, record.read32(4 + stamp as usize));
                }
                at = (at + 4 + stamp + words * 4) % (2 * LENGTH);
            }
            buffer.write32(READ, end);
        }
    }
}
