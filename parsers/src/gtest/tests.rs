//! What GoogleTest really prints.

