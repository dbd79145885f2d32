"""Deliberate bugs: the table of them is whole, and a sample of them is caught, each by name.

`tools/mutants` builds the crates with the feature `mutants` and runs the tests that the table
names; `make verify` runs all of it.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.test_corners import names

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = tomllib.loads((ROOT / "tests/data/mutants.toml").read_text())["mutant"]


def test_every_mutant_says_what_it_breaks_and_names_catchers_that_exist():
    there = names()
    for row in MUTANTS:
        assert row["what"].endswith("."), row
        assert row["breaks"], row
        assert all(re.fullmatch(r"[ICF]\d+", broken) for broken in row["breaks"]), row
        catchers = row.get("tests", []) + row.get("oracle", [])
        assert catchers or row.get("simulator"), row
        assert set(catchers) <= there, set(catchers) - there


def test_an_unknown_mutant_is_refused_by_name():
    done = subprocess.run(
        [ROOT / "tools/mutants", "no_such_bug"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no such mutant: no_such_bug" in done.stderr


@pytest.mark.slow
def test_a_sample_of_deliberate_bugs_is_caught_and_the_right_code_is_not():
    done = subprocess.run(
        [ROOT / "tools/mutants", "--sample", "--all"], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["control"] == [], "red without a mutant"
    assert report["survived"] == []
    assert report["missed"] == {}
    assert report["caught"] == len([row for row in MUTANTS if row.get("sample")])
    assert done.returncode == 0
