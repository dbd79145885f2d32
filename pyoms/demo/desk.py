"""The desk's process of the demo: one life of it, from its start to its end or its SIGKILL.

Run as a module by the session, which reads one JSON object a line from its output. Three lives make
a session: the first ends after the kill drill, the second dies at a drawn event, the third sees the
day out. What must stay true: what enters the log depends on the plan and on the venue's turns
alone, never on the speed of this process or of its parent.
"""

from __future__ import annotations

import json
import select
import struct
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from pyoms import config
from pyoms.demo.plan import FLOW, Plan
from pyoms.demo.strategies import Book, Client, Maker, Slicer
from pyoms.numbers import Fixed
from pyoms.oms import open_desk
from pyoms.strategy import Dispatcher
from pyoms.venues.sim import SYMBOL
from pyoms_core.layout import NO_PRICE

LIVES = ("kill", "crash", "last")
"""What ends each life of the desk."""

QUOTE = struct.Struct("<qqq")
"""One sample of the market for the plots: virtual time, best bid, best offer."""

_TELL_S = 0.2
_WAIT_S = 60
_LINK_S = 30
_IDLE_POLLS = 64
_SAMPLE_NS = 1_000_000_000


def tell(what: str, **values: Any) -> None:
    """Tell the session something, as one line."""
    print(json.dumps({"say": what, **values}), flush=True)


class Life:
    """One life of the desk's process."""

    def __init__(self, desk_path: Path, life: str) -> None:
        self.demo = desk_path / "demo"
        self.plan = Plan.from_json((self.demo / "plan.json").read_text())
        self.life = life
        settings = config.load(desk_path / "desk.toml")
        self.desk = open_desk(settings, desk_path, lock_step=True, start_ns=self.plan.start_ns)
        flow = np.fromfile(self.demo / "flow.bin", dtype=FLOW)
        self.strategies: list[Book] = []
        for row in settings.strategies:
            kind = {"maker": Maker, "slicer": Slicer}.get(row.name, Client)
            strategy = kind(row.name, account=row.account, session=row.session)
            if isinstance(strategy, Slicer):
                strategy.plan = self.plan
            if isinstance(strategy, Client):
                strategy.take_flow(flow, row.account)
            self.strategies.append(strategy)
        self.instrument_id = self.desk.id_of("instrument", SYMBOL)
        self.dispatcher = Dispatcher(self.desk, self.strategies)
        self.quotes = (self.demo / "quotes.bin").open("ab", buffering=0)
        self.sampled = (-(2**63), 0, 0)
        self.told_s = 0.0
        self.resumed = False
        self.drill = ""
        self.paced: tuple[float, int] | None = None
        self.flat_turns = 0
        self.newest = 0

    def run(self) -> None:
        """Live until this life ends."""
        tell("open", life=self.life, **shown(self.desk.status()))
        self.dispatcher.replay(self.desk.status()["published_seq"])
        ended, linked, end_s = False, False, time.monotonic() + _LINK_S
        while not ended:
            turn = self.desk.turn()
            if turn is None:
                if not linked and time.monotonic() > end_s:
                    raise SystemExit(f"the venue gave no first turn within {_LINK_S} s")
                continue
            linked = True
            self.dispatcher.run_once(turn.now_ns)
            if turn.up and not self.resumed:
                self.resume(turn.now_ns)
            if self.life == "kill" and turn.now_ns >= self.plan.kill_at_ns:
                ended = self.kill_drill(turn.now_ns)
            # After the end nobody waits for another turn, and the venue must not either.
            self.desk.end_turn(None if turn.ended else self.dispatcher.wake_ns)
            self.sample(turn.now_ns)
            self.progress(turn.now_ns)
            if self.plan.live:
                self.pace(turn.now_ns)
            ended = ended or turn.ended
        self.finish()

    def pace(self, now_ns: int) -> None:
        """Let real time come up with virtual time; what enters the log stays the same."""
        if self.paced is None:
            self.paced = (time.monotonic(), now_ns)
        from_s, from_ns = self.paced
        due_s = from_s + (now_ns - from_ns) / 1e9 / self.plan.speed
        while (left_s := due_s - time.monotonic()) > 0:
            self.desk.poll(min(left_s, 0.02))

    def resume(self, now_ns: int) -> None:
        """Let strategies go on: the desk is reconciled; the second life is released first."""
        self.resumed = True
        tell("up", now_ns=now_ns, **shown(self.desk.status()))
        if self.life == "crash":
            self.still_killed()
            at_seq = self.desk.status()["published_seq"] + self.plan.crash_after_events
            self.desk.crash_at_seq(at_seq)
            tell("armed", crash_at_seq=at_seq)
        for strategy in self.strategies:
            strategy.resume(now_ns)

    def kill_drill(self, now_ns: int) -> bool:
        """Let new orders wait in the outbox until the switch is engaged; True once all is flat."""
        if self.drill == "wait" and self.held_orders() >= self.plan.kill_waiting_min:
            self.drill = "flat"
            tell("held", now_ns=now_ns, new_orders=self.held_orders(), **shown(self.desk.status()))
            self.until_mode(lambda mode: mode != "open")
            self.until_asked()
            # The killer reads this process's rows: it must not be gone before that.
            self.until_told()
            self.desk.hold_outbox(False)
            tell("killed", now_ns=now_ns, **shown(self.desk.status()))
        elif self.drill == "":
            self.drill = "wait"
            self.newest = max(strategy.newest for strategy in self.strategies)
            self.desk.hold_outbox(True)
        elif self.drill == "flat":
            status = self.desk.status()
            self.flat_turns += 1
            if status["live_orders"] == 0 and status["waiting"] == 0:
                tell("flat", now_ns=now_ns, turns=self.flat_turns, **shown(status))
                return True
        return False

    def still_killed(self) -> None:
        """Show that a restart opens nothing, then wait for two people."""
        verdict = self.desk.submit(
            SYMBOL,
            "buy",
            1,
            Fixed(self.quote()[0]),
            cl_ord_id="probe-1",
            account="MAKER",
            session="MAKER",
        )
        tell(
            "still_killed", verdict=verdict.name, sentence=str(verdict), **shown(self.desk.status())
        )
        self.until_mode(lambda mode: mode == "open")
        tell("released", **shown(self.desk.status()))

    def until_mode(self, wanted: Any) -> None:
        """Serve the control file and the control socket until the desk's mode is as wanted."""
        end_s = time.monotonic() + _WAIT_S
        while not wanted(self.desk.status()["mode"]):
            self.desk.poll(0.001)
            if time.monotonic() > end_s:
                raise SystemExit(f"the kill switch was not moved within {_WAIT_S} s")

    def until_asked(self) -> None:
        """Poll until every cancel that can be asked for now is in the log, however many polls."""
        last, idle = -1, 0
        while idle < _IDLE_POLLS:
            self.desk.poll()
            owed = self.desk.status()["asked_cancels"]
            idle = idle + 1 if owed == last else 0
            last = owed

    def until_told(self) -> None:
        """Serve the control file until the session says to go on."""
        end_s = time.monotonic() + _WAIT_S
        while not select.select([sys.stdin], [], [], 0)[0]:
            self.desk.poll(0.001)
            if time.monotonic() > end_s:
                raise SystemExit(f"the session did not say to go on within {_WAIT_S} s")
        sys.stdin.readline()

    def held_orders(self) -> int:
        """Count the new orders that wait since the outbox is held, and that nobody took back."""
        working = [order for strategy in self.strategies for order in strategy.working.values()]
        return sum(o.order_seq > self.newest and not o.is_parent for o in working)

    def quote(self) -> tuple[int, int]:
        """Best bid and offer as the gate sees them."""
        bid_px, _, ask_px, *_ = self.desk.core.quote(self.instrument_id)
        return bid_px, ask_px

    def sample(self, now_ns: int) -> None:
        """Write the market down once a virtual second, for the plots."""
        last_ns, *last = self.sampled
        if now_ns - last_ns >= _SAMPLE_NS:
            bid_px, ask_px = self.quote()
            if [bid_px, ask_px] != last and NO_PRICE not in (bid_px, ask_px):
                self.sampled = (now_ns, bid_px, ask_px)
                self.quotes.write(QUOTE.pack(*self.sampled))

    def progress(self, now_ns: int) -> None:
        """Tell how far the day is, a few times a second of real time."""
        if time.monotonic() - self.told_s >= _TELL_S:
            self.told_s = time.monotonic()
            tell("at", now_ns=now_ns, decide=decided(self.desk), **shown(self.desk.status()))

    def finish(self) -> None:
        """Tell where this life ended, and close the desk in order."""
        status = self.desk.status()
        given_up = sum(getattr(strategy, "given_up", 0) for strategy in self.strategies)
        waited = sum(getattr(strategy, "waited", 0) for strategy in self.strategies)
        tell(
            "done",
            state_hash=f"{self.desk.state_hash():016x}",
            decide=decided(self.desk),
            given_up=given_up,
            maker_waited=waited,
            **shown(status),
        )
        self.desk.close()


def shown(status: dict[str, Any]) -> dict[str, Any]:
    """Pick what the session shows of a desk's status."""
    names = ["mode", "tier", "epoch", "published_seq", "live_orders", "waiting"]
    names += ["recovered_events", "commands", "refused", "fills"]
    return {name: status[name] for name in names if name in status}


def decided(desk: Any) -> dict[str, Any]:
    """How long decisions took in this process: longest, and the histogram."""
    return {"max_ns": desk.status()["decide_max_ns"], "histogram": desk.latency()}


def main() -> None:
    """Run one life: desk directory, then its name."""
    desk_path, life = Path(sys.argv[1]), sys.argv[2]
    Life(desk_path, life).run()


if __name__ == "__main__":
    main()
