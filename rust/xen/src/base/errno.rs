//! Error numbers, as hypercalls return them: negative, in an `int`.

use core::ffi::c_int;
use core::num::NonZero;
use xen_sys as sys;

/// An error number of Xen's, as C returns it: no result of a function that is not one is the same
/// word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(NonZero<c_int>);

impl Errno {
    /// Invalid argument.
    pub const INVAL: Self = Self::new(sys::EINVAL);
    /// I/O error.
    pub const IO: Self = Self::new(sys::EIO);
    /// Bad address; here, no entry of a remapping table.
    pub const FAULT: Self = Self::new(sys::EFAULT);
    /// No such device or address.
    pub const NXIO: Self = Self::new(sys::ENXIO);
    /// No such device.
    pub const NODEV: Self = Self::new(sys::ENODEV);
    /// No such entry.
    pub const NOENT: Self = Self::new(sys::ENOENT);
    /// No space left; here, no entry of a remapping table.
    pub const NOSPC: Self = Self::new(sys::ENOSPC);
    /// Out of memory.
    pub const NOMEM: Self = Self::new(sys::ENOMEM);
    /// No such process; here, no vCPU that a message could go to.
    pub const SRCH: Self = Self::new(sys::ESRCH);
    /// Not supported.
    pub const OPNOTSUPP: Self = Self::new(sys::EOPNOTSUPP);
    /// Not permitted.
    pub const PERM: Self = Self::new(sys::EPERM);
    /// Permission denied; here, a register that a domain may not write.
    pub const ACCES: Self = Self::new(sys::EACCES);
    /// It is there already.
    pub const EXIST: Self = Self::new(sys::EEXIST);
    /// Out of range; here, a CPU that an entry of a remapping table cannot name.
    pub const RANGE: Self = Self::new(sys::ERANGE);
    /// No data; here, it is not known where a table is.
    pub const NODATA: Self = Self::new(sys::ENODATA);
    /// Busy.
    pub const BUSY: Self = Self::new(sys::EBUSY);
    /// Try again.
    pub const AGAIN: Self = Self::new(sys::EAGAIN);
    /// Outside of what is defined; here, a number of messages that no block has.
    pub const DOM: Self = Self::new(sys::EDOM);
    /// Too many files; here, more messages than a function has.
    pub const NFILE: Self = Self::new(sys::ENFILE);

    /// Takes a number of Xen's header, which is positive. For constants: zero does not compile.
    const fn new(number: u32) -> Self {
        Self(NonZero::new(-(number as c_int)).expect("no error has the number zero"))
    }

    /// Takes what a C function returned that is below zero.
    pub const fn of(result: c_int) -> Self {
        match NonZero::new(result) {
            Some(error) => Self(error),
            None => Self::INVAL,
        }
    }

    /// Returns the number as C returns it.
    pub const fn negative(self) -> c_int {
        self.0.get()
    }

    /// Reads what a C function returned that returns zero or an error.
    pub const fn check(result: c_int) -> Result<(), Self> {
        match NonZero::new(result) {
            None => Ok(()),
            Some(error) => Err(Self(error)),
        }
    }
}

/// Returns a result as C does.
pub const fn to_c(result: Result<(), Errno>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(errno) => errno.negative(),
    }
}
