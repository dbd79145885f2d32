//! Venues that tell a correction as one more trade: its ExecID(17) is that of the execution with
//! other digits behind its last dot (`0001f4e8.5b.01.02` after `0001f4e8.5b.01.01`), all else may
//! be the same. By the venue's definition alone: elsewhere the end of an id says nothing. Called by
//! the pipeline for each report before it is judged, and by the judgement of fills.
//!
//! A fill of which an earlier version is known is made the TradeCorrect that it is, with that
//! version as its ExecRefID(19), and logged so: the fold needs no rule of its own. One of which a
//! later version is known is out of date, whichever of them came first: it is never booked.

use crate::risk::Venue;
use crate::{Engine, fills};
use layout::{ExecRef, ExecType, ExecutionReport};

/// An id without its version, and that version: two digits behind the last dot. An id without one
/// is the first; the rest of an id that ends as one with a version does is no id.
struct Versioned {
    stem: [u8; 16],
    size: usize,
    version: Option<u8>,
}

impl Versioned {
    fn new(id: &[u8; 16]) -> Self {
        let size = id.iter().position(|&byte| byte == 0).unwrap_or(id.len());
        let (size, version) = match id[..size] {
            [_, .., b'.', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                (size - 3, Some((tens - b'0') * 10 + (ones - b'0')))
            }
            _ => (size, None),
        };
        let mut stem = [0; 16];
        stem[..size].copy_from_slice(&id[..size]);
        Self { stem, size, version }
    }

    /// The id of another version, `None` where it finds no room.
    fn of(&self, version: u8) -> Option<[u8; 16]> {
        let mut id = self.stem;
        let digits = [b'.', b'0' + version / 10, b'0' + version % 10];
        id.get_mut(self.size..self.size + 3)?.copy_from_slice(&digits);
        Some(id)
    }

    /// Ids of the versions before it, the last one first.
    fn earlier(&self) -> impl Iterator<Item = [u8; 16]> {
        let numbered = (0..self.version.unwrap_or(0)).rev().filter_map(|version| self.of(version));
        let first = self.version.map(|_| self.stem);
        numbered.chain(first.filter(|stem| Self::new(stem).version.is_none()))
    }

    /// Ids of the versions behind it.
    fn later(&self) -> impl Iterator<Item = [u8; 16]> {
        let first = self.version.map_or(0, |version| version + 1);
        (first..=99).filter_map(|version| self.of(version))
    }
}

impl Engine {
    /// Whether a report's id tells which version of an execution it is.
    #[inline]
    fn tells_version(&self, report: &ExecutionReport) -> bool {
        let venue = self.venues.get(report.venue_id as usize);
        venue.is_some_and(Venue::tells_versions) && report.exec_id != [0; 16]
    }

    /// The newest earlier version of an execution that we have: its id and its fill.
    fn earlier_version(&self, key: fills::Key) -> Option<([u8; 16], u32)> {
        Versioned::new(&key.exec_id).earlier().find_map(|exec_id| {
            self.fills.find_ref(fills::Key { exec_id, ..key }).map(|fill| (exec_id, fill))
        })
    }

    /// Whether a later version of this execution is known: one of its own session day, or of the
    /// fill of which it would be another version itself.
    pub(crate) fn is_superseded(&self, report: &ExecutionReport, key: fills::Key) -> bool {
        if !self.tells_version(report) {
            return false;
        }
        let fill = self.earlier_version(key).map(|(_, fill)| fill);
        let known = |exec_id| self.fills.is_known_as(fills::Key { exec_id, ..key }, fill);
        Versioned::new(&key.exec_id).later().any(known)
    }

    /// A fill that corrects one that we have as the correction that it is, with the ids of both;
    /// `None`: it is what it says.
    #[inline]
    pub(crate) fn as_correction(
        &self,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Option<(ExecutionReport, ExecRef)> {
        if self.tells_version(report) { self.correction(report, ids) } else { None }
    }

    #[cold]
    fn correction(
        &self,
        report: &ExecutionReport,
        ids: Option<&ExecRef>,
    ) -> Option<(ExecutionReport, ExecRef)> {
        let mut report = *report;
        let mut ids = ids.copied().unwrap_or(ExecRef {
            exec_id: report.exec_id,
            venue_id: report.venue_id,
            ..ExecRef::ZERO
        });
        let order_seq = self.whose(&report).map_or_else(|past| past, |(order, _)| order.order_seq);
        let (key, payload) = self.fill_key(&report, order_seq);
        let known = self.fills.find(key).map(|row| row.payload);
        let trade = report.exec_type == ExecType::Trade as u8;
        let amends = [ExecType::TradeCancel as u8, ExecType::TradeCorrect as u8];
        let corrects = match known {
            _ if order_seq == 0 => false,
            // A copy of a correction that was taken is one again.
            Some(told) => trade && told == payload ^ fills::AMENDS,
            None if trade => !self.is_superseded(&report, key),
            None => amends.contains(&report.exec_type) && ids.exec_ref_id == [0; 16],
        };
        let (earlier, _) = self.earlier_version(key).filter(|_| corrects)?;
        ids.exec_ref_id = earlier;
        if trade {
            report.exec_type = ExecType::TradeCorrect as u8;
        }
        Some((report, ids))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layout::text;

    #[test]
    fn the_version_of_an_id_is_two_digits_behind_its_last_dot() {
        let earlier = |id: &str| -> Vec<_> { Versioned::new(&text(id)).earlier().collect() };
        assert_eq!(earlier("a.01.02"), [text("a.01.01"), text("a.01.00")]);
        assert_eq!(earlier("a.01"), [text("a.00"), text("a")]);
        for none in ["a", "a.1", "a.001", "a.0x", ".01", "", "a01", "a.01."] {
            assert!(earlier(none).is_empty(), "{none}");
        }
        let later = |id: &str| Versioned::new(&text(id)).later().count();
        assert_eq!((later("a"), later("a.00"), later("a.98"), later("a.99")), (100, 99, 1, 0));
        assert_eq!((later("0123456789abc"), later("0123456789abcd")), (100, 0), "no room for any");
    }
}
