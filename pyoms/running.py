"""`pyoms run`: one desk on one configuration, until a signal ends it in order.

Called by the command. The engine has a thread of its own, with the venue links on it, and the
journal another; the strategies of one session share a process, a client of the desk by a command
ring (`python -m pyoms.running DESK SESSION`). This thread only watches over them. What must stay
true: SIGTERM and SIGINT end it in order; a strategy that dies or hangs is named, nothing more is
sent for it, and its orders are canceled unless its session says otherwise.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pyoms_native
from pyoms.config import Config, StrategyConfig, load
from pyoms.errors import ClientError, ConfigError, DeskError
from pyoms.oms import Client, feed_running, open_desk
from pyoms.schedule import Feeder
from pyoms.strategy import Dispatcher, Strategy

_ROUND_S = 0.05
_END_S = 5.0
"""How long strategies have to end, and their cancels to leave, when the desk is told to stop."""

Tell = Callable[[dict[str, Any]], None]
"""Takes what a desk that runs has to say, one object a line of its output."""


@runtime_checkable
class Resumes(Protocol):
    """A strategy that wants to know when the desk opens, at first or again."""

    def resume(self, now_ns: int) -> None:
        """Go on: the venue is reconciled and orders are taken."""
        ...


@runtime_checkable
class TakesParams(Protocol):
    """A strategy that takes the parameters of its configuration."""

    def take_params(self, params: Mapping[str, Any]) -> None:
        """Take ``[strategy.params]``, before anything trades; raise for what makes no sense."""
        ...


def tell_line(value: dict[str, Any]) -> None:
    """Tell what happened as a line for people."""
    what = value.pop("event")
    print(f"{what}: " + ", ".join(f"{key} {word}" for key, word in value.items()), flush=True)


def strategy_of(row: StrategyConfig, file: str) -> Strategy:
    """Make a configured strategy; ConfigError names the entry that cannot be had."""
    module, _, name = row.entry.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{row.entry}: {error}", file=file, key="strategy.entry") from None
    if not (isinstance(kind, type) and issubclass(kind, Strategy)):
        raise ConfigError(f"{row.entry} is no pyoms.Strategy", file=file, key="strategy.entry")
    try:
        made: Strategy = kind(row.name, account=row.account, session=row.session)
        if isinstance(made, TakesParams):
            made.take_params(row.params)
    except Exception as error:
        told = f"{row.entry} cannot be made: {error.__class__.__name__}: {error}"
        raise ConfigError(told, file=file, key="strategy.entry") from error
    if row.params and not isinstance(made, TakesParams):
        told = f"{row.entry} has no take_params, so {', '.join(row.params)} would say nothing"
        raise ConfigError(told, file=file, key="strategy.params")
    return made


def keep_config(config: Path, desk: Path) -> None:
    """Keep a copy of the configuration in the desk directory, for those who fold its log.

    Only who holds the desk's lock may: another's running desk is folded by its own copy.
    """
    target = config_of(desk)
    if not (target.exists() and target.samefile(config)):
        fresh = desk / f".desk.toml.{os.getpid()}"
        fresh.write_bytes(config.read_bytes())
        fresh.replace(target)


def config_of(desk: Path) -> Path:
    """Where the configuration of a running desk is kept."""
    return desk / "desk.toml"


@dataclass(slots=True)
class _Worker:
    """One process that runs the strategies of one session."""

    session: str
    strategies: list[str]
    process: subprocess.Popen[bytes]
    told: bool = False


class _Signals:
    """Which signals came, and a socket that tells at once."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda got, _frame: self.got.append(got))
        signal.set_wakeup_fd(self._writer.fileno())

    def wait(self, timeout_s: float) -> None:
        """Wait for a signal, a child's end among them, or for a while."""
        if select.select([self.reader], [], [], timeout_s)[0]:
            self.reader.recv(4096)


class _Watch:
    """The desk on its thread, the strategies in their processes, and what is told of them."""

    def __init__(
        self, desk: Path, running: pyoms_native.Running, tell: Tell, calendar: Feeder
    ) -> None:
        self.desk, self.running, self.tell = desk, running, tell
        self.calendar, self.calendar_said = calendar, ""
        self.workers: list[_Worker] = []
        self.was_open = False
        self.lost = 0

    def status(self) -> dict[str, Any]:
        """Everything that the engine says of itself."""
        found: dict[str, Any] = json.loads(pyoms_native.ask(self.desk, "status"))
        return found

    def start(self, session: str, strategies: list[str]) -> None:
        """Start the process of a session's strategies."""
        command = [sys.executable, "-m", "pyoms.running", os.fspath(self.desk), session]
        # The same modules as here: a script's own directory is not the child's by itself.
        path = os.pathsep.join(part or str(Path.cwd()) for part in sys.path)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": path}
        )
        self.workers.append(_Worker(session, strategies, process))
        names = ",".join(strategies)
        self.tell({"event": "started", "session": session, "strategies": names, "pid": process.pid})

    def look(self) -> None:
        """Tell what has changed: opened, closed, a strategy that died or was cut off."""
        if self.running.is_open() != self.was_open:
            self.was_open = not self.was_open
            status = self.status()
            links = {link["venue"]: link["state"] for link in status["links"]}
            event = "open" if self.was_open else "closed"
            self.tell({"event": event, "mode": status["mode"], **links})
        if self.running.clients_lost() != self.lost:
            self.lost = self.running.clients_lost()
            cut = {lost["pid"] for lost in self.status()["clients_lost"]}
            for worker in self.workers:
                if worker.process.pid in cut and worker.process.poll() is None:
                    # It hangs, or the desk refused what it did: nothing it sends is taken any more.
                    worker.process.kill()
        for worker in self.workers:
            code = worker.process.poll()
            if code is not None and not worker.told:
                worker.told = True
                by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                names = ",".join(worker.strategies)
                self.tell(
                    {"event": "lost", "session": worker.session, "strategies": names, "by": by}
                )

    def feed_calendar(self, now_ns: int) -> None:
        """Tell the desk what its schedules say is due; what it does not take is told once."""
        if not self.calendar.schedules:
            return
        said = ""
        try:
            self.calendar.run_to(now_ns)
        except DeskError as error:  # the next round tries again
            said = str(error)
            if said != self.calendar_said:
                self.tell({"event": "schedule", "not_taken": said})
        self.calendar_said = said

    def end(self) -> None:
        """End the strategies, then see to it that the cancels of their orders leave."""
        until = time.monotonic() + _END_S
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.terminate()
        for worker in self.workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        while self.workers and time.monotonic() < until and self.running.is_alive():
            status = self.status()
            attached = {worker.process.pid for worker in self.workers} & {
                client["pid"] for client in status["attached"]
            }
            owed = any(lost["cancels"] == "owed" for lost in status["clients_lost"])
            if not (attached or owed or status["asked_cancels"] or status["waiting"]):
                return


@contextmanager
def _running(
    settings: Config, desk_path: Path, config: Path
) -> Iterator[tuple[pyoms_native.Running, Feeder, list[dict[str, Any]]]]:
    """Open the desk, keep its configuration, and run it on a thread of its own to the end.

    Its calendar has fed what was missed, and goes on by the desk's control socket. The last of the
    three is what the configured limits would loosen, which two people must agree to.
    """
    desk = open_desk(settings, desk_path)
    try:
        keep_config(config, desk_path)
        running = desk.start()
    except BaseException:
        desk.close()
        raise
    desk.calendar.feed = feed_running(desk_path)
    try:
        yield running, desk.calendar, desk.limits_held
    finally:
        running.stop()


def run(config: Path, desk_path: Path, *, tell: Tell) -> None:
    """Run the desk until SIGTERM or SIGINT."""
    settings = load(config)
    desk_path.mkdir(parents=True, exist_ok=True)
    sessions: dict[str, list[str]] = {}
    for row in settings.strategies:
        if row.entry:
            strategy_of(row, str(config))  # what cannot be made is told before anything trades
            sessions.setdefault(row.session, []).append(row.name)
    signals = _Signals()
    with _running(settings, desk_path, config) as (running, calendar, held):
        watch = _Watch(desk_path, running, tell, calendar)
        status = watch.status()
        tell(
            {
                "event": "running",
                "desk": str(desk_path),
                "pid": os.getpid(),
                "tier": status["tier"],
                "mode": status["mode"],
                "recovered_events": status["recovered_events"],
            }
        )
        if held:
            tell(
                {
                    "event": "limits_held",
                    "in_force": status["limits_version"],
                    "loosened_count": len(held),
                    "first": " ".join(str(word) for word in held[0].values()),
                    "do": f"pyoms limits set {config} --as NAME, and a second person approves",
                }
            )
        try:
            for session, names in sessions.items():
                watch.start(session, names)
            while not signals.got and running.is_alive():
                watch.look()
                watch.feed_calendar(time.time_ns())
                signals.wait(_ROUND_S)
            alive = running.is_alive()
        finally:
            watch.end()
        status = watch.status() if alive else {}
    if not alive:
        raise DeskError("the engine thread ended by itself")
    tell(
        {
            "event": "stopped",
            "by": signal.Signals(signals.got[0]).name,
            "event_seq": status["published_seq"],
            "live_orders": status["live_orders"],
        }
    )


def work(desk: Path, session: str) -> None:
    """Run the strategies of one session as a client of a running desk, until SIGTERM or SIGINT.

    ClientError when the desk lets go of it.
    """
    signals = _Signals()
    config = config_of(desk)
    rows = [row for row in load(config).strategies if row.entry and row.session == session]
    strategies = [strategy_of(row, str(config)) for row in rows]
    client = Client(
        desk,
        session,
        name=",".join(row.name for row in rows)[:64],
        silence_ms=min((row.silence_ms_max for row in rows if row.silence_ms_max), default=0),
    )
    dispatcher = Dispatcher(client, strategies, sender=client)
    dispatcher.replay()
    client.beat()  # reading may take its time, the callbacks from here on may not
    was_open = False
    while not signals.got:
        version = client.version  # before the look: what changes meanwhile is looked at again
        if client.is_open() != was_open:
            was_open = not was_open
            for strategy in strategies if was_open else ():
                if isinstance(strategy, Resumes):
                    strategy.resume(client.now_ns)
        dispatcher.run_once()
        wake_ns = dispatcher.wake_ns
        left_s = _ROUND_S if wake_ns is None else (wake_ns - client.now_ns) / 1e9
        client.wait(dispatcher.router.next_seq - 1, version, min(max(left_s, 0.0), _ROUND_S))
    client.detach()


def main() -> int:
    """Work for one session: desk directory, session."""
    desk, session = Path(sys.argv[1]), sys.argv[2]
    try:
        work(desk, session)
    except ClientError as error:
        print(f"strategies of session {session}: {error}", file=sys.stderr, flush=True)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
