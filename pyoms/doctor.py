"""What the machine gives a desk and what it withholds: found, why it matters, what mends it.

Called by `pyoms doctor` and, for its notes, by `pyoms run`. Reads files below a root and runs two
clock tools; changes nothing but one scratch file for the disk check. What must stay true: a check
that cannot be made says so and never raises, so one odd machine cannot hide the other findings.
Standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

STATES = ("ok", "warn", "bad", "unknown")
"""``bad`` means the desk cannot run as configured; ``warn`` costs latency or certainty."""

CPU_FLAGS = frozenset(
    ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "sse4_2", "popcnt"]
)
"""What the baseline x86-64-v3 needs, as /proc/cpuinfo names it."""

SYNCS = 40
"""Synced writes of the disk check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    name: str
    state: str
    found: str
    why: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where to look; tests give a tree of their own.

    `run` executes a command and returns its output, empty when there is no such command.
    """

    root: Path = Path("/")
    desk: Path = Path()
    ring_mib: int = 64
    run: Callable[[Sequence[str]], str] | None = None

    def read(self, path: str) -> str:
        """Text of a small file, stripped; empty when it is not there."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return ""

    def output(self, *command: str) -> str:
        """Output of a command, empty when it is missing or fails."""
        if self.run is not None:
            return self.run(command)
        if shutil.which(command[0]) is None:
            return ""
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=5, check=False, env=_plain_env()
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""


def _plain_env() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}


def governor(machine: Machine) -> Finding:
    """Frequency governor of every core."""
    files = (machine.root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({file.read_text().strip() for file in files})
    why = "a core that slows down between orders adds microseconds to the next one"
    if not found:
        told = "no frequency control here (a virtual machine, or fixed in the BIOS)"
        return Finding(name="governor", state="unknown", found=told, why=why)
    fine = found == ["performance"]
    return Finding(
        name="governor",
        state="ok" if fine else "warn",
        found=", ".join(found),
        why=why,
        mend="" if fine else "sudo cpupower frequency-set -g performance",
    )


def _chosen(text: str) -> str:
    return text.partition("[")[2].partition("]")[0]


def transparent_huge_pages(machine: Machine) -> Finding:
    """Whether tables may get 2 MiB pages by asking."""
    chosen = _chosen(machine.read("sys/kernel/mm/transparent_hugepage/enabled"))
    fine = chosen in ("madvise", "always")
    return Finding(
        name="thp",
        state="ok" if fine else "warn" if chosen else "unknown",
        found=chosen or "not told by this kernel",
        why="order, id and position tables on 4 KiB pages cost up to 1.8 times on random access",
        mend="" if fine else "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
    )


def huge_pages(machine: Machine) -> Finding:
    """Huge pages for the ring in shared memory."""
    chosen = _chosen(machine.read("sys/kernel/mm/transparent_hugepage/shmem_enabled"))
    rows = dict(
        line.split(":", 1) for line in machine.read("proc/meminfo").splitlines() if ":" in line
    )
    reserved = rows.get("HugePages_Total", "").strip()
    fine = chosen in ("advise", "always", "within_size", "force")
    return Finding(
        name="huge_pages",
        state="ok" if fine else "warn" if chosen or reserved else "unknown",
        found=f"shared memory: {chosen or 'not told'}, reserved pages: {reserved or 'not told'}",
        why="the ring on 4 KiB pages costs page-table walks on every wrap",
        mend=""
        if fine
        else "echo advise | sudo tee /sys/kernel/mm/transparent_hugepage/shmem_enabled",
    )


def isolated_cores(machine: Machine) -> Finding:
    """Cores the kernel keeps free of other work."""
    isolated = machine.read("sys/devices/system/cpu/isolated")
    online = machine.read("sys/devices/system/cpu/online")
    return Finding(
        name="isolated_cores",
        state="ok" if isolated else "warn",
        found=f"isolated: {isolated or 'none'}, online: {online or 'not told'}",
        why="the kernel may run anything on the engine's core; that is where p99.9 comes from",
        mend="" if isolated else "boot with isolcpus=2,3 nohz_full=2,3, then [engine] cpu = 2",
    )


def clock_source(machine: Machine) -> Finding:
    """Whether the kernel itself trusts the time stamp counter."""
    source = machine.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
    fine = source == "tsc"
    return Finding(
        name="clock_source",
        state="ok" if fine else "warn" if source else "unknown",
        found=source or "not told by this kernel",
        why="reading another clock source costs 20 to 1,000 times as much as the TSC",
        mend=""
        if fine
        else "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource",
    )


def memlock(machine: Machine) -> Finding:
    """Memory the desk may lock, of this process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    needed = machine.ring_mib << 20
    fine = soft == resource.RLIM_INFINITY or soft >= needed
    return Finding(
        name="memlock",
        state="ok" if fine else "warn",
        found="unlimited" if soft == resource.RLIM_INFINITY else f"{soft >> 10} KiB",
        why=f"a ring of {machine.ring_mib} MiB that cannot be locked may be paged out",
        mend="" if fine else "ulimit -l unlimited (LimitMEMLOCK=infinity in the service)",
    )


def shared_memory(machine: Machine) -> Finding:
    """Room in /dev/shm for the ring."""
    at = machine.root / "dev/shm"
    why = f"the ring of {machine.ring_mib} MiB lives there; a full one stops the start"
    try:
        stat = os.statvfs(at)
    except OSError as error:
        told = f"{at}: {error.strerror}"
        return Finding(
            name="shm", state="bad", found=told, why=why, mend="sudo mount -t tmpfs tmpfs /dev/shm"
        )
    total, free = stat.f_blocks * stat.f_frsize >> 20, stat.f_bavail * stat.f_frsize >> 20
    fine = free >= machine.ring_mib + 16 and os.access(at, os.W_OK)
    return Finding(
        name="shm",
        state="ok" if fine else "bad",
        found=f"{free} MiB free of {total} MiB" + ("" if os.access(at, os.W_OK) else ", read-only"),
        why=why,
        mend="" if fine else f"sudo mount -o remount,size={machine.ring_mib * 2 + 64}M /dev/shm",
    )


def clock_offset(machine: Machine) -> Finding:
    """How the wall clock is kept: PTP devices, chrony, or systemd's own client."""
    ptp = sorted(path.name for path in (machine.root / "dev").glob("ptp[0-9]*"))
    devices = f"; PTP devices: {', '.join(ptp)}" if ptp else "; no PTP device"
    why = "regulators ask for bounded UTC; a clock that steps is recorded as a clock anomaly"
    tracking = machine.output("chronyc", "-n", "tracking")
    for line in tracking.splitlines():
        if line.startswith("System time"):
            told = line.partition(":")[2].strip()
            seconds = float(told.split()[0])
            fine = seconds < 100e-6
            return Finding(
                name="clock_offset",
                state="ok" if fine else "warn",
                found=f"chrony: {told}{devices}",
                why=why,
                mend="" if fine else "sudo chronyc makestep (before the session, never in it)",
            )
    synced = machine.output("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if synced in ("yes", "no"):
        return Finding(
            name="clock_offset",
            state="ok" if synced == "yes" else "warn",
            found=f"systemd: synchronised {synced}, offset not told{devices}",
            why=why,
            mend="" if synced == "yes" else "sudo timedatectl set-ntp true, better: install chrony",
        )
    return Finding(
        name="clock_offset",
        state="warn",
        found=f"neither chrony nor systemd answers{devices}",
        why=why,
        mend="sudo apt-get install chrony",
    )


def disk(machine: Machine) -> Finding:
    """Latency of a synced 4 KiB write in the desk directory, or where it would be made."""
    at = machine.desk.absolute()
    while not at.is_dir() and at != at.parent:
        at = at.parent
    why = "tier disk waits for this once a group; a slow disk is added to every order there"
    try:
        latencies = _sync_latencies_us(at)
    except OSError as error:
        told = f"{at}: {error.strerror}"
        return Finding(
            name="disk", state="bad", found=told, why=why, mend="give --desk a writable directory"
        )
    p50, worst = latencies[len(latencies) // 2], latencies[-1]
    kind = _filesystem(machine, at)
    memory = kind in ("tmpfs", "ramfs")
    fine = p50 <= 500 and not memory
    return Finding(
        name="disk",
        state="ok" if fine else "warn",
        found=f"{at} ({kind or 'unknown filesystem'}): write + fdatasync p50 {p50:.0f} us, "
        f"max {worst:.0f} us of {len(latencies)}",
        why=why,
        mend="" if fine else "put the desk directory on a disk with power-loss protection",
    )


def _sync_latencies_us(at: Path) -> list[float]:
    block, latencies = b"\0" * 4096, []
    handle, name = tempfile.mkstemp(prefix=".doctor-", dir=at)
    try:
        os.pwrite(handle, block * SYNCS, 0)
        os.fsync(handle)
        for i in range(SYNCS):
            start = time.perf_counter_ns()
            os.pwrite(handle, block, i * len(block))
            os.fdatasync(handle)
            latencies.append((time.perf_counter_ns() - start) / 1_000)
    finally:
        os.close(handle)
        with contextlib.suppress(OSError):
            Path(name).unlink()
    return sorted(latencies)


def _filesystem(machine: Machine, at: Path) -> str:
    """Type of the filesystem that holds `at`: the longest mount point above it."""
    best, kind = "", ""
    for line in machine.read("proc/mounts").splitlines():
        fields = line.split()
        if len(fields) >= 3 and len(fields[1]) >= len(best) and at.is_relative_to(fields[1]):
            best, kind = fields[1], fields[2]
    return kind


def cpu_features(machine: Machine) -> Finding:
    """Instruction sets of the baseline, and a TSC that keeps its rate."""
    flags: set[str] = set()
    model = ""
    for line in machine.read("proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            flags = set(value.split())
        elif key.strip() == "model name":
            model = value.strip()
        if flags and model:
            break
    why = "the core is compiled for x86-64-v3 and stops with SIGILL without it"
    if not flags:
        return Finding(name="cpu", state="unknown", found="/proc/cpuinfo tells no flags", why=why)
    missing = sorted(CPU_FLAGS - flags)
    steady = {"constant_tsc", "nonstop_tsc"} <= flags
    state = "bad" if missing else "ok" if steady else "warn"
    told = f"missing {' '.join(missing)}" if missing else "x86-64-v3"
    told += "" if steady else ", TSC not told to be steady"
    told += ", AVX-512" if "avx512f" in flags else ""
    mend = {
        "bad": "build for this CPU: target-cpu=native in .cargo/config.toml and setup.py",
        "warn": "in a virtual machine: pass invtsc through to the guest",
    }
    return Finding(
        name="cpu",
        state=state,
        found=f"{model}: {told}".lstrip(": "),
        why=why,
        mend=mend.get(state, ""),
    )


CHECKS: tuple[Callable[[Machine], Finding], ...] = (
    cpu_features,
    governor,
    isolated_cores,
    transparent_huge_pages,
    huge_pages,
    clock_source,
    clock_offset,
    memlock,
    shared_memory,
    disk,
)
"""Every check, in the order of the report."""


def examine(machine: Machine) -> list[Finding]:
    """Run every check; one that breaks becomes a finding itself."""
    findings = []
    for check in CHECKS:
        try:
            findings.append(check(machine))
        except Exception as error:
            told = f"the check failed: {error.__class__.__name__}: {error}"
            name = check.__name__
            findings.append(Finding(name=name, state="unknown", found=told, why="not known here"))
    return findings


def report(findings: list[Finding]) -> dict[str, object]:
    """Make the object that ``--json`` prints; `ok` is false when anything is bad."""
    return {
        "ok": all(finding.state != "bad" for finding in findings),
        "checks": [asdict(finding) for finding in findings],
    }
