"""Programs that outlive the command that started them, each known by its process id and the time it was started."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path


def tag(state: Path) -> str:
    """Six letters for the names of what has to be told apart on the whole machine: namespaces, network devices."""
    return hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:6]


def run(argv: Sequence[str | Path], *, check: bool = True, timeout_s: float = 60) -> str:
    """What a command printed. Raises RuntimeError with its complaint when it failed."""
    try:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"cannot run {argv[0]}: no answer within {timeout_s:g} s") from None
    if check and done.returncode:
        raise RuntimeError(f"cannot run {' '.join(map(str, argv))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def start(argv: Sequence[str | Path], pid_file: Path, log: Path, env: dict[str, str] | None = None) -> int:
    """Starts a program in a session of its own, unless the one of `pid_file` still runs."""
    running = alive(pid_file)
    if running:
        return running
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env={**os.environ, **(env or {})},
        )
    pid_file.write_text(f"{child.pid} {_started(child.pid)}\n")
    return child.pid


def alive(pid_file: Path) -> int:
    """The process id of a program that `start` has started, 0 when it is gone; a number used again does not count."""
    try:
        pid, started = pid_file.read_text().split()
    except (OSError, ValueError):
        return 0
    return int(pid) if _started(int(pid)) == started else 0


def stop(pid_file: Path, within_s: float = 10) -> None:
    """Ends it: a request first, SIGKILL when that takes longer."""
    pid = alive(pid_file)
    if pid:
        end([pid], within_s)
    pid_file.unlink(missing_ok=True)


def end(pids: Iterable[int], within_s: float = 10) -> None:
    """Ends these processes, with SIGTERM, and with SIGKILL those that are still there after `within_s`."""
    there = {pid: _started(pid) for pid in pids}

    def left() -> list[int]:
        return [pid for pid, since in there.items() if since and _started(pid) == since]

    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left():
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        wait_until(lambda: not left(), within_s)


def wait_until(there: Callable[[], bool], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not there():
        if time.monotonic() > deadline:
            return False
        _reap()
        time.sleep(0.02)
    return True


def within(namespace: str, kind: str = "mnt") -> list[int]:
    """The processes of a namespace, such as mnt:[4026532281], and all their descendants."""
    parents: dict[int, int] = {}
    inside = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if os.readlink(entry / "ns" / kind) == namespace:
                inside.add(int(entry.name))
        except OSError:
            continue
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in inside and pid not in inside}
        inside |= more
        grown = bool(more)
    return sorted(inside - {os.getpid()})


def _reap() -> None:
    """Children of ours that have ended are no longer there."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _started(pid: int) -> str:
    """When a process was started, in ticks since boot; nothing for one that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
