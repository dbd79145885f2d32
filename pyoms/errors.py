"""Every exception of pyoms: a broken world, never an order's refusal, which is a `Verdict`.

Raised everywhere, caught by the commands, which print `code` and the message and never a traceback.
What must stay true: a message names the thing, its value and the bound. Standard library alone.
"""

from __future__ import annotations


class OmsError(Exception):
    """Base of all; `code` is what ``--json`` prints, `exit_code` what the command returns."""

    code = "error"
    exit_code = 2


class NumberError(OmsError, ValueError):
    """A price or quantity that the desk's fixed point cannot hold exactly."""

    code = "number"


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
