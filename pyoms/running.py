"""`pyoms run`: one desk on one configuration, until a signal ends it in order.

Called by the command. The engine runs on this thread, inline, with the journal on a thread of its
own; strategies named in the configuration are called between its rounds. What must stay true:
SIGTERM and SIGINT end it in order, and an order is never sent for a strategy that failed.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pyoms.config import StrategyConfig, load
from pyoms.errors import ConfigError
from pyoms.oms import open_desk
from pyoms.strategy import Dispatcher, Strategy

_ROUND_S = 0.05


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
    target = desk / "desk.toml"
    if not (target.exists() and target.samefile(config)):
        fresh = desk / f".desk.toml.{os.getpid()}"
        fresh.write_bytes(config.read_bytes())
        fresh.replace(target)


def run(config: Path, desk_path: Path, *, tell: Callable[[dict[str, Any]], None]) -> None:
    """Run the desk until SIGTERM or SIGINT."""
    settings = load(config)
    desk_path.mkdir(parents=True, exist_ok=True)
    strategies = [strategy_of(row, str(config)) for row in settings.strategies if row.entry]
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: stop.append(got))
    with open_desk(settings, desk_path) as desk:
        keep_config(config, desk_path)
        status = desk.status()
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
        dispatcher = Dispatcher(desk, strategies)
        dispatcher.replay()
        was_open = False
        while not stop:
            desk.poll(_ROUND_S)
            if strategies:
                dispatcher.run_once()
                desk.flush()
            if desk.is_open() == was_open:
                continue
            was_open = not was_open
            tell({"event": "open" if was_open else "closed", **_links(desk.status())})
            for strategy in strategies if was_open else ():
                if isinstance(strategy, Resumes):
                    strategy.resume(desk.now_ns)
        status = desk.status()
    tell(
        {
            "event": "stopped",
            "by": signal.Signals(stop[0]).name,
            "event_seq": status["published_seq"],
            "live_orders": status["live_orders"],
        }
    )


def _links(status: dict[str, Any]) -> dict[str, Any]:
    return {"mode": status["mode"], **{link["venue"]: link["state"] for link in status["links"]}}
