"""The `pyoms` command: dispatch, errors and exit codes; the verbs stand in `commands.py`.

Called by the console script and by ``python -m pyoms.cli``. What must stay true: `kill` is sent on
before anything else is imported, so the kill switch needs the standard library alone; bad input
ends in one sentence (or one JSON object) and exit code 2, never in a traceback. Exit codes: 0 ok,
1 a check failed, 2 bad input, 3 desk not reachable.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by our caller: what is told has nowhere to go
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  for the life of the process
    sys.exit(told(args))


def told(args: list[str]) -> int:
    """Run one command; an output that takes nothing more is told on stderr, at most."""
    try:
        if args[:1] == ["kill"]:
            from pyoms import kill

            code = kill.main(args[1:])
        else:
            code = run(args or ["--help"])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our pipe has seen enough
        silence()
        return 0
    except OSError as error:
        silence()
        return fail("os", f"{error.strerror or error}", as_json=False, exit_code=2)
    return code


def silence() -> None:
    """Send what is still buffered nowhere, so that the end of the process does not fail on it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(args: list[str]) -> int:
    """Run one verb and return its exit code; every refusal is told as a sentence or as JSON."""
    import typer

    from pyoms.commands import app
    from pyoms.errors import OmsError

    as_json = "--json" in args
    try:
        code = app(args=args, prog_name="pyoms", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return fail("aborted", "stopped before the end", as_json=as_json, exit_code=1)
    except typer.TyperException as error:
        return fail("usage", error.format_message(), as_json=as_json, exit_code=2)
    except OmsError as error:
        return fail(error.code, str(error), as_json=as_json, exit_code=error.exit_code)
    except BrokenPipeError:
        raise
    except SystemExit:  # typer's answer to a broken pipe, and to nothing else in this mode
        raise BrokenPipeError from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror or error}"
        if isinstance(error, FileExistsError | NotADirectoryError):
            message = f"{where}a file stands where a directory is needed: name another place"
        return fail("os", message, as_json=as_json, exit_code=2)
    return code if isinstance(code, int) else 0


def fail(code: str, message: str, *, as_json: bool, exit_code: int) -> int:
    """Tell a refusal, as JSON on stdout or as a sentence on stderr, and return `exit_code`."""
    if as_json:
        print(json.dumps({"error": {"code": code, "message": message}}))
    else:
        print(f"error: {message}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    main()
