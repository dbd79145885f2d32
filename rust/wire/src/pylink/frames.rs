//! A bounded byte queue that is cut into frames: the inbox and the outbox of both ends.
//! One thread owns it. What stays true: never more than `bound` bytes, and a frame is taken whole.

use layout::{RECORD_SIZE, Record};
use zerocopy::{FromBytes, IntoBytes};

/// Default bound of one direction: 128 Ki frames.
pub const BUFFER_MAX: usize = 16 << 20;

/// A bounded queue of bytes, seen as frames.
#[derive(Clone, Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    start: usize,
    bound: usize,
}

impl Frames {
    /// An empty queue that holds at most `bound` bytes.
    pub fn new(bound: usize) -> Self {
        assert!(bound >= RECORD_SIZE);
        Self { bytes: Vec::new(), start: 0, bound }
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.bound - self.unread().len()
    }

    /// The bound in bytes.
    pub fn bound(&self) -> usize {
        self.bound
    }

    /// What is in the queue, oldest byte first.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Appends bytes; `false`, and nothing appended, when they do not fit.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.room() {
            return false;
        }
        if self.start > 0 && (self.start == self.bytes.len() || self.start >= self.bound / 2) {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Appends one frame; `false` when it does not fit.
    #[must_use]
    pub fn append_frame(&mut self, frame: &Record) -> bool {
        self.append(frame.as_bytes())
    }

    /// The frame at `index` from the front, if it is there whole.
    pub fn frame(&self, index: usize) -> Option<Record> {
        let bytes = self.unread().get(index * RECORD_SIZE..(index + 1) * RECORD_SIZE)?;
        Record::read_from_bytes(bytes).ok()
    }

    /// Drops `size` bytes from the front.
    pub fn consume(&mut self, size: usize) {
        assert!(size <= self.unread().len());
        self.start += size;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}
