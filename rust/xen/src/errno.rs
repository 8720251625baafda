//! Error numbers, as hypercalls return them: negative, in an `int`.

use core::ffi::c_int;
use xen_sys as sys;

/// An error number of Xen's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(c_int);

impl Errno {
    /// Invalid argument.
    pub const INVAL: Self = Self(sys::EINVAL as c_int);
    /// No such device.
    pub const NODEV: Self = Self(sys::ENODEV as c_int);
    /// No such entry.
    pub const NOENT: Self = Self(sys::ENOENT as c_int);
    /// Out of memory.
    pub const NOMEM: Self = Self(sys::ENOMEM as c_int);
    /// No such process; here, no vCPU that a message could go to.
    pub const SRCH: Self = Self(sys::ESRCH as c_int);
    /// Not supported.
    pub const OPNOTSUPP: Self = Self(sys::EOPNOTSUPP as c_int);
    /// Busy.
    pub const BUSY: Self = Self(sys::EBUSY as c_int);
    /// Try again.
    pub const AGAIN: Self = Self(sys::EAGAIN as c_int);

    /// Returns the number as C returns it.
    pub const fn negative(self) -> c_int {
        -self.0
    }

    /// Takes what a C function returned where it stands for an error.
    pub const fn from_c(result: c_int) -> Self {
        Self(result.wrapping_neg())
    }

    /// Reads what a C function returned: zero or more is a value, less an error.
    pub const fn check(result: c_int) -> Result<c_int, Self> {
        if result < 0 {
            Err(Self::from_c(result))
        } else {
            Ok(result)
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
