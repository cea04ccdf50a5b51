//! Samples of PHPUnit's text.
