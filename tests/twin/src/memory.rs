//! Memory from the operating system, at an address and with rights of our choice.

use anyhow::{Result, ensure};

/// A private mapping, readable, writable and executable unless sealed; unmapped when dropped.
pub(crate) struct Mapping {
    base: usize,
    len: usize,
}

impl Mapping {
    /// Maps `len` zero bytes.
    pub(crate) fn new(len: usize) -> Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory in
        // use.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        ensure!(
            base != libc::MAP_FAILED,
            "no memory for a mapping of {len} bytes"
        );
        Ok(Self {
            base: base as usize,
            len,
        })
    }

    /// The address of the first byte.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Makes all bytes zero, and gives their memory back.
    pub(crate) fn drop_contents(&mut self) {
        // SAFETY: the mapping is our own, private and anonymous: what is read next is zero.
        unsafe { libc::madvise(self.base as *mut _, self.len, libc::MADV_DONTNEED) };
    }

    /// Some of the bytes, none of which is sealed; the caller does not run code of the mapping
    /// meanwhile.
    pub(crate) fn bytes(&mut self, offset: usize, len: usize) -> &mut [u8] {
        assert!(offset + len <= self.len);
        // SAFETY: the range lies in the mapping, which belongs to `self`, is initialised, and is
        // borrowed mutably for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut((self.base + offset) as *mut u8, len) }
    }

    /// Takes all rights from a part of the mapping.
    pub(crate) fn seal(&mut self, offset: usize, len: usize) -> Result<()> {
        assert!(offset + len <= self.len);
        // SAFETY: the range lies in our own mapping, and nothing refers to it.
        let result =
            unsafe { libc::mprotect((self.base + offset) as *mut _, len, libc::PROT_NONE) };
        ensure!(result == 0, "cannot change the rights of a mapping");
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever kept an address into it holds the owner of this
        // value as well.
        unsafe { libc::munmap(self.base as *mut _, self.len) };
    }
}
