"""What people ask a desk from a shell: its state folded from the log, and requests to its engine.

Called by the commands. Reading needs no engine: the log is folded here, of a running desk as of a
stopped one, and nothing is written. What must stay true: a request that a running engine must
answer says so when there is none; every name comes from the log itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyoms.errors import OmsError
from pyoms.kill import DeskNotReachableError


class RequestError(OmsError):
    """A request that the desk refuses, or that makes no sense."""

    code = "request"


def ask(desk: Path, line: str) -> dict[str, Any]:
    """Send one request to the running engine; DeskNotReachableError when none runs."""
    import pyoms_native as native

    from pyoms.errors import DeskError

    if not (desk / "control.sock").exists():
        raise DeskNotReachableError(f"{desk}: no engine runs on this desk")
    try:
        answer: dict[str, Any] = json.loads(native.ask(desk, line))
    except DeskError as error:
        raise DeskNotReachableError(f"{desk}: the engine does not answer: {error}") from None
    if not answer.get("ok", False):
        raise RequestError(str(answer.get("error", "the desk refused")))
    return {key: value for key, value in answer.items() if key != "ok"}


def word(text: str, what: str) -> str:
    """One word of a request line; RequestError where it could be read as more."""
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise RequestError(f"{what} {text!r} is not one word of printable ASCII")
    return text


def ask_release(desk: Path, person: str, scope: str, target: str, reason: str) -> dict[str, Any]:
    """Ask for a release of one scope; the answer carries the ``change_hash``."""
    number = id_of(desk, scope, target) if target else 0
    words = " ".join(reason.split())
    if not words.isascii() or not words.isprintable():
        raise RequestError(f"reason {reason!r} is not printable ASCII")
    who = word(person, "person")
    return ask(desk, f"release scope={scope} id={number} as={who} reason={words}")


def approve(desk: Path, person: str, change_hash: str) -> dict[str, Any]:
    """Approve a release; the answer carries the ``epoch``."""
    return ask(
        desk, f"release as={word(person, 'person')} approve={word(change_hash, 'change hash')}"
    )


def id_of(desk: Path, scope: str, name: str) -> int:
    """Number of a name on this desk; ``#7`` is a number already."""
    if name.startswith("#") and name[1:].isdigit():
        return int(name[1:])
    path = desk / "names.json"
    try:
        known: dict[str, int] = json.loads(path.read_text()).get(scope, {})
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from None
    if name not in known:
        raise RequestError(
            f"{scope} {name!r} is not defined; there are {', '.join(known) or 'none'}"
        )
    return known[name]
