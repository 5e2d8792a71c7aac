"""CPU time and memory of processes, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Positions in /proc/<pid>/stat after the command's closing parenthesis (proc(5) counts from 3 there).
UTIME, CUTIME_AND_CSTIME_END = 11, 15


def tree(root: int) -> list[int]:
    """The process and all its descendants."""
    found = [root]
    for pid in found:
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found.extend(int(child) for child in children.read_text().split())
    return found


def seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes, and of the children they have waited for."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(value) for value in fields[UTIME:CUTIME_AND_CSTIME_END])
    return ticks / TICKS_PER_SECOND


def largest_mb(pids: Iterable[int]) -> float:
    """Resident memory of the largest of the processes."""
    pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return max(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def machine_seconds() -> float:
    """Time that all cores have been busy since start."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:11])
    return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
