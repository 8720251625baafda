//! Several CPUs with windows of one function, which opens and closes them in any order.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A CPU opens a window, if it has none, or closes it.
    Turn { cpu: usize },
    /// Some CPU, or the owner, wants another value.
    Want { enabled: bool, mask_all: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..3).prop_map(|cpu| Step::Turn { cpu }),
        any::<(bool, bool)>().prop_map(|(enabled, mask_all)| Step::Want { enabled, mask_all }),
    ]
}

proptest! {
    #[test]
    fn what_is_wanted_is_there_once_no_window_is_open(
        enabled: bool,
        mask_all: bool,
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let of = |enabled, mask_all| {
            MsixControl::new(0x07ff).with_enabled(enabled).with_mask_all(mask_all)
        };
        let mut wanted = of(enabled, mask_all);
        let mut register = wanted;
        let mut open = [false; 3];
        let mut windows = Windows::default();
        for step in steps {
            // As it is kept between two steps.
            windows = Windows::from_bits(windows.to_bits());
            prop_assert_eq!(windows.wanted(|| register), wanted);
            register = match step {
                Step::Turn { cpu } => {
                    open[cpu] = !open[cpu];
                    if open[cpu] { windows.open(wanted) } else { windows.close(wanted) }
                }
                Step::Want { enabled, mask_all } => {
                    wanted = of(enabled, mask_all);
                    windows.want(wanted)
                }
            };
            let is_open = open.contains(&true);
            prop_assert_eq!(register, if is_open { of(true, true) } else { wanted });
        }
    }
}

#[test]
fn the_register_is_not_read_while_a_window_is_open() {
    let mut windows = Windows::default();
    let control = MsixControl::new(0x0003);
    assert_eq!(windows.open(control).raw(), 0xc003);
    assert_eq!(windows.wanted(|| unreachable!()), control);
    assert_eq!(windows.close(control), control);
}
