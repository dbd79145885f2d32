"""`pyoms doctor`: every finding from a machine made of files."""

from pathlib import Path

import pytest

from pyoms import doctor

FLAGS = " ".join(sorted(doctor.CPU_FLAGS)) + " constant_tsc nonstop_tsc"
GOOD = {
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/isolated": "2-3\n",
    "sys/devices/system/cpu/online": "0-3\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "sys/kernel/mm/transparent_hugepage/shmem_enabled": "always [advise] never\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    "proc/meminfo": "MemTotal: 1 kB\nHugePages_Total:       4\n",
    "proc/cpuinfo": f"model name : Test CPU\nflags : {FLAGS}\n",
    "dev/ptp0": "",
    "dev/shm/keep": "",
}
CHRONY = "Reference ID    : A9FEA97B\nSystem time     : {} seconds slow of NTP time\n"


def machine(tmp_path, changes=None, outputs=None):
    for path, text in {**GOOD, **(changes or {})}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            file.write_text(text)
    outputs = {"chronyc": CHRONY.format("0.000000123"), **(outputs or {})}
    return doctor.Machine(
        root=tmp_path, desk=tmp_path, ring_mib=1, run=lambda command: outputs.get(command[0], "")
    )


def found(machine, name):
    return next(f for f in doctor.examine(machine) if f.name == name)


def test_good_machine_is_good_and_every_check_reports_once(tmp_path):
    findings = doctor.examine(machine(tmp_path))
    slow_disk = {"disk"}  # the one check that measures the machine the tests run on
    assert {f.name for f in findings if f.state != "ok"} <= slow_disk
    assert len({f.name for f in findings}) == len(doctor.CHECKS)
    assert doctor.report(findings)["ok"]


@pytest.mark.parametrize(
    ("path", "text", "name", "state", "told"),
    [
        (
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor",
            "powersave",
            "governor",
            "warn",
            "performance, powersave",
        ),
        ("sys/devices/system/cpu/isolated", "\n", "isolated_cores", "warn", "isolated: none"),
        (
            "sys/kernel/mm/transparent_hugepage/enabled",
            "always madvise [never]",
            "thp",
            "warn",
            "never",
        ),
        ("sys/kernel/mm/transparent_hugepage/enabled", "", "thp", "unknown", "not told"),
        (
            "sys/kernel/mm/transparent_hugepage/shmem_enabled",
            "[never]",
            "huge_pages",
            "warn",
            "never",
        ),
        (
            "sys/devices/system/clocksource/clocksource0/current_clocksource",
            "hpet",
            "clock_source",
            "warn",
            "hpet",
        ),
        ("proc/cpuinfo", "flags : sse4_2", "cpu", "bad", "missing abm avx avx2"),
        (
            "proc/cpuinfo",
            f"flags : {FLAGS.replace('nonstop_tsc', '')}",
            "cpu",
            "warn",
            "not told to be steady",
        ),
        ("proc/cpuinfo", "", "cpu", "unknown", "no flags"),
    ],
)
def test_what_is_withheld_is_told_with_its_remedy(tmp_path, path, text, name, state, told):
    finding = found(machine(tmp_path, {path: text}), name)
    assert finding.state == state
    assert told in finding.found
    assert finding.why
    assert finding.mend or state == "unknown"


@pytest.mark.parametrize(
    ("outputs", "state", "told"),
    [
        ({}, "ok", "chrony: 0.000000123 seconds slow of NTP time; PTP devices: ptp0"),
        ({"chronyc": CHRONY.format("0.5")}, "warn", "0.5 seconds"),
        ({"chronyc": "", "timedatectl": "yes"}, "ok", "synchronised yes"),
        ({"chronyc": "", "timedatectl": "no"}, "warn", "synchronised no"),
        ({"chronyc": ""}, "warn", "neither chrony nor systemd"),
        ({"chronyc": "System time : soon"}, "unknown", "the check failed: ValueError"),
    ],
)
def test_clock_is_asked_of_chrony_then_systemd(tmp_path, outputs, state, told):
    finding = found(machine(tmp_path, outputs=outputs), "clock_offset")
    assert finding.state == state
    assert told in finding.found


def test_disk_is_measured_where_the_desk_will_be_and_leaves_nothing(tmp_path):
    at = tmp_path / "desk"
    at.mkdir()
    mounts = {"proc/mounts": f"/dev/a / ext4 rw 0 0\n/dev/b {tmp_path} xfs rw 0 0\n"}
    whole = machine(tmp_path, mounts)
    finding = found(doctor.Machine(root=tmp_path, desk=at / "not" / "yet", run=whole.run), "disk")
    assert finding.state in ("ok", "warn")
    assert finding.found.startswith(f"{at} (xfs): write + fdatasync p50 ")
    assert finding.found.endswith(f"us of {doctor.SYNCS}")
    assert list(at.iterdir()) == []


def test_unwritable_desk_directory_is_bad(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    finding = found(machine(tmp_path), "disk")
    assert (finding.state, finding.found) == ("bad", f"{tmp_path}: Permission denied")


def test_ring_that_does_not_fit_shared_memory_is_bad(tmp_path):
    whole = machine(tmp_path)
    narrow = doctor.Machine(root=tmp_path, desk=tmp_path, ring_mib=2**40, run=whole.run)
    findings = doctor.examine(narrow)
    assert {f.name for f in findings if f.state == "bad"} == {"shm"}
    assert not doctor.report(findings)["ok"]


def test_bare_machine_yields_findings_and_no_exception(tmp_path):
    bare = doctor.Machine(root=tmp_path, desk=tmp_path / "a" / "b", run=lambda _: "")
    findings = doctor.examine(bare)
    assert len(findings) == len(doctor.CHECKS)
    assert all(f.state in doctor.STATES for f in findings)
    assert list(tmp_path.iterdir()) == []  # the disk check took its file away


def test_a_check_that_breaks_becomes_a_finding(monkeypatch):
    def broken(_):
        raise ZeroDivisionError("odd machine")

    monkeypatch.setattr(doctor, "CHECKS", (broken,))
    (finding,) = doctor.examine(doctor.Machine(root=Path("/nonexistent")))
    assert (finding.name, finding.state) == ("broken", "unknown")
    assert "ZeroDivisionError: odd machine" in finding.found
