//! IRQs that Xen handles itself.

use xen::base::errno::Errno;
use xen::irq::create::take_request;
use xen::irq::request::NewAction;
use xen::objects::irq_desc::IrqDesc;

/// Has Xen handle an IRQ (`setup_irq()`).
///
/// # Errors
///
/// Something handles it already; then the new action is returned.
#[doc(alias = "setup_irq")]
pub fn set_up(desc: IrqDesc<'_>, action: NewAction) -> Result<(), NewAction> {
    let locked = desc.lock();
    let held = locked.held();
    held.set_action(action)?;
    held.set_disabled(false);
    held.start_up();
    Ok(())
}

/// The same with an action that was allocated (`request_irq()`).
///
/// Context: IRQs on.
///
/// # Errors
///
/// [`Errno::NOMEM`] where there was no memory for it, [`Errno::BUSY`] where something handles the
/// IRQ already.
#[doc(alias = "request_irq")]
pub fn request(desc: IrqDesc<'_>, action: Option<NewAction>) -> Result<(), Errno> {
    let refused = set_up(desc, action.ok_or(Errno::NOMEM)?);
    refused.map_err(|action| {
        action.free();
        Errno::BUSY
    })
}

/// No longer has Xen handle an IRQ (`release_irq()`).
///
/// Context: IRQs on.
#[doc(alias = "release_irq")]
pub fn release(desc: IrqDesc<'static>) {
    let locked = desc.lock();
    let held = locked.held();
    let action = take_request(desc, held);
    held.shut_down();
    held.set_disabled(true);
    drop(locked);
    action.wait().free();
}
