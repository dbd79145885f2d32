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
limits_app = typer.Typer(help="The limits of a desk.")  # pyoms limits ...
app.add_typer(limits_app, name="limits")
venue_app = typer.Typer(help="Venues in the box.")  # pyoms venue ...
app.add_typer(venue_app, name="venue")


def path_of(text: str) -> Path:
    """Read a path; an empty one is a mistake and not the directory we stand in."""
    if not text:
        raise typer.BadParameter("it is empty, name a path")
    return Path(text)


def word_of(text: str) -> str:
    """Read a word; an empty one is a mistake, and not the option left out."""
    if not text:
        raise typer.BadParameter("it is empty; leave the option out instead")
    return text


# Options that every verb, and every verb on a desk, takes.
JSON = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]
DESK = Annotated[  # `kill.desk_dir` turns it into a path
    Path | None,
    typer.Option(
        "--desk",
        parser=path_of,
        metavar="PATH",
        help="Desk directory; else $PYOMS_DESK, else ~/.local/state/pyoms/default.",
    ),
]

CONFIG = Annotated[  # a configuration in TOML
    Path, typer.Argument(parser=path_of, metavar="FILE", help="Configuration, TOML.")
]

# Limits of one change that are shown to people.
CHANGES_MAX = 20

# A number of an event or an order fits the log's own.
NUMBER_MAX = 2**63 - 1


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
def config_check(file: CONFIG, as_json: JSON = False) -> None:
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
def doctor(
    desk: DESK = None,
    ring_mib: Annotated[int, typer.Option(min=1, max=1 << 20, help="Size of the ring.")] = 64,
    as_json: JSON = False,
) -> None:
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


@app.command()
def sim(
    seeds: Annotated[str, typer.Option(help="Seeds A..B, both included.")] = "1..200",
    steps: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="Steps of each day; 0: a whole one.")
    ] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="Leave the desk of each seed there, as s<seed>/desk.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Run days on which everything goes wrong; a failing seed comes with its shortest prefix."""
    from pyoms import faults

    report = faults.run(seeds, steps, keep)
    if as_json:
        show(report)
    else:
        for name, count in report["faults"].items():
            typer.echo(f"{count:>9} {name}")
        for failed in report["violations"]:
            typer.echo(f"seed {failed['seed']} after {failed['steps']} steps:")
            typer.echo("".join(f"  {what}\n" for what in failed["what"]), nl=False)
            typer.echo(f"  {failed['reproduce']}")
        typer.echo(
            f"seeds {report['seeds']}: {report['events']} events, {report['events_per_s']} a "
            f"second, {len(report['violations'])} failed, log hash {report['log_hash']}"
        )
    raise typer.Exit(1 if report["violations"] else 0)


@app.command()
def drill(
    trials: Annotated[int, typer.Option(min=1, max=10_000_000, help="Kills.")] = 1_000,
    messages: Annotated[
        int, typer.Option(min=1, max=1_000_000_000, help="Orders and replaces in all, at least.")
    ] = 1_000_000,
    seed: Annotated[
        int, typer.Option(min=0, max=NUMBER_MAX, help="Of the moments of the kills.")
    ] = 1,
    evidence: Annotated[
        Path | None,
        typer.Option(
            parser=path_of,
            metavar="PATH",
            help="Directory for the signed evidence; else `evidence` of the desk, if it is one.",
        ),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar="FILE", help="Check an evidence file, drill nothing."),
    ] = None,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Kill a desk under full load, again and again, and sign what the venue saw of it.

    The desk of the drill is its own; --desk alone says whose key signs and where the evidence goes.
    """
    from pyoms import drill as drills
    from pyoms.evidence import check as check_file
    from pyoms.evidence import sign, write
    from pyoms.kill import desk_dir

    home = desk_dir(desk)
    if check is not None:
        own = home / "keys" if (home / "keys").is_dir() else check.parent / "keys"
        found = check_file(check, own)
        if as_json:
            show({"ok": True, "by_desk": found.by_desk, "public_key": found.public_key})
        else:
            whose = {True: "this desk's key", False: "ANOTHER key", None: "a key not known here"}
            typer.echo(f"{check}: signed by {whose[found.by_desk]}, {found.public_key}")
        raise typer.Exit(1 if found.by_desk is False else 0)
    report = drills.run(trials, messages, seed)
    good = drills.is_good(report)
    place = evidence or (home / "evidence" if (home / "desk_id").is_file() else None)
    written = None
    if place is not None:
        keys = home / "keys" if (home / "desk_id").is_file() else place / "keys"
        about = drills.about(seed)
        signed = sign({"good": good, **report, **about}, keys)
        name = f"drill-{about['held_at'].replace(':', '')}"
        written = [str(path) for path in write(signed, place, name, "Kill drill")]
    if as_json:
        show({**report, "evidence": written})
    else:
        for name, value in report.items():
            typer.echo(f"{name:<18} {value}")
        typer.echo(f"{'evidence':<18} {' '.join(written) if written else 'none: --evidence DIR'}")
    raise typer.Exit(0 if good else 1)


@app.command()
def bench(
    case: Annotated[list[str] | None, typer.Argument(help="Cases; none: all.")] = None,
    small: Annotated[bool, typer.Option(help="The size that tests run.")] = False,
    count: Annotated[bool, typer.Option(help="Count instructions, with valgrind.")] = False,
    as_json: JSON = False,
) -> None:
    """Measure the path: one line a case, beside its budget."""
    from pyoms import bench as speed

    lines = []
    for line in speed.run(*case or (), small=small, count=count):
        lines.append(line)
        if as_json:
            show(line)
    if not as_json:
        show_table(speed.table(lines))


@venue_app.command("sim")
def venue_sim(
    socket: Annotated[
        Path, typer.Option(parser=path_of, metavar="PATH", help="Unix socket to listen on.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar="PATH", help="Recording, market by order (DBN)."),
    ] = None,
    synthetic: Annotated[bool, typer.Option(help="A made day instead of a recording.")] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=NUMBER_MAX, help="Of latencies, rejects and a made day.")
    ] = 1,
    sample: Annotated[
        int,
        typer.Option(min=0, max=NUMBER_MAX, help="Take orders of so many commands out of the day."),
    ] = 0,
    lock_step: Annotated[bool, typer.Option(help="Virtual time, turn by turn.")] = False,
    speed: Annotated[
        int, typer.Option(min=1, max=2**32 - 1, help="Virtual seconds a real one.")
    ] = 1,
    options: Annotated[
        Path | None, typer.Option(parser=path_of, metavar="PATH", help="JSON of more options.")
    ] = None,
    witness: Annotated[
        Path | None,
        typer.Option(
            parser=path_of,
            metavar="PATH",
            help="The venue's own record, at the end and on SIGUSR1.",
        ),
    ] = None,
    stay: Annotated[bool, typer.Option(help="Go on listening when the day is over.")] = False,
    as_json: JSON = False,  # noqa: ARG001  it tells JSON lines in any case
) -> None:
    """Run the simulated venue as a process of its own, behind a Unix socket."""
    from pyoms.venues import sim

    venue = sim.open_venue(
        sim.VenueDay(data=data, synthetic=synthetic, seed=seed, sample=sample),
        sim.read_options(options, seed=seed, lock_step=lock_step, speed=speed),
    )
    sim.serve(venue, sim.Serving(socket_path=socket, witness=witness, stay=stay))


@app.command()
def release(
    person: Annotated[str, typer.Option("--as", help="Who asks, or who approves.")],
    approve: Annotated[
        str | None, typer.Option(help="Approve the change of this hash; asked by another person.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="This account alone.")] = None,
    instrument: Annotated[str | None, typer.Option(help="This instrument alone.")] = None,
    venue: Annotated[str | None, typer.Option(help="This venue alone.")] = None,
    session: Annotated[str | None, typer.Option(help="This session alone.")] = None,
    strategy: Annotated[str | None, typer.Option(help="This strategy alone.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the log.")] = None,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Release the kill switch of a running desk: one person asks, another approves by hash."""
    from pyoms import look
    from pyoms.kill import desk_dir

    given = {
        "account": account,
        "instrument": instrument,
        "venue": venue,
        "session": session,
        "strategy": strategy,
    }
    named = [(scope, name) for scope, name in given.items() if name is not None]
    if len(named) > 1:
        raise look.RequestError("name one scope at most: " + ", ".join(s for s, _ in named))
    if approve is not None:
        if named or reason is not None:
            what = f"--{named[0][0]}" if named else "--reason"
            raise look.RequestError(
                f"{what} says nothing beside --approve: the change has its scope and reason"
            )
        answer = look.approve(desk_dir(desk), person, approve)
        told = f"released, epoch {answer['epoch']}"
    else:
        scope, target = named[0] if named else ("desk", "")
        answer = look.ask_release(
            desk_dir(desk), person, scope, target, reason or "asked by a person"
        )
        told = (
            f"change {answer['change_hash']}: a second person approves it with\n"
            f"  pyoms release --as NAME --approve {answer['change_hash']}"
        )
    if as_json:
        show(answer)
    else:
        typer.echo(told)


def looser_text(row: dict[str, Any]) -> str:
    """One limit that a change loosens, or changed, as a line for people."""
    whose = " ".join(str(v) for k, v in row.items() if k not in ("scope", "field", "old", "new"))
    old, new = (row[k] if row[k] is not None else "none" for k in ("old", "new"))
    return f"  {row['scope']} {whose}: {row['field']} {old} -> {new}"


@limits_app.command("show")
def limits_show(desk: DESK = None, as_json: JSON = False) -> None:
    """Show the limits in force, their version and hash, and what waits for a second person."""
    from pyoms import changes
    from pyoms.kill import desk_dir

    told = changes.show(desk_dir(desk))
    if as_json:
        show(told)
        return
    typer.echo(f"limits version {told['limits_version']}, hash {told['limits_hash']}")
    names: list[str] = []
    for row in told["limits"]:
        names += [name for name in row if name not in names]
    rows = [{name: row.get(name, "") for name in names} for row in told["limits"]]
    show_rows(rows, "no limits: no account may send anything")
    if staging := told["staging"]:
        typer.echo("version {limits_version} is staged, {staged} of {rows} rows".format(**staging))
    if waiting := told["waiting"]:
        typer.echo(
            "change {change_hash} by {person} ({reason}) waits {expires_s} s for a second "
            "person; of {rows} rows it loosens {loosened_count} limits:".format(**waiting)
        )
        for row in waiting["loosened"]:
            typer.echo(looser_text(row))


@limits_app.command("set")
def limits_set(
    file: Annotated[
        Path,
        typer.Argument(
            parser=path_of, metavar="FILE", help="TOML: [[limit]] alone, or a whole configuration."
        ),
    ],
    person: Annotated[str, typer.Option("--as", help="Who asks.")],
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "asked by a person",
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Put the limits of a file in place of all in force; what loosens waits for another person."""
    from pyoms import changes
    from pyoms.kill import desk_dir

    answer = changes.set_limits(desk_dir(desk), file, person, reason)
    if as_json:
        show(answer)
    elif not answer["changed_rows"]:
        typer.echo(f"nothing changes: version {answer['limits_version']} says the same")
    elif "change_hash" in answer:
        typer.echo(f"change {answer['change_hash']} loosens {answer['loosened_count']} limits:")
        for row in answer["loosened"]:
            typer.echo(looser_text(row))
        typer.echo(
            "a second person approves it within five minutes with\n"
            f"  pyoms limits approve {answer['change_hash']} --as NAME"
        )
    else:
        told = "in force: version {limits_version}, hash {limits_hash}, {changed_rows} rows changed"
        typer.echo(told.format(**answer))


@limits_app.command("approve")
def limits_approve(
    change_hash: Annotated[
        str, typer.Argument(parser=word_of, metavar="HASH", help="Of exactly this change.")
    ],
    person: Annotated[str, typer.Option("--as", help="Who approves; another one asked.")],
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Approve a change of limits that another person asked for."""
    from pyoms import changes
    from pyoms.kill import desk_dir

    answer = changes.approve(desk_dir(desk), change_hash, person)
    if as_json:
        show(answer)
    else:
        typer.echo("in force: version {limits_version}, hash {limits_hash}".format(**answer))


@limits_app.command("history")
def limits_history(desk: DESK = None, as_json: JSON = False) -> None:
    """Every change of the limits: when, who, who approved, why, and each limit, old and new."""
    from pyoms import changes
    from pyoms.kill import desk_dir

    told = list(changes.history(desk_dir(desk)))
    if as_json:
        show({"changes": told})
        return
    for change in told:
        by = change["person"] + (f", approved by {change['approver']}" * bool(change["approver"]))
        head = f"version {change['limits_version']}  {change['time']}  event {change['event_seq']}"
        typer.echo(f"{head}  {by}: {change['reason']}")
        for row in change["changes"][:CHANGES_MAX]:
            typer.echo(looser_text(row))
        if len(change["changes"]) > CHANGES_MAX:
            typer.echo(f"  and {len(change['changes']) - CHANGES_MAX} more; --json has them all")


@app.command("close-day")
def close_day(
    venue: Annotated[str, typer.Argument(parser=word_of, metavar="VENUE", help="Its name.")],
    day: Annotated[
        str, typer.Argument(parser=word_of, metavar="DATE", help="Trading day, YYYY-MM-DD.")
    ],
    person: Annotated[str, typer.Option("--as", help="Who has asked the venue.")],
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Say that a venue's day is over and its day orders are gone: they expire by this word.

    A schedule ends the day, but does not prove it: orders at the venue then live on, with their
    reserve, until the venue says so or a person with the role risk does.
    """
    import datetime as dt

    from pyoms import look
    from pyoms.kill import desk_dir

    try:
        date = dt.date.fromisoformat(day)
    except ValueError:
        raise look.RequestError(f"day {day!r} is no date: write YYYY-MM-DD") from None
    answer = look.close_day(desk_dir(desk), venue, date, person)
    if as_json:
        show(answer)
    else:
        typer.echo(f"{venue}: {date} is closed and proved, event {answer['event_seq']}")


@config_app.command("days")
def config_days(
    file: CONFIG,
    start: Annotated[
        str | None,
        typer.Option("--from", parser=word_of, help="First UTC date, YYYY-MM-DD; else today."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many.")] = 7,
    as_json: JSON = False,
) -> None:
    """Tell what the schedules of a configuration will feed the desk, one event a line."""
    import datetime as dt
    import heapq

    from pyoms import look
    from pyoms.config import load
    from pyoms.schedule import events

    try:
        date = dt.date.fromisoformat(start) if start else dt.datetime.now(dt.UTC).date()
    except ValueError:
        raise look.RequestError(f"--from {start!r} is no date: write YYYY-MM-DD") from None
    if not 1970 <= date.year <= 2200:
        raise look.RequestError(f"--from {start!r}: allowed are years 1970 to 2200")
    midnight = dt.datetime(date.year, date.month, date.day, tzinfo=dt.UTC)
    first_ns = int(midnight.timestamp()) * 1_000_000_000
    last_ns = first_ns + days * 86_400_000_000_000
    found = [
        events(venue.name, venue.schedule, first_ns - 1, last_ns - 1)
        for venue in load(file).venues
        if venue.schedule is not None
    ]
    for event in heapq.merge(*found, key=lambda event: event.time_ns):
        when = dt.datetime.fromtimestamp(event.time_ns // 1_000_000_000, dt.UTC)
        row: dict[str, Any] = {
            "time": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "venue": event.venue,
            "event": event.what,
            "trade_day": str(event.trade_day),
        }
        row |= {"phase": event.phase} if event.phase else {}
        row |= {"utc_offset_min": event.utc_offset_min} if event.what == "clock" else {}
        if as_json:
            show(row)
        else:
            typer.echo("  ".join(map(str, row.values())))


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar="PATH", help="Recording, market by order (DBN)."),
    ] = None,
    synthetic: Annotated[
        bool, typer.Option(help="A made day, even if a recording is there.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=NUMBER_MAX, help="One seed is one run.")] = 1,
    commands: Annotated[
        int, typer.Option(min=100, max=1_000_000, help="Sampled commands, at least.")
    ] = 25_000,
    minutes: Annotated[
        int, typer.Option(min=0, max=1_440, help="Of trading; 0 is the whole day.")
    ] = 0,
    live: Annotated[bool, typer.Option(help="In real time, to watch.")] = False,
    speed: Annotated[int, typer.Option(min=1, max=3_600, help="Of --live: seconds a second.")] = 60,
    html: Annotated[
        Path | None,
        typer.Option(parser=path_of, metavar="PATH", help="Where the report goes as HTML."),
    ] = None,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """One trading session in a box: a day, a maker, a slicer, clients, a kill, a crash, proofs."""
    from pyoms.demo import main, plan

    main.check_target(html)
    options = plan.Options(
        data=data,
        synthetic=synthetic,
        seed=seed,
        commands_min=commands,
        minutes=minutes,
        live=live,
        speed=speed,
    )
    raise typer.Exit(main.run(options, desk, html, as_json=as_json))


@app.command()
def status(desk: DESK = None, as_json: JSON = False) -> None:
    """Where the desk stands: from its engine where one runs, else folded from its log."""
    from pyoms import look
    from pyoms.kill import desk_dir

    found = look.status_of(desk_dir(desk))
    code = 1 if "damage" in found else 0
    if as_json:
        show(found)
        raise typer.Exit(code)
    links = found.pop("links", [])
    if (
        found["switch_problem"] and not found["running"]
    ):  # the mode is the stricter one already: told once
        del found["switch"]
    for name, value in found.items():
        if value not in (None, "", {}):
            typer.echo(f"{name:<20} {value}")
    for link in links:
        told = f"{link['state']}, sent {link['link_seq_out']}, received {link['link_seq_in']}"
        typer.echo(f"{'link ' + link['venue']:<20} {told}")
    raise typer.Exit(code)


@app.command()
def orders(
    every: Annotated[bool, typer.Option("--all", help="Closed orders too.")] = False,
    symbol: Annotated[
        str | None, typer.Option(parser=word_of, metavar="TEXT", help="This instrument alone.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(parser=word_of, metavar="TEXT", help="This account alone.")
    ] = None,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Live orders, folded from the log of a running or a stopped desk."""
    from pyoms import look
    from pyoms.kill import desk_dir

    replay = look.fold(desk_dir(desk))
    wanted = {"symbol": symbol or "", "account": account or ""}
    look.known(replay, instrument=wanted["symbol"], account=wanted["account"])
    rows = look.order_rows(replay, live=not every, **wanted)
    if as_json:
        show({"event_seq": replay.last_seq, "orders": rows})
    else:
        short = [{name: r[name] for name in (*list(r)[:12], "avg_px")} for r in rows]
        show_rows(short, "no live order; --all shows closed ones" if not every else "no order")


@app.command()
def positions(desk: DESK = None, as_json: JSON = False) -> None:
    """Positions by account and instrument, folded from the log."""
    from pyoms import look
    from pyoms.kill import desk_dir

    replay = look.fold(desk_dir(desk))
    rows = look.position_rows(replay)
    if as_json:
        show({"event_seq": replay.last_seq, "positions": rows})
    else:
        show_rows(rows, "no position")


@app.command()
def events(
    first: Annotated[int, typer.Option("--from", min=1, max=NUMBER_MAX, help="First event.")] = 1,
    last: Annotated[
        int, typer.Option(min=0, max=NUMBER_MAX, help="The last so many; 0 is all.")
    ] = 20,
    order: Annotated[int, typer.Option(min=0, max=NUMBER_MAX, help="Of this order alone.")] = 0,
    kind: Annotated[
        str | None, typer.Option(parser=word_of, metavar="TEXT", help="Of this kind alone.")
    ] = None,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Events of the log, one a line, of a running or a stopped desk."""
    from pyoms import look
    from pyoms.kill import desk_dir

    rows = look.event_rows(desk_dir(desk), first=first, last=last, order=order, kind=kind or "")
    for row in rows:
        if as_json:
            show(row)
        else:
            tell_row(row)


@app.command()
def replay(
    directory: Annotated[
        Path, typer.Argument(parser=path_of, metavar="DIR", help="Desk directory.")
    ],
    at: Annotated[
        str | None, typer.Option(parser=word_of, metavar="TEXT", help="Event number, or UTC time.")
    ] = None,
    order: Annotated[int, typer.Option(min=0, max=NUMBER_MAX, help="The story of this order.")] = 0,
    verify: Annotated[bool, typer.Option(help="Check every record first.")] = False,
    as_json: JSON = False,
) -> None:
    """Rebuild the state from the log, now or as it was; exit 1 if the log is damaged."""
    import pyoms_native as native
    from pyoms import look
    from pyoms.kill import DeskNotReachableError
    from pyoms_core.layout import NAMES

    if not (directory / "desk_id").is_file():
        raise DeskNotReachableError(f"{directory}: no desk is here")
    answer: dict[str, Any] = {"desk": str(directory)}
    damage = None
    if verify:
        answer["verify"] = native.verify_log(directory)
        damage = answer["verify"]["damage"]
    if damage is None:
        point = look.parse_point(at, directory) if at else {}
        folded = look.fold(directory, **point)
        counters = folded.counters()
        answer |= {
            "event_seq": folded.last_seq,
            "state_hash": f"{folded.state_hash():016x}",
            "live_orders": counters["live_orders"],
            "mode": NAMES["kill_mode"].get(counters["desk_mode"], "halt"),
            "positions": look.position_rows(folded),
        }
        if order:
            answer["order"] = next(
                (r for r in look.order_rows(folded, live=False) if r["order_id"] == order), None
            )
            answer["events"] = [look.tell_event(row) for row in folded.why(order)]
            if not answer["events"]:
                raise look.RequestError(f"order {order} is not in the log up to {folded.last_seq}")
    if as_json:
        show(answer)
    else:
        story, rows = answer.pop("events", []), answer.pop("positions", [])
        for name, value in answer.items():
            typer.echo(f"{name:<14} {value}")
        if order:
            for row in story:
                tell_row(row)
        else:
            show_rows(rows, "no position")
    raise typer.Exit(0 if damage is None else 1)


@app.command()
def run(
    config: CONFIG,
    desk: DESK = None,
    as_json: JSON = False,
) -> None:
    """Run a desk on a configuration until SIGTERM or SIGINT; status and kill work beside it."""
    from pyoms import running
    from pyoms.kill import desk_dir

    running.run(config, desk_dir(desk), tell=show if as_json else running.tell_line)


def show_rows(rows: list[dict[str, Any]], none: str) -> None:
    """Print rows as columns as wide as they need, numbers to the right; or that there are none."""
    if not rows:
        typer.echo(none)
        return
    told = [
        {k: ",".join(v) if isinstance(v, list) else brief(v) for k, v in r.items()} for r in rows
    ]
    wide = {name: max(len(name), *(len(row[name]) for row in told)) for name in told[0]}
    right = {name: all(row[name][:1] in "-0123456789" for row in told) for name in told[0]}
    for row in [{name: name for name in wide}, *told]:
        cells = [row[n].rjust(w) if right[n] else row[n].ljust(w) for n, w in wide.items()]
        typer.echo("  ".join(cells).rstrip())


def brief(value: Any) -> str:
    """Tell a value to people: decimals past the fourth are cut, as `--json` has them all."""
    text = "" if value is None else str(value)
    whole, point, decimals = text.partition(".")
    return f"{whole}.{decimals[:4]}" if point and decimals.isdigit() else text


def tell_row(row: dict[str, Any]) -> None:
    """Print one event as a line: number, time, kind, order, then what is not empty."""
    seq, at, order = row["event_seq"], row["time"][11:-4], row["order_seq"] or ""
    head = f"{seq:>9}  {at}  {row['kind']:<18} {order:>7}"
    skip = ("event_seq", "time", "kind", "order_seq")
    rest = " ".join(f"{k}={v}" for k, v in row.items() if k not in skip and v not in ("", 0, None))
    typer.echo(f"{head}  {rest}")
