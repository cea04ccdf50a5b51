//! What CTest really prints.

