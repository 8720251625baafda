//! The C ABI: one file for each C file that is replaced. An export turns arguments into views,
//! calls the unit that does the work, and turns the result into what C expects; there is nothing
//! else in it.
//!
//! Parameters that C declares narrower than 32 bits are taken as `u32` and truncated: rustc relies
//! on the caller to extend them, which the psABI does not promise and Xen's `alternative_call()`
//! does not do.

/// Makes a view of an argument.
macro_rules! view {
    ($view:ident, $raw:expr) => {
        // SAFETY: C passes a pointer to an object that it keeps alive for the call; none of these
        // is ever null.
        unsafe { $view::from_raw($raw.cast_mut()).unwrap_unchecked() }
    };
}

#[cfg(feature = "amd")]
mod amd;
#[cfg(feature = "irq")]
mod irq;
#[cfg(feature = "msi")]
mod msi;
#[cfg(feature = "vmsi")]
mod vmsi;
#[cfg(feature = "vtd")]
mod vtd;
