//! The part of a side's environment that one subject has for its own fakes.

use std::any::Any;

/// One value, of a type that the subject's folder defines.
pub(crate) struct Unit {
    part: Box<dyn Any>,
    fresh: fn() -> Box<dyn Any>,
}

impl Unit {
    /// A fresh part of this type.
    pub(crate) fn new<T: Any + Default>() -> Self {
        let fresh = || -> Box<dyn Any> { Box::new(T::default()) };
        Self {
            part: fresh(),
            fresh,
        }
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.part = (self.fresh)();
    }

    /// The part, whose type the fakes of a subject know: no other subject's run.
    pub(crate) fn of<T: Any>(&self) -> &T {
        self.part.downcast_ref().expect("the subject's own part")
    }

    /// Likewise, to change it.
    pub(crate) fn of_mut<T: Any>(&mut self) -> &mut T {
        self.part.downcast_mut().expect("the subject's own part")
    }
}
