"""The reference pages in the tree are what their sources say, byte for byte (`make docs`).

Records, verdicts, order states and queue priority are compared by the crates that write them.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("commands.md", "configuration.md")


def test_the_pages_of_commands_and_configuration_are_what_the_code_says(tmp_path):
    command = [sys.executable, str(ROOT / "tools/reference.py"), str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(PAGES)
    for page in PAGES:
        written, committed = (tmp_path / page).read_text(), (ROOT / "docs" / page).read_text()
        assert written == committed, f"docs/{page}: run make docs"


def test_every_verb_and_every_key_of_the_examples_is_on_its_page():
    commands, keys = ((ROOT / "docs" / page).read_text() for page in PAGES)
    for verb in (
        "run",
        "close-day",
        "config check",
        "config days",
        "venue sim",
        "sim",
        "release",
        "limits show",
        "limits set",
        "limits approve",
        "limits history",
    ):
        assert f"## `pyoms {verb}`" in commands
    for example in ("desk.toml", "schedule.toml"):
        for line in (ROOT / "examples" / example).read_text().splitlines():
            key = line.split("=")[0].strip()
            if "=" in line and key.isidentifier() and "params" not in line and key != "alice":
                assert f"| `{key}` |" in keys or key in ("bob", "carol"), key
