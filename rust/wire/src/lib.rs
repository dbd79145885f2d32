//! Bytes to records and back, sans-I/O: no socket, no thread, no clock, no log.
//!
//! `pylink` is the venue link (DESIGN §10), both ends of it. `host` and `sim` own the sockets and
//! call in with bytes and the time; what comes back is a record or an error value, never a panic.

#![forbid(unsafe_code)]

pub mod pylink;
