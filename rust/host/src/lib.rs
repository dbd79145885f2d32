//! The desk: engine, log, outbox, venue links, kill switch, clients, as one thing that a thread can
//! own. `native` and the tests use it inline; `Desk::spawn` runs it on a thread of its own. All I/O
//! of a running engine happens here, none in `engine`. What must stay true: nothing leaves before its
//! event is committed (I2), nothing new leaves after an acknowledged kill (I1), and nothing is sent
//! twice.
#![forbid(unsafe_code)]

mod change;
mod client;
mod clock;
mod confirm;
mod days;
mod desk;
mod door;
mod journaling;
mod kill;
mod limits;
mod link;
mod options;
mod outbox;
mod rows;
mod running;
mod status;
mod world;

pub use change::Request;
pub use client::{Attach, Client, ask, ask_with};
pub use confirm::KillProgress;
pub use desk::{Desk, TurnInfo, replay};
pub use options::{
    DeskOptions, HostError, JournalMode, Person, Result, SessionPolicy, VenueLink, Who,
};
pub use outbox::{Bounds, RingLog};
pub use rows::{Row, Value, leg_rows, order_row, position_row};
pub use running::Running;
pub use status::{Decide, LinkStatus, LostClient, Status};
pub use world::{Wire, World};
