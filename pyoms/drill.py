"""The kill drill: a desk under full load, killed again and again, and what the venue saw of it.

Called by `pyoms drill`; the trials themselves are held by Rust (`sim::drill`). What must stay
true: the desks of a drill are its own and lie in a directory that is removed, so that no real desk
is ever touched; a drill that found something says so by its exit code and by its evidence.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import pyoms_native
from pyoms.errors import OmsError
from pyoms.faults import MEMORY

# Most of one call: a campaign of more is called again, so that it can be stopped.
TRIALS_MAX = 10_000_000
# The same, in new orders and replaces.
MESSAGES_MAX = 1_000_000_000


class DrillSizeError(OmsError):
    """A drill of a size that makes no sense."""

    code = "drill_size"


def run(trials: int = 1_000, messages: int = 1_000_000, seed: int = 1) -> dict[str, Any]:
    """Hold a drill and tell what came of it.

    Parameters
    ----------
    trials : int
        Kills: engaged under load, acknowledged, checked at the venue, followed, armed again.
    messages : int
        New orders and replaces that the venue gets over all of them, at least; 16 a trial.
    seed : int
        Of the moments at which the switch is engaged.

    Returns
    -------
    dict
        ``messages``, ``trials``, ``sent_after_ack``, ``ack_us_p50``, ``ack_us_max``,
        ``cancels_sent``, ``cancels_confirmed``, ``left_open``, ``refused``, ``lives``,
        ``violations``, and ``messages_per_s`` over the whole time.

    Raises
    ------
    DrillSizeError
        Sizes out of range.
    DrillError
        The drill could not be held to its end: something it waited for never came.
    """
    for name, value, most in (
        ("trials", trials, TRIALS_MAX),
        ("messages", messages, MESSAGES_MAX),
    ):
        if not 1 <= value <= most:
            raise DrillSizeError(f"{name} {value} is out of range: 1 to {most}")
    below = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="pyoms-drill-", dir=below) as folder:
        began = time.monotonic_ns()
        report = json.loads(pyoms_native.sim_drill(trials, messages, seed, folder))
        took_ns = max(1, time.monotonic_ns() - began)
    report["messages_per_s"] = report["messages"] * 1_000_000_000 // took_ns
    return dict(report)


def is_good(report: dict[str, Any]) -> bool:
    """Whether nothing left after an acknowledgement and nothing was left open."""
    return not (report["violations"] or report["sent_after_ack"] or report["left_open"])


def about(seed: int) -> dict[str, Any]:
    """Give what a reader of the evidence has to know besides: when, where, of which build."""
    return {
        "held_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": importlib.metadata.version("pyoms"),
        "layout_hash": f"{pyoms_native.LAYOUT_HASH:016x}",
        "build_hash": _hash_of(Path(pyoms_native.__file__)),
        "machine": f"{platform.node()}, {platform.machine()}, {platform.release()}",
        "python": platform.python_version(),
        "tier": "process",
        "seed": seed,
    }


def _hash_of(module: Path) -> str:
    return hashlib.sha256(module.read_bytes()).hexdigest()
