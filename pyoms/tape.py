"""The log for Python: numpy views of a running ring and of segments on disk, without a copy.

Called by strategies' dispatchers, projections, proofs and research, one reader a thread. What must
stay true: views are read-only; a view of a ring counts only if `check` passes after its use, a view
of a log on disk holds for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyoms_native
from pyoms_core.tape import Batch, Reader, log_batches


class Tape(Reader):
    """A cursor over a ring: what is committed, in batches.

    Iterating gives batches until nothing more is there; LappedError when the writer has gone past.
    """

    def __iter__(self) -> Iterator[Batch]:
        while (batch := self.poll()) is not None:
            yield batch


class Log:
    """The log of a desk directory, stopped or running, every record of it checked at opening."""

    def __init__(self, desk: str | os.PathLike[str]) -> None:
        self._log = pyoms_native.Log(Path(desk))

    @property
    def first_seq(self) -> int:
        """First sequence."""
        return self._log.first_seq

    @property
    def next_seq(self) -> int:
        """Sequence after the last."""
        return self._log.next_seq

    @property
    def epoch(self) -> int:
        """Highest epoch that was started."""
        return self._log.epoch

    @property
    def tail_cut(self) -> tuple[int, int] | None:
        """The torn tail that was found: first sequence and records; None for none."""
        return self._log.tail_cut

    def record(self, seq: int) -> bytes | None:
        """Copy one record; None past the end."""
        return self._log.record(seq)

    def seek_time(self, time_ns: int) -> int:
        """Find the first sequence whose time is not below `time_ns`."""
        return self._log.seek_time(time_ns)

    def batches(self, from_seq: int = 1) -> Iterator[Batch]:
        """Yield batches from `from_seq` on, one a segment, zero copy."""
        return log_batches(self._log.capsule(), from_seq)


def open_log(desk: str | os.PathLike[str]) -> Log:
    """Open and check the log of a desk; JournalError names what is damaged."""
    return Log(desk)


def follow(desk: str | os.PathLike[str], from_seq: int | None = None) -> Tape:
    """Follow the ring of a running desk from another process."""
    capsule: Any = pyoms_native.ring_tape(Path(desk), from_seq)
    return Tape(capsule)
