//! The device model, as far as one word of an MSI-X table goes: it holds what it was told last, and
//! answers that.

use spin::Mutex;

/// A device model that several vCPUs use at once.
#[derive(Debug)]
pub struct DeviceModel {
    word: Mutex<u32>,
    reads: Mutex<u32>,
}

impl DeviceModel {
    /// Starts with a value that no vCPU wrote, as a reset leaves it.
    pub fn new(reset: u32) -> Self {
        Self {
            word: Mutex::new(reset),
            reads: Mutex::new(0),
        }
    }

    /// Carries out a guest's write.
    pub fn write(&self, value: u32) {
        *self.word.lock() = value;
    }

    /// Answers a guest's read.
    pub fn read(&self) -> u32 {
        *self.reads.lock() += 1;
        *self.word.lock()
    }

    /// Returns what it holds, for a look from outside.
    pub fn value(&self) -> u32 {
        *self.word.lock()
    }

    /// Returns how many reads reached it.
    pub fn reads(&self) -> u32 {
        *self.reads.lock()
    }
}
