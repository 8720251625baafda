//! Functions of the driver that Xen's code reaches through pointers: its stack is aligned to eight
//! bytes only.

use std::arch::naked_asm;

use super::fakes;

macro_rules! thunks {
    ($($name:ident => $target:path;)*) => {$(
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name() {
            naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "and rsp, -16",
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
    )*};
}

thunks! {
    startup => fakes::startup;
    shutdown => fakes::shutdown;
    enable => fakes::enable;
    disable => fakes::disable;
    acknowledge => fakes::acknowledge;
    set_affinity => fakes::set_affinity;
    vector_allocation_cpumask => fakes::vector_allocation_cpumask;
    cpu_mask_to_apicid => fakes::cpu_mask_to_apicid;
}
