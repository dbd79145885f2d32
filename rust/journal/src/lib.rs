//! The log and the kill switch: ring, segments, recovery, control file, command rings.
//!
//! Used by host (engine and journal threads), by commands that read a desk, and by native; imports
//! layout and arch alone. `unsafe` is allowed here, each block with its proof. What must stay true:
//! what was published is recovered as far as its tier promises, in order, whole groups, each record
//! checked; and a kill is seen by every sender before it counts as acknowledged.

mod board;
mod command_ring;
mod control;
mod desk;
mod disk;
mod error;
mod map;
mod recover;
mod ring;
mod segment;

pub use board::{Board, BoardView};
pub use command_ring::{Consumer, Full, Producer, Pushed, Waker};
pub use control::{
    Ack, ControlFile, ControlSizes, ControlState, Sender, SenderInfo, Switch, Words, mode_of,
};
pub use desk::{DeskDir, DeskLock, Holder, NewDesk, start_time_of};
pub use disk::{BLOCK_SIZE, Disk, DiskFile, RealDisk, SyncMode};
pub use error::{JournalError, Result};
pub use map::MemoryGot;
pub use recover::{
    Log, Recovered, RingFound, TailCutFound, VerifyReport, open_log, recover, verify,
};
pub use ring::{
    Follow, GROUP_MAX, Lapped, Reader, Ring, RingOptions, RingView, SLOTS_DEFAULT, SLOTS_MAX,
    SLOTS_MIN, View,
};
pub use segment::{GROUP_SIZE_MAX, RECORDS_DEFAULT, SegmentWriter, file_name};
