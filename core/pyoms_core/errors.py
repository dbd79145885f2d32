"""Exceptions that the compiled core raises, and the base of all; `pyoms.errors` has the others.

Raised by the core, caught by the commands through `OmsError`. What must stay true: a message names
the thing, its value and the bound, and an order's refusal is never one of these but a `Verdict`.
Standard library alone.
"""

from __future__ import annotations


class OmsError(Exception):
    """Base of all; `code` is what ``--json`` prints, `exit_code` what the command returns."""

    code = "error"
    exit_code = 2


class NumberError(OmsError, ValueError):
    """A price or quantity that the desk's fixed point cannot hold exactly."""

    code = "number"


class EngineError(OmsError):
    """An engine could not be made, or does not take what it was given."""

    code = "engine"


class ClOrdIdError(EngineError, ValueError):
    """A ClOrdID(11) that is not 1 to 36 printable ASCII characters."""


class ShapeError(EngineError, ValueError):
    """Bytes or rows of another count than asked for."""


class GateError(OmsError):
    """The engine did not take a command: it is in use by another thread, or it is broken."""

    code = "gate"


class LappedError(OmsError):
    """The writer of the log has overtaken a view or a reader.

    Parameters
    ----------
    next_seq : int
        The record that was wanted.
    oldest_seq : int
        The oldest one that is there; earlier ones are in the segments.
    """

    code = "lapped"

    def __init__(self, next_seq: int, oldest_seq: int) -> None:
        self.next_seq, self.oldest_seq = next_seq, oldest_seq
        super().__init__(
            f"lapped: event {next_seq} was asked for, the ring begins at {oldest_seq}; "
            "read the segments up to there"
        )
