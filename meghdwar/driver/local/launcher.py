"""Starts a process and stays beside it, so that nothing that descends from it is ever lost; run as a script of its own.

    python -IS launcher.py ALIVE LOCK GRACE_S -- COMMAND... 2>OUTPUT

It takes the lock of the file ALIVE, writes down who it is, becomes the one that orphans fall to, and runs the command
in the folder and environment that it was given. When the command runs it says "ok", lets go of the descriptor LOCK
and goes to the background. SIGTERM asks what runs to end and kills it after GRACE_S; SIGUSR1 kills it at once. When
its last descendant has ended it writes "ended" into ALIVE and ends too, which frees the lock: then nothing lives.

It imports little, because a start waits for it, and nothing of this package.
"""

import ctypes
import fcntl
import os
import signal
import sys
import time
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36
OURS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1}


def main(alive_path: str, lock: int, grace_s: float, command: list[str]) -> int:
    os.set_inheritable(lock, False)
    alive = os.open(alive_path, os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(1000):  # somebody who looks whether it lives has it for a moment
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(0.001)
    else:
        print("something of it runs already")
        return 1
    heard, said = os.pipe()
    if os.fork():
        os.close(said)
        with os.fdopen(heard) as answer:
            text = answer.read()
        print(text, end="")
        return 0 if text == "ok" else 1
    os.close(heard)
    os.setsid()
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        os.write(said, b"this system cannot keep track of processes (PR_SET_CHILD_SUBREAPER)")
        return 1
    signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
    write_down(alive, f"{os.getpid()} {started()} {boot()}\n")
    os.set_inheritable(alive, True)
    child, error = run(command)
    if error:
        os.waitpid(child, 0)
        write_down(alive, "ended\n")
        os.write(said, error.encode())
        return 1
    os.write(said, b"ok")
    os.close(said)
    os.close(lock)
    for standard in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    attend(child, grace_s)
    write_down(alive, "ended\n")
    return 0


def write_down(alive: int, text: str) -> None:
    os.pwrite(alive, text.ljust(128).encode(), 0)


def started() -> str:
    with open("/proc/self/stat") as file:
        return file.read().rpartition(")")[2].split()[19]


def boot() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def run(command: list[str]) -> tuple[int, str]:
    """The process number, and what went wrong."""
    heard, said = os.pipe()  # closed by the exec that succeeds
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.dup2(2, 1)  # what it says goes where its errors go
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)
            os.execvp(command[0], command)  # noqa: S606 - that is what it is for
        except OSError as error:
            os.write(said, f"{command[0]}: {error.strerror}".encode())
        finally:
            os._exit(127)
    os.close(said)
    with os.fdopen(heard) as answer:
        return child, answer.read()


def attend(child: int, grace_s: float) -> None:
    """Returns when no descendant is left."""
    killing = False
    deadline = float("inf")
    while reap():
        if killing or time.monotonic() >= deadline:
            killing = True
            kill_children()
        wait_s = 0.002 if killing else min(deadline - time.monotonic(), 3600.0)
        heard = signal.sigtimedwait(OURS, max(wait_s, 0.0))
        if heard and heard.si_signo == signal.SIGUSR1:
            killing = True
        elif heard and heard.si_signo == signal.SIGTERM and deadline == float("inf"):
            deadline = time.monotonic() + grace_s
            send(os.killpg, child, signal.SIGTERM)
            if not child_lives(child):  # what runs came from it and is not its group
                for each in children():
                    send(os.kill, each, signal.SIGTERM)


def reap() -> bool:
    """Whether there are descendants still: whoever loses its parent becomes a child of ours."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def child_lives(child: int) -> bool:
    return child in children()


def kill_children() -> None:
    """With their groups, so that what forks quickly does not outrun us. What they leave falls to us, next turn."""
    for each in children():
        try:
            group = os.getpgid(each)
        except ProcessLookupError:
            continue
        if group != os.getpgid(0):
            send(os.killpg, group, signal.SIGKILL)
        send(os.kill, each, signal.SIGKILL)


def send(how, whom: int, what: signal.Signals) -> None:  # type: ignore[no-untyped-def]
    with suppress(ProcessLookupError, PermissionError):
        how(whom, what)


def children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(each) for each in file.read().split()]
    except FileNotFoundError:  # a kernel without that file
        return [each for each in map(int, filter(str.isdigit, os.listdir("/proc"))) if parent(each) == os.getpid()]


def parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[5:]))
