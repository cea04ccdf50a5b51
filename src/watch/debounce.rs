//! When a batch of events is a change: pure, the time is an argument.
