//! How a view of a C object is made.

/// Declares a view: a non-null pointer to an object of Xen's that the call at hand keeps alive.
macro_rules! view {
    ($(#[$meta:meta])* $name:ident, $c:ty) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            raw: core::ptr::NonNull<$c>,
            life: core::marker::PhantomData<&'a $c>,
        }

        impl $name<'_> {
            /// Makes a view of what `raw` points to; `None` for a null pointer.
            ///
            /// # Safety
            ///
            /// A pointer that is not null points to an object of this type that lives as long as the view.
            #[inline]
            pub const unsafe fn from_raw(raw: *mut $c) -> Option<Self> {
                match core::ptr::NonNull::new(raw) {
                    Some(raw) => Some(Self { raw, life: core::marker::PhantomData }),
                    None => None,
                }
            }

            /// Returns the pointer, for C.
            #[inline]
            pub const fn as_ptr(self) -> *mut $c {
                self.raw.as_ptr()
            }
        }
    };
}

/// Reads one field of a view's object.
macro_rules! field {
    ($view:expr, $($path:tt)+) => {{
        // Some uses stand in an unsafe block of their own.
        #[allow(unused_unsafe)]
        // SAFETY: The view's object is alive; the field is read once, in one piece.
        let value = unsafe { core::ptr::read_volatile(&raw const (*$view.as_ptr()).$($path)+) };
        value
    }};
}

/// Writes one field of a view's object.
macro_rules! set_field {
    ($view:expr, $($path:tt)+) => {
        // SAFETY: The view's object is alive; the field is written once, in one piece, as C does.
        |value| unsafe { core::ptr::write_volatile(&raw mut (*$view.as_ptr()).$($path)+, value) }
    };
}

/// The place of an element of one of Xen's arrays; `None` beyond its end.
#[inline]
pub(crate) fn element<T, const COUNT: usize>(
    array: *const [T; COUNT],
    index: usize,
) -> Option<*const T> {
    (index < COUNT).then(|| array.cast::<T>().wrapping_add(index))
}

pub(crate) use {field, set_field, view};
