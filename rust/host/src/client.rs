//! A client of a running desk: a thread or a process that writes commands into its own ring in shared
//! memory. Owned by one thread; verdicts come as events of the log. What must stay true: the engine's
//! bell is rung only when it sleeps, so that a busy desk costs no system call.

use crate::door::reachable;
use crate::options::{Doing, Result, refused};
use journal::{DeskDir, Producer};
use layout::Record;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io::{BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer of the desk may take.
const ANSWER: Duration = Duration::from_secs(10);

/// The client's end of a command ring.
#[derive(Debug)]
pub struct Client {
    producer: Producer,
    bell: OwnedFd,
    session_id: u16,
    /// Open as long as the client lives: the desk drops the ring when it closes.
    _stream: UnixStream,
}

fn connect(desk_path: &Path) -> Result<(UnixStream, PathBuf)> {
    let path = DeskDir::open(desk_path)?.socket_path();
    let (short, _dir) = reachable(&path)?;
    let stream = UnixStream::connect(short)
        .doing(&path, "connect (does an engine run on this desk? `pyoms run` starts one)")?;
    stream.set_read_timeout(Some(ANSWER)).doing(&path, "set its timeout")?;
    Ok((stream, path))
}

/// One request to a running desk, one line of JSON back; for commands in other processes.
pub fn ask(desk_path: impl AsRef<Path>, request: &str) -> Result<String> {
    let (mut stream, path) = connect(desk_path.as_ref())?;
    stream.write_all(format!("{request}\n").as_bytes()).doing(&path, "write to it")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).doing(&path, "read the answer")?;
    if line.is_empty() {
        return refused(format!("{}: the desk closed the connection", path.display()));
    }
    Ok(line.trim_end().to_string())
}

impl Client {
    /// Attaches to a running desk as `session`, with a ring of `slots` commands.
    pub fn attach(desk_path: impl AsRef<Path>, session: &str, slots: u64) -> Result<Self> {
        let (mut stream, path) = connect(desk_path.as_ref())?;
        let request = format!("attach session={session} slots={slots}\n");
        stream.write_all(request.as_bytes()).doing(&path, "write to it")?;
        let mut bytes = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let got = rustix::net::recvmsg(&stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
            .doing(&path, "read the answer")?;
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        let answer = String::from_utf8_lossy(&bytes[..got.bytes]).trim_end().to_string();
        let id = answer
            .split_once("\"session_id\":")
            .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        let mut fds = fds.into_iter();
        match (id, fds.next(), fds.next()) {
            (Some(session_id), Some(ring), Some(bell)) => {
                let producer = Producer::from_fd(ring)?;
                Ok(Self { producer, bell, session_id, _stream: stream })
            }
            _ => refused(format!("attach to {}: {answer}", path.display())),
        }
    }

    /// Session that the ring is bound to.
    pub fn session_id(&self) -> u16 {
        self.session_id
    }

    /// Hands a command over; its verdict is the event that carries the number returned.
    #[inline]
    pub fn push(&mut self, record: &Record) -> Result<u64> {
        let pushed = self.producer.push(record)?;
        if pushed.wake {
            self.ring();
        }
        Ok(pushed.command_seq)
    }

    /// Hands over as many as fit; how many, and the number of the last.
    pub fn push_many(&mut self, records: &[Record]) -> (usize, u64) {
        let (count, pushed) = self.producer.push_many(records);
        if pushed.wake {
            self.ring();
        }
        (count, pushed.command_seq)
    }

    #[cold]
    fn ring(&self) {
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes()); // full: it was rung already
    }
}
