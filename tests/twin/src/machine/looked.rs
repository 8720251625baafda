//! An object that is to be looked at under a lock.
//!
//! The pointer to it leads, while a call runs, to where Xen's mappings are, so that each read of
//! the object faults, and the lock can be looked at.

/// Where the objects seem to be, and how far apart; nothing else is mapped there.
const FIRST: usize = 0xffff_8300_0bae_0000;
const APART: usize = 0x100;

/// One object, for the time of a call.
pub(crate) struct Looked {
    /// The pointer, and what it holds in truth.
    pointer: *mut usize,
    object: usize,
    /// The word of the spin lock.
    lock: *const u32,
}

impl Looked {
    /// Looks at a pointer in the arena.
    pub(crate) fn begin(pointer: *mut usize, lock: *const u32) -> Self {
        // SAFETY: the pointer lies in the arena, and no call runs.
        let object = unsafe { pointer.read() };
        Self {
            pointer,
            object,
            lock,
        }
    }

    /// Has the pointer lead elsewhere; the numbers are those of a list.
    pub(crate) fn hide(&self, number: usize) {
        // SAFETY: as above.
        unsafe { self.pointer.write(FIRST + APART * number) };
    }

    /// Has it lead to the object, unless the call changed it.
    pub(crate) fn show(&self, number: usize) {
        // SAFETY: as above.
        unsafe {
            if self.pointer.read() == FIRST + APART * number {
                self.pointer.write(self.object);
            }
        }
    }
}

/// The object of a list that an address seems to lie in, and where in it.
fn find(list: &[Looked], address: usize) -> Option<(&Looked, usize)> {
    let offset = address.checked_sub(FIRST)?;
    Some((list.get(offset / APART)?, offset % APART))
}

/// The true address of an object; the same where it is none of the list.
pub(crate) fn truth(list: &[Looked], address: usize) -> usize {
    find(list, address).map_or(address, |(looked, offset)| looked.object + offset)
}

/// Answers a read of an object; none where something else is read.
pub(crate) fn read(list: &[Looked], address: usize, width: usize) -> Option<Result<u64, String>> {
    let (looked, offset) = find(list, address)?;
    // SAFETY: the lock lies in the arena.
    let tickets = unsafe { looked.lock.read_volatile() };
    // Whose turn it is, and who comes after all that wait.
    if tickets as u16 == (tickets >> 16) as u16 {
        return Some(Err("an object is looked at without its lock".to_owned()));
    }
    let mut bytes = [0; 8];
    // SAFETY: the object lies in the arena, and no access of the code under test is wider.
    unsafe {
        std::ptr::copy_nonoverlapping(
            (looked.object + offset) as *const u8,
            bytes.as_mut_ptr(),
            width,
        );
    }
    Some(Ok(u64::from_le_bytes(bytes)))
}
