//! What every other module builds on: views of C's objects, lists, memory, errors, the log.

#[macro_use]
pub mod bug;
pub mod boot;
pub mod errno;
pub mod hide;
pub mod list;
pub mod log;
pub mod memory;
pub mod narrow;
pub mod radix_tree;
pub mod units;
pub mod view;
