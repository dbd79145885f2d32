"""Writes the reference pages that Python knows: docs/commands.md and docs/configuration.md.

Called by `tools/docs` and by the test that compares the pages in the tree byte for byte. Both come
from the code itself: the commands from their own options, the configuration's keys from a reading
of the examples in which every key that is asked for is noted with its rule. What must stay true: a
page depends on the sources alone, not on the machine or the day.
"""

from __future__ import annotations

import json
import sys
import zoneinfo
from pathlib import Path
from typing import Any

import typer.main

from pyoms import commands, config

ROOT = Path(__file__).parents[1]
EXAMPLES = ("desk.toml", "schedule.toml")
NOTE = "Written by `make docs` from {}; never edited.\n"


def cell(text: Any) -> str:
    """Write a text so that a table's cell holds it."""
    return " ".join(str(text).split()).replace("|", "\\|")


def commands_page() -> str:
    """Give the page of every verb, its arguments and options."""
    app: Any = typer.main.get_command(commands.app)
    parts = ["# Commands\n\n" + NOTE.format("the verbs of `pyoms`") + "\n" + app.help + "\n"]
    verbs = []
    for name, command in app.commands.items():
        nested = getattr(command, "commands", None)
        verbs += [(f"{name} {sub}", verb) for sub, verb in (nested or {}).items()]
        verbs += [] if nested else [(name, command)]
    parts += [verb_text(name, verb) for name, verb in sorted(verbs)]
    return "\n".join(parts)


def verb_text(name: str, verb: Any) -> str:
    """Tell one verb."""
    lines = [f"## `pyoms {name}`\n", (verb.help or "").strip() + "\n"]
    rows = [param_row(param) for param in verb.params if param.name != "help"]
    if rows:
        lines += ["| | value | default | |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def param_row(param: Any) -> str:
    """Tell one argument or option as a row."""
    is_argument = param.param_type_name == "argument"
    name = param.metavar or param.name.upper()
    shown_name = name if is_argument else ", ".join(param.opts)
    kind = "" if is_argument or getattr(param, "is_flag", False) else value_of(param)
    default = "needed" if param.required else param.default
    shown = "" if default in (None, False) or callable(default) else default
    return f"| `{shown_name}` | {kind} | {cell(shown)} | {cell(param.help or '')} |"


def value_of(param: Any) -> str:
    """Name what an option takes, with its bounds."""
    kind = param.metavar.lower() if param.metavar else "text" if param.min is None else "number"
    bounds = param.min is not None and param.max is not None
    return f"{kind}, {param.min} to {param.max}" if bounds else kind


class Noted:
    """Notes each key that a reading takes, with its rule, once and in order."""

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, tuple[str, str]]] = {}

    def note(self, path: str, key: str, rule: str, default: Any) -> None:
        """Note one key of a section."""
        section = self.sections.setdefault(section_of(path), {})
        told = "needed" if default is ... else plain(default)
        if key not in section or not section[key][0]:
            section[key] = (rule, told)


def section_of(path: str) -> str:
    """Give a section without the numbers of its rows, and a person without a name."""
    if path.startswith("people."):
        return "people.NAME"
    return ".".join(part.split("[")[0] for part in path.split("."))


def plain(value: Any) -> str:
    """Write a default as TOML would."""
    if value is None:
        return ""
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def shown_bound(value: int) -> str:
    """Write a bound with its thousands apart."""
    return f"{value:,}".replace(",", "_")


class NotingTable(config._Table):  # noqa: SLF001  the reader's own table, watched
    """A table that notes what it is asked for."""

    notes = Noted()

    def take(self, key: str, default: Any = ...) -> Any:
        """Take a key without a rule of its own."""
        self.notes.note(self.path, key, "table" if default == {} else "", default)
        return super().take(key, default)

    def cpu(self) -> int | None:
        """Note a processor."""
        self.notes.note(self.path, "cpu", "integer, 0 to 1_023", None)
        return super().cpu()

    def text(self, key: str, default: Any = ..., *, size_max: int = 36, empty: bool = False) -> str:
        """Note a text and its bound."""
        self.notes.note(self.path, key, f"text of up to {size_max} characters", default)
        return super().text(key, default, size_max=size_max, empty=empty)

    def choice(self, key: str, allowed: Any, default: Any = ...) -> str:
        """Note what may be chosen."""
        names = list(allowed)
        self.notes.note(self.path, key, ", ".join(f"`{name}`" for name in names), default)
        return super().choice(key, names, default)

    def name_of(self, key: str, what: str, names: Any, default: Any = ...) -> str:
        """Note what it names."""
        self.notes.note(self.path, key, f"name of a {what}", default)
        return super().name_of(key, what, names, default)

    def power_of_two(self, key: str, low: int, high: int, default: int) -> int:
        """Note a power of two."""
        bounds = f"power of two, {shown_bound(low)} to {shown_bound(high)}"
        self.notes.note(self.path, key, bounds, default)
        return super().power_of_two(key, low, high, default)

    def integer(self, key: str, low: int, high: int, default: Any = ...) -> int:
        """Note an integer and its bounds."""
        bounds = f"integer, {shown_bound(low)} to {shown_bound(high)}"
        self.notes.note(self.path, key, bounds, default)
        return super().integer(key, low, high, default)

    def flag(self, key: str, default: bool) -> bool:
        """Note a switch."""
        self.notes.note(self.path, key, "`true` or `false`", default)
        return super().flag(key, default)

    def fixed(self, key: str, default: Any = ..., *, low: int = 1) -> int:
        """Note a decimal."""
        sign = "above 0" if low == 1 else "at least 0"
        self.notes.note(self.path, key, f"decimal text or integer, {sign}", default)
        return super().fixed(key, default, low=low)

    def limit(self, key: str, *, fixed: bool) -> int:
        """Note a limit."""
        unit = "decimal text or integer" if fixed else "whole units of desk currency"
        self.notes.note(self.path, key, f'{unit}, or `"unlimited"`', ...)
        return super().limit(key, fixed=fixed)

    def clock(self, key: str, default: Any = ..., *, low: int = -86_400, high: int = 86_400) -> int:
        """Note a time of the day."""
        before = ', `"-1d HH:MM"` on the day before' if low < 0 else ""
        self.notes.note(self.path, key, f'`"HH:MM"` or `"HH:MM:SS"`{before}', default)
        return super().clock(key, default, low=low, high=high)

    def list_of(self, key: str, what: str, default: Any = ()) -> list[Any]:
        """Note a list."""
        self.notes.note(self.path, key, f"list of {what}", tuple(default))
        return super().list_of(key, what, default)


def configuration_page() -> str:
    """Give the page of every section and key, as a reading of the examples asks for them."""
    NotingTable.notes = Noted()
    own = config._Table  # noqa: SLF001
    config._Table = NotingTable  # type: ignore[misc]  # noqa: SLF001
    try:
        for name in EXAMPLES:
            config.load(ROOT / "examples" / name)
    finally:
        config._Table = own  # type: ignore[misc]  # noqa: SLF001
    parts = [
        "# Configuration\n\n"
        + NOTE.format("the keys that the reader asks for")
        + "\n`examples/desk.toml` and `examples/schedule.toml` show them in place; "
        "`pyoms config check FILE` names what is\nwrong with file, line, key, value and what is "
        "allowed. `[[...]]` may stand several times.\n"
    ]
    for section, keys in NotingTable.notes.sections.items():
        if section == "desk.rates" or section.endswith("early_close"):
            continue
        parts.append(section_text(section, keys))
    return "\n".join(parts)


MANY = (
    *("class", "instrument", "account", "trader", "limit"),
    *("venue", "session", "strategy"),
)


def section_text(section: str, keys: dict[str, tuple[str, str]]) -> str:
    """Tell one section."""
    many = section in MANY or section.endswith(".session")
    title = f"[[{section}]]" if many else f"[{section}]"
    rows = [f"| `{key}` | {cell(rule)} | {told} |" for key, (rule, told) in keys.items()]
    return "\n".join([f"## `{title}`\n", "| key | value | default |", "|---|---|---|", *rows, ""])


def main(out: Path) -> None:
    """Write both pages into a directory."""
    if not zoneinfo.available_timezones():
        raise SystemExit("this machine has no zone database: install tzdata")
    (out / "commands.md").write_text(commands_page())
    (out / "configuration.md").write_text(configuration_page())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
