"""The verbs of the `pyoms` command, one function each, importing what they need when they run.

Called by `cli.run`, which turns every `OmsError` into a sentence and an exit code. What must stay
true: every verb takes ``--json`` and then prints JSON alone, and returns its exit code by raising
:class:`typer.Exit`. A new verb is one function here; `kill` is not here, it needs no typer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

# The command, and its groups of verbs.
app = typer.Typer(
    help="An order management system. Exit codes: 0 ok, 1 a check failed, 2 bad input, "
    "3 desk not reachable.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="The desk's configuration.")  # pyoms config ...
app.add_typer(config_app, name="config")

# Options that every verb, and every verb on a desk, takes.
JSON = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]
DESK = Annotated[  # `kill.desk_dir` turns it into a path
    Path | None,
    typer.Option("--desk", help="Desk directory; else $PYOMS_DESK, else ~/.local/state/pyoms."),
]


def show(value: Any) -> None:
    """Print one JSON object on a line of its own."""
    typer.echo(json.dumps(value, default=str))


def show_table(table: Table) -> None:
    """Print a table, in colour where the terminal has it."""
    from rich.console import Console

    Console().print(table)


@app.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
def kill() -> None:
    """Engage the kill switch by the control file alone; `pyoms kill --help` tells the options."""
    from pyoms.kill import main

    raise typer.Exit(main(["--help"]))  # `cli.main` sends `pyoms kill` on before it comes here


@config_app.command("check")
def config_check(file: Path, as_json: JSON = False) -> None:
    """Check a configuration file; tells file, line, key, value and what is allowed."""
    from pyoms.config import load

    config = load(file)
    counts = {
        name: len(getattr(config, name))
        for name in ("instruments", "accounts", "limits", "venues", "sessions", "strategies")
    }
    if as_json:
        config_hash = f"{config.config_hash:016x}"
        show({"ok": True, "file": str(file), "config_hash": config_hash, **counts})
        return
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    typer.echo(f"{file}: ok, {told}, config hash {config.config_hash:016x}")


@app.command()
def doctor(desk: DESK = None, ring_mib: int = 64, as_json: JSON = False) -> None:
    """Look at the machine: what was found, why it matters, the command that mends it."""
    from pyoms import doctor as checks
    from pyoms.kill import desk_dir

    machine = checks.Machine(desk=desk_dir(desk), ring_mib=ring_mib)
    findings = checks.examine(machine)
    report = checks.report(findings)
    if as_json:
        show(report)
    else:
        from rich.markup import escape
        from rich.table import Table

        table = Table("", "check", "found, and why it matters")
        table.add_column("what mends it", overflow="fold")
        colours = {"ok": "green", "warn": "yellow", "bad": "red", "unknown": "dim"}
        for finding in findings:
            state = f"[{colours[finding.state]}]{finding.state}[/]"
            told = f"{escape(finding.found)}\n[dim]{escape(finding.why)}[/]"
            table.add_row(state, finding.name, told, escape(finding.mend))
        show_table(table)
    raise typer.Exit(0 if report["ok"] else 1)
