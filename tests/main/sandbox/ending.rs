//! How sandboxes end.
