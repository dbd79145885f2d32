"""pyoms, an order management system: Rust decides, Cython carries, Python chooses.

The package imports nothing until a name is asked for, so that `pyoms.kill` needs the standard
library alone. ``pyoms.Engine``, ``pyoms.open_desk`` and the rest are looked up in their modules.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Engine": "engine",
    "Verdict": "engine",
    "Fixed": "numbers",
    "Strategy": "strategy",
    "Dispatcher": "strategy",
    "Desk": "oms",
    "Client": "oms",
    "open_desk": "oms",
    "connect": "oms",
    "Log": "tape",
    "Tape": "tape",
    "open_log": "tape",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pyoms' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"pyoms.{_HOMES[name]}"), name)
