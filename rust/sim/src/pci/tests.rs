//! Xen and the owner mask and unmask messages of a function that does what it likes.

mod flaws;
mod ledger;
mod limits;
mod lone;
mod msi;
mod mutants;
mod owner;
mod properties;
mod scenario;
mod steps;
mod xen;
