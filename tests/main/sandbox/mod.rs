//! The sandbox on this very machine: what it lets through, what it holds back, and that nothing
//! of it is left. Every probe really tries.

mod conformance;
mod doctor;
mod ending;
mod engines;
mod escape;
mod lab;
mod limits;
mod toolchains;
