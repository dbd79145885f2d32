"""Every exception of pyoms: a broken world, never an order's refusal, which is a `Verdict`.

Raised everywhere, caught by the commands, which print `code` and the message and never a traceback.
What must stay true: a message names the thing, its value and the bound. Standard library alone.
"""

from __future__ import annotations

from pyoms_core.errors import (
    ClOrdIdError,
    EngineError,
    GateError,
    LappedError,
    NumberError,
    OmsError,
    ShapeError,
)

__all__ = [
    "ClOrdIdError",
    "ClientError",
    "ConfigError",
    "DeskError",
    "DrillError",
    "EngineError",
    "GateError",
    "JournalError",
    "LappedError",
    "NumberError",
    "OmsError",
    "ReplayError",
    "ShapeError",
    "TapeError",
    "UnknownNameError",
    "VenueError",
]


class ConfigError(OmsError):
    """A configuration that is refused.

    Parameters
    ----------
    problem : str
        What is wrong, with the value and what would be allowed.
    file : str
        Path as given by the user.
    line : int
        Line in the file, from 1; 0 where there is none.
    key : str
        Dotted key, rows of arrays counted from 1: ``instrument[2].tick``; empty for the whole file.
    """

    code = "config"

    def __init__(self, problem: str, *, file: str = "", line: int = 0, key: str = "") -> None:
        self.problem, self.file, self.line, self.key = problem, file, line, key
        place = f"{file}:{line}" if line else file
        super().__init__(": ".join(part for part in (place, key, problem) if part))


class DeskError(OmsError):
    """A desk could not be opened or cannot go on."""

    code = "desk"


class DrillError(OmsError):
    """A drill could not be held to its end."""

    code = "drill"
    exit_code = 1


class JournalError(OmsError):
    """A log, ring or control file that is missing, damaged or of another build."""

    code = "journal"


class ReplayError(OmsError):
    """A replay that cannot be made as asked."""

    code = "replay"


class TapeError(OmsError):
    """A recording that cannot be read."""

    code = "tape"


class VenueError(OmsError):
    """A simulated venue that cannot be made or go on."""

    code = "venue"


class ClientError(OmsError):
    """A client that cannot reach its desk, or whose ring is full."""

    code = "client"
    exit_code = 3


class UnknownNameError(OmsError, KeyError):
    """A name that the desk has not defined."""

    code = "unknown_name"

    def __str__(self) -> str:
        return str(self.args[0])
