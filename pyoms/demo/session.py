"""Conducts the demo: starts the venue, the desk's lives and the killer as processes of their own.

Called by `pyoms demo`. It decides nothing that enters the log: it waits for what the desk tells,
engages the kill switch and releases it from outside, and asks the venue for its own record. What
must stay true: every process it started is ended by it, by its own id, whatever happens.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyoms.demo import desk as desk_process
from pyoms.demo import plan as plans
from pyoms.errors import OmsError
from pyoms.venues.sim import find_recording

ANSWER_S = 60.0
"""How long a process may be silent before the demo gives up."""


class DemoError(OmsError):
    """The session could not be carried through."""

    code = "demo"
    exit_code = 1


class DemoPlaceError(OmsError):
    """The desk directory cannot be used for a demo."""

    code = "demo_desk"


@dataclass(slots=True)
class Child:
    """A process of ours that tells one JSON object a line."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    pending: bytes = b""

    @staticmethod
    def start(name: str, args: list[str], log: Path) -> Child:
        """Start it; what it writes to stderr is kept in `log`."""
        with log.open("ab") as errors:
            pipe = subprocess.PIPE
            process = subprocess.Popen(args, stdin=pipe, stdout=pipe, stderr=errors)
        return Child(name, process, log)

    def lines(self, timeout_s: float = ANSWER_S) -> Iterator[dict[str, Any]]:
        """Give what it tells until it ends; DemoError after `timeout_s` of silence."""
        if self.process.stdout is None:
            raise DemoError(f"{self.name} has no output")
        handle = self.process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while True:
                while b"\n" in self.pending:
                    line, self.pending = self.pending.split(b"\n", 1)
                    yield json.loads(line)
                if not selector.select(timeout_s):
                    raise DemoError(f"{self.name} said nothing for {timeout_s:.0f} s: {self.why()}")
                data = os.read(handle, 1 << 16)
                if not data:
                    return
                self.pending += data

    def go_on(self) -> None:
        """Tell it to go on."""
        if self.process.stdin is None:
            raise DemoError(f"{self.name} cannot be told anything")
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def ended(self, timeout_s: float = ANSWER_S) -> int:
        """Wait for its end; a SIGKILL reads as -9."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} does not end: {self.why()}") from None

    def why(self) -> str:
        """Give the last thing it complained about."""
        text = self.log.read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it left no word"

    def stop(self) -> None:
        """End it, by its own id."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


@dataclass(slots=True)
class Told:
    """What the processes told on the way; none of it enters the log."""

    kill: dict[str, Any] = field(default_factory=dict)
    held: dict[str, Any] = field(default_factory=dict)
    flat: dict[str, Any] = field(default_factory=dict)
    still_killed: dict[str, Any] = field(default_factory=dict)
    released: dict[str, Any] = field(default_factory=dict)
    armed: dict[str, Any] = field(default_factory=dict)
    recovered: dict[str, Any] = field(default_factory=dict)
    up: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    witness_killed: dict[str, Any] = field(default_factory=dict)
    witness: dict[str, Any] = field(default_factory=dict)
    decide: list[dict[str, Any]] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    wall_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A finished session: where it lies, what was planned, what was told."""

    desk: Path
    plan: plans.Plan
    day: plans.Day
    sample: dict[str, Any]
    told: Told
    fill_model: str


def conduct(
    options: plans.Options, desk: Path, progress: Callable[[str, float, dict[str, Any]], None]
) -> Session:
    """Run one session on the directory `desk`; `progress` gets stage, share done and counts."""
    started_s = time.monotonic()
    day = plans.open_day(options.data, synthetic=options.synthetic, seed=options.seed)
    plan = plans.make_plan(day, options)
    with prepared(desk) as demo:
        _, flow, sample = day.tape.plan(plan.seed, plan.commands_min)
        (demo / "flow.bin").write_bytes(flow)
        (demo / "plan.json").write_text(plan.to_json())
        (demo / "venue.json").write_text(json.dumps(plan.venue_options()))
        (desk / "desk.toml").write_text(plans.config_text(demo / "venue.sock"))
        runner = _Runner(desk, demo, plan, progress)
        try:
            runner.start_venue(options)
            for life in desk_process.LIVES:
                runner.live(life)
            runner.end_venue()
        finally:
            for child in runner.children:
                child.stop()
        runner.told.wall_s = time.monotonic() - started_s
        import pyoms_native as native

        fill_model = native.SimVenue(json.dumps(plan.venue_options()), day.tape).fill_model()
        return Session(
            desk=desk, plan=plan, day=day, sample=sample, told=runner.told, fill_model=fill_model
        )


@contextlib.contextmanager
def prepared(desk: Path) -> Iterator[Path]:
    """Make an empty desk directory, in place of an earlier demo's and of nothing else."""
    demo = desk / "demo"
    if desk.exists() and any(desk.iterdir()) and not (demo / "plan.json").is_file():
        raise DemoPlaceError(f"{desk} is not empty and no demo ran there: name another directory")
    desk.mkdir(parents=True, exist_ok=True)
    handle = os.open(desk, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoPlaceError(f"{desk}: another demo runs there") from None
        forget_ring(desk)
        for entry in list(desk.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        demo.mkdir()
        yield demo
    finally:
        os.close(handle)


def forget_ring(desk: Path) -> None:
    """Give back the shared memory of a desk that is about to be deleted."""
    with contextlib.suppress(OSError):
        desk_id = (desk / "desk_id").read_text().strip()
        if desk_id.isalnum():
            ring = Path("/dev/shm") / f"pyoms-{os.geteuid()}" / desk_id  # noqa: S108
            shutil.rmtree(ring, ignore_errors=True)


@dataclass(slots=True)
class _Runner:
    desk: Path
    demo: Path
    plan: plans.Plan
    progress: Callable[[str, float, dict[str, Any]], None]
    told: Told = field(default_factory=Told)
    children: list[Child] = field(default_factory=list)
    venue: Child | None = None

    def start_venue(self, options: plans.Options) -> None:
        """Start the venue and wait until it listens."""
        args = [sys.executable, "-m", "pyoms.cli", "venue", "sim"]
        args += ["--socket", str(self.demo / "venue.sock"), "--seed", str(self.plan.seed)]
        args += [
            "--witness",
            str(self.demo / "witness.json"),
            "--sample",
            str(self.plan.commands_min),
        ]
        args += ["--options", str(self.demo / "venue.json")]
        found = None if self.plan.is_synthetic else options.data or find_recording()
        args += ["--synthetic"] if found is None else ["--data", str(found)]
        self.venue = Child.start("the venue", args, self.demo / "venue.log")
        self.children.append(self.venue)
        for line in self.venue.lines():
            if "listening" in line:
                return
        raise DemoError(f"the venue did not start: {self.venue.why()}")

    def live(self, life: str) -> None:
        """Run one life of the desk's process to its end."""
        args = [sys.executable, "-m", desk_process.__name__, str(self.desk), life]
        child = Child.start("the desk", args, self.demo / "desk.log")
        self.children.append(child)
        decide: dict[str, Any] = {}
        for line in child.lines():
            say = line.pop("say")
            decide = line.pop("decide", decide)
            self.heard(life, say, line)
        self.told.decide.append(decide)
        code = child.ended()
        self.told.exit_codes.append(code)
        wanted = -signal.SIGKILL if life == "crash" else 0
        if code != wanted:
            raise DemoError(f"the desk's process ended with {code}, not {wanted}: {child.why()}")

    def heard(self, life: str, say: str, line: dict[str, Any]) -> None:
        """Act on what the desk tells."""
        if say == "at":
            span = self.plan.end_ns - self.plan.start_ns
            self.progress(life, (line["now_ns"] - self.plan.start_ns) / span, line)
        elif say == "held":
            self.told.held = line
            self.progress("drill: kill", -1, line)
            # The desk stands still until it is told to go on: the proof follows its cancels.
            self.told.kill = self.command("kill", "--timeout", "0")
            self.children[-1].go_on()
            (self.demo / "kill.json").write_text(json.dumps(self.told.kill))
        elif say == "flat":
            self.told.flat = line
        elif say == "still_killed":
            self.told.still_killed = line
            self.told.witness_killed = self.ask_witness()
            self.progress("drill: release", -1, line)
            asked = self.command("release", "--as", "alice", "--reason", "drill is over")
            self.command("release", "--as", "bob", "--approve", str(asked["change_hash"]))
        elif say == "released":
            self.told.released = line
        elif say == "armed":
            self.told.armed = line
        elif say == "up":
            self.told.up.append(line)
        elif say == "open" and life == "last":
            self.told.recovered = line
        elif say == "done":
            self.told.done = line

    def command(self, *args: str) -> dict[str, Any]:
        """Run a command of pyoms as a process of its own and read its JSON."""
        whole = [sys.executable, "-m", "pyoms.cli", *args, "--desk", str(self.desk), "--json"]
        ran = subprocess.run(whole, capture_output=True, text=True, timeout=ANSWER_S, check=False)
        if ran.returncode != 0:
            said = (ran.stdout + ran.stderr).strip()
            raise DemoError(f"pyoms {' '.join(args)} ended with {ran.returncode}: {said}")
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def ask_witness(self) -> dict[str, Any]:
        """Have the venue write down its own record, now."""
        if self.venue is None:
            raise DemoError("the venue was not started")
        path = self.demo / "witness.json"
        path.unlink(missing_ok=True)
        self.venue.process.send_signal(signal.SIGUSR1)
        end_s = time.monotonic() + ANSWER_S
        while not path.exists():
            if self.venue.process.poll() is not None or time.monotonic() > end_s:
                raise DemoError(f"the venue wrote no record: {self.venue.why()}")
            time.sleep(0.002)
        witness: dict[str, Any] = json.loads(path.read_text())
        return witness

    def end_venue(self) -> None:
        """Wait for the venue's own end and take its last record."""
        if self.venue is None:
            raise DemoError("the venue was not started")
        code = self.venue.ended()
        if code != 0:
            raise DemoError(f"the venue ended with {code}: {self.venue.why()}")
        self.told.witness = json.loads((self.demo / "witness.json").read_text())
