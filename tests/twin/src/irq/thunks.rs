//! Functions of the driver that Xen's code reaches through pointers: its stack is aligned to eight
//! bytes only.

use std::arch::naked_asm;

use super::{controllers, deliver, fakes, guests};

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
    set_affinity => fakes::set_affinity;
    vector_allocation_cpumask => fakes::vector_allocation_cpumask;
    cpu_mask_to_apicid => fakes::cpu_mask_to_apicid;
    ack_edge => controllers::ack_edge;
    ack_masked => controllers::ack_masked;
    ack_pic => controllers::ack_pic;
    end_masked => controllers::end_masked;
    end_level => controllers::end_level;
    direct => controllers::direct;
    handle_irq => controllers::handle_irq;
    is_masked => guests::is_masked;
    is_pending => guests::is_pending;
    root => deliver::root;
}
