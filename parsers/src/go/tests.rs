//! Tests of the whole reader on lines written by hand.
