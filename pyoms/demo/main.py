"""`pyoms demo` from end to end: conduct the session, prove it, report it.

Called by the command. What must stay true: with ``--json`` one object and nothing else is printed;
the exit code is 1 when any proof fails, whatever the report looks like.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pyoms.demo import page, plan, proof, report, session
from pyoms.kill import desk_dir

_STAGES = {
    "kill": "trading",
    "crash": "killed, restarted, released; trading",
    "last": "crashed, recovered; trading",
}


def place(given: Path | None) -> Path:
    """Where the demo's desk lies: as given, else beside the user's own desk."""
    found = given if given is not None else desk_dir().with_name("demo")
    return found.resolve()  # sockets stand in the plan, and processes elsewhere read it


def check_target(html: Path | None) -> None:
    """Refuse a place where no report can be written, before the day and not after it."""
    if html is None:
        return
    if html.is_dir():
        raise session.DemoPlaceError(f"{html} is a directory, the report is a file")
    if not os.access(html.absolute().parent, os.W_OK | os.X_OK):
        raise session.DemoPlaceError(f"{html}: no file can be written in {html.absolute().parent}")


def run(options: plan.Options, desk: Path | None, html: Path | None, *, as_json: bool) -> int:
    """Run the demo and return its exit code."""
    path = place(desk)
    console = Console(file=sys.stderr if as_json else sys.stdout)
    with Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[told]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=as_json,
    ) as bar:
        task = bar.add_task("loading the day", total=1.0, told="")

        def progress(stage: str, share: float, line: dict[str, Any]) -> None:
            told = f"{line['published_seq']:,} events, {line['live_orders']:,} live orders"
            described = _STAGES.get(stage, stage)
            if share >= 0:
                bar.update(task, description=described, completed=share, told=told)
            else:
                bar.update(task, description=described, told=told)

        done = session.conduct(options, path, progress)
        bar.update(task, description="proving", completed=1.0)
        found = proof.prove(done)
    summary = report.summarise(done, found)
    target = html if html is not None else path / "demo/report.html"
    page.write(done, found, summary, target)
    if as_json:
        print(json.dumps(found.figures))
    else:
        report.show(done, found, summary, console)
        console.print(f"report: {target}", highlight=False, soft_wrap=True)
        console.print(f"look at it: pyoms orders --desk {path}", highlight=False, soft_wrap=True)
    return 1 if found.proof.failed else 0
