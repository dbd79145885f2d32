//! The simulated venue: a recorded market-by-order day that our orders rest, queue and trade in.
//!
//! `tape` reads recordings, `market` matches one instrument, `venue` is the venue over records and
//! virtual time, `endpoint` puts it behind a venue link. No clock, no socket, no thread; all
//! randomness comes from one seed, so a day can be run again bit for bit.

#![forbid(unsafe_code)]

pub mod drill;
pub mod endpoint;
pub mod fault;
pub mod market;
pub mod random;
pub mod tape;
pub mod venue;
pub mod witness;

pub use endpoint::VenueServer;
pub use venue::{FILL_MODEL, SimError, SimVenue, VenueConfig};
pub use witness::Witness;
