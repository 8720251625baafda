//! How a view of a C object is made.

use core::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, Ordering,
};

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
            /// A pointer that is not null points to an object of this type that lives as long as
            /// the view.
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

/// Declares that what a view says is said of a type, too, that holds it and says more.
macro_rules! deref {
    ($name:ident, $field:tt: $view:ident) => {
        impl<'a> core::ops::Deref for $name<'a> {
            type Target = $view<'a>;

            #[inline]
            fn deref(&self) -> &$view<'a> {
                &self.$field
            }
        }
    };
}

/// A word that other CPUs and C may read and write while Rust does: each access is one atomic
/// instruction, without an order.
pub trait Word: Copy {
    /// Reads it.
    ///
    /// # Safety
    ///
    /// The pointer is to a field of a view's object, which is alive and lays out its fields
    /// aligned.
    unsafe fn load(from: *const Self) -> Self;

    /// Writes it.
    ///
    /// # Safety
    ///
    /// As for [`Self::load`].
    unsafe fn store(to: *mut Self, value: Self);
}

macro_rules! words {
    ($($word:ty as $atomic:ident),*) => {$(
        impl Word for $word {
            #[inline(always)]
            unsafe fn load(from: *const Self) -> Self {
                // SAFETY: `load` asks for a field that is alive and aligned; all others that access
                // it meanwhile do so word by word.
                unsafe { $atomic::from_ptr(from.cast_mut()) }.load(Ordering::Relaxed)
            }

            #[inline(always)]
            unsafe fn store(to: *mut Self, value: Self) {
                // SAFETY: `store` asks for a field that is alive and aligned, and all others access
                // it word by word, too.
                unsafe { $atomic::from_ptr(to) }.store(value, Ordering::Relaxed);
            }
        }
    )*};
}

words!(
    bool as AtomicBool,
    u8 as AtomicU8,
    u16 as AtomicU16,
    u32 as AtomicU32,
    i8 as AtomicI8,
    i16 as AtomicI16,
    i32 as AtomicI32,
    i64 as AtomicI64,
    u64 as AtomicU64
);

impl<T> Word for *mut T {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> Self {
        // SAFETY: As for the integers, of whose size a pointer is.
        unsafe { AtomicPtr::from_ptr(from.cast_mut()) }.load(Ordering::Relaxed)
    }

    #[inline(always)]
    unsafe fn store(to: *mut Self, value: Self) {
        // SAFETY: As for the integers, of whose size a pointer is.
        unsafe { AtomicPtr::from_ptr(to) }.store(value, Ordering::Relaxed);
    }
}

impl<T> Word for *const T {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> Self {
        // SAFETY: A pointer to what is not written has the layout of one to what is, and the field
        // is as `load` asks.
        unsafe { <*mut T>::load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut Self, value: Self) {
        // SAFETY: See `load` for the layout; the field is as `store` asks.
        unsafe { <*mut T>::store(to.cast(), value.cast_mut()) };
    }
}

/// Reads one field of a view's object.
macro_rules! field {
    ($view:expr, $($path:tt)+) => {{
        // Some uses stand in an unsafe block of their own.
        #[allow(unused_unsafe)]
        // SAFETY: `from_raw` asks that the object lives as long as its view, and Xen aligns its
        // fields.
        let value = unsafe {
            $crate::base::view::Word::load(&raw const (*$view.as_ptr()).$($path)+)
        };
        value
    }};
}

/// Reads one field of a view's object that is written before others can see the object, and not
/// after.
macro_rules! fixed {
    ($view:expr, $($path:tt)+) => {{
        // Some uses stand in an unsafe block of their own.
        #[allow(unused_unsafe)]
        // SAFETY: `from_raw` asks that the object lives as long as its view, and nothing writes the
        // field meanwhile.
        let value = unsafe { core::ptr::read(&raw const (*$view.as_ptr()).$($path)+) };
        value
    }};
}

/// Writes one field of a view's object.
macro_rules! set_field {
    ($view:expr, $($path:tt)+) => {
        // SAFETY: `from_raw` asks that the object lives as long as its view, and Xen aligns its
        // fields.
        |value| unsafe {
            $crate::base::view::Word::store(&raw mut (*$view.as_ptr()).$($path)+, value)
        }
    };
}

/// The place of an element of one of Xen's arrays; `None` beyond its end.
#[inline]
pub fn element<T, const COUNT: usize>(array: *const [T; COUNT], index: usize) -> Option<*const T> {
    (index < COUNT).then(|| array.cast::<T>().wrapping_add(index))
}

pub(crate) use {deref, field, fixed, set_field, view};
