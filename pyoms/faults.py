"""The fault simulator: seeds of days on which everything goes wrong, over the real desk.

Called by `pyoms sim` and by the tests; the days themselves are run by Rust (`sim::fault`). What
must stay true: nothing but the seed decides what happens, so two calls give the same hash; the
files of a day lie in a directory of their own that is removed, unless they are to be kept.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import pyoms_native
from pyoms.errors import OmsError

# Most seeds of one call: a campaign of more is called again, so that it can be stopped.
SEEDS_MAX = 1_000_000
# Where files cost no disk, if the system has such a place.
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of random name is made below it


class SeedsError(OmsError):
    """Seeds that are no range."""

    code = "seeds"


def seeds_of(text: str) -> tuple[int, int]:
    """Read ``A..B``, both included, or one seed."""
    found = re.fullmatch(r"(\d{1,18})(?:\.\.(\d{1,18}))?", text, flags=re.ASCII)
    if not found:
        raise SeedsError(f"{text!r} is no range of seeds: A..B with whole numbers, as 1..200")
    first, last = int(found[1]), int(found[2] or found[1])
    if not first <= last < first + SEEDS_MAX:
        raise SeedsError(f"{text}: from 1 to {SEEDS_MAX} seeds are allowed, in rising order")
    return first, last


def run(seeds: str, steps: int = 0, keep: Path | None = None) -> dict[str, Any]:
    """Run every seed of a range and tell what came of it.

    Parameters
    ----------
    seeds : str
        ``A..B``, both included.
    steps : int
        Steps of each day; 0 for a whole one. A failing seed fails again with the same steps.
    keep : Path, optional
        Where the desk of each seed is left, closed, as ``s<seed>/desk``: its log can be read and
        replayed like any other. A directory that is not there yet is made.

    Returns
    -------
    dict
        ``seeds``, ``events``, ``violations`` (seed, fewest steps, what, command), ``faults`` (kind
        to count), ``log_hash``, and ``events_per_s`` of processor time.
    """
    first, last = seeds_of(seeds)
    below = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pyoms-sim-", dir=below) as folder:
        began = time.process_time_ns()
        told = pyoms_native.sim_faults(first, last, str(keep or folder), steps, keep is not None)
        took_ns = max(1, time.process_time_ns() - began)
    report = json.loads(told)
    report["events_per_s"] = report["events"] * 1_000_000_000 // took_ns
    return dict(report)
