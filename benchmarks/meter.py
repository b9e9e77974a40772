"""What processes cost: processor seconds and memory, from /proc. Linux only; elsewhere all figures are 0."""

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
# How the stack's programs are told apart by their command lines; the first that fits names the part.
PARTS = (
    ("granian", "web"),
    ("celery", "worker"),
    ("gateway.paper", "gateway"),
    ("postgres", "postgres"),
    ("valkey", "valkey"),
    ("checkpoint", "notary"),
)


def family(root: int) -> list[int]:
    """A process and all that descend from it; ourselves alone where we are asked about, for others descend from us."""
    if root == os.getpid():
        return [root]
    children: dict[int, list[int]] = {}
    for directory in PROC.glob("[0-9]*"):
        fields = _fields(int(directory.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(directory.name))
    found, todo = [], [root]
    while todo:
        process = todo.pop()
        found.append(process)
        todo.extend(children.get(process, ()))
    return found


def part_of(process: int) -> str:
    """Which part of the stack a process is."""
    try:
        words = (PROC / str(process) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        words = ""
    if "celery" in words and " beat" in words:
        return "beat"
    return next((part for sign, part in PARTS if sign in words), "rest")


def processor_seconds(processes: Iterable[int]) -> dict[str, float]:
    """By part; with what their ended children used."""
    spent: dict[str, float] = {}
    for process in processes:
        if fields := _fields(process):
            part = part_of(process)
            spent[part] = spent.get(part, 0.0) + (int(fields[11]) + int(fields[12])) / TICKS
    return spent


def megabytes(processes: Iterable[int]) -> dict[str, float]:
    """By part: resident, what is shared counted in shares."""
    held: dict[str, float] = {}
    for process in processes:
        try:
            lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
        held[part_of(process)] = held.get(part_of(process), 0.0) + kilobytes / 1024
    return held


def _fields(process: int) -> list[str]:
    """Of /proc/…/stat, from the state on: [0] state, [1] parent, [11] user and [12] system time in ticks."""
    try:
        return (PROC / str(process) / "stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []
