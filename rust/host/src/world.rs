//! What a desk needs of the world: time, a disk, connections. The machine's own unless the options
//! name another: the fault simulator gives one that it can stop, tear and cut at any call. Called on
//! the engine thread. What must stay true: the desk reaches time, segments and venues through here
//! alone, so that a simulated run is a function of its seed.

use journal::Disk;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A world that is not the machine's. It has no clients: commands are submitted inline.
pub trait World: Send + Sync + fmt::Debug {
    /// UTC as the wall clock says, which may step.
    fn wall_ns(&self) -> i64;
    /// Nanoseconds of a clock that never steps.
    fn mono_ns(&self) -> i64;
    /// The disk under the segments.
    fn disk(&self) -> Box<dyn Disk>;
    /// Connects to a venue; never blocks, neither here nor in the connection.
    fn connect(&self, socket: &Path) -> io::Result<Box<dyn Wire>>;
}

/// A connection to a venue: bytes in order, non-blocking, cut at any byte.
pub trait Wire: Read + Write + Send {
    /// What to sleep on; `None` for what no system call can watch.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

impl Wire for UnixStream {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

/// The machine's own connection.
pub(crate) fn dial(socket: &Path) -> io::Result<Box<dyn Wire>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_nonblocking(true)?;
    Ok(Box::new(stream))
}
