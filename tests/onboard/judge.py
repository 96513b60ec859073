"""Reads packages one after another in processes of their own, and says of each what came of it and what it cost.

`python -m tests.onboard.judge FOLDER` prints JSON, by name of file: codes of the errors, cpu_s, memory_mb, and what it
tried that a reader of packages must not do: reach for the network, start a program, write a file. For files that are
called trusted-*, FOLDER/root.pem is trusted.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from meghdwar.onboard import package

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.mkdir", "os.rename", "os.remove",
    "os.symlink", "os.link", "os.chmod", "os.chown", "shutil.", "urllib.", "http.", "ctypes.", "tempfile.",
)  # fmt: skip


def judged(path: Path) -> dict[str, Any]:
    """What `read` makes of one file, in a child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            json.dump(_read(path), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return dict(json.loads(text))


def _read(path: Path) -> dict[str, Any]:
    tried: list[str] = []

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            tried.append(f"open {arguments[0]}")
        elif event.startswith(_FORBIDDEN):
            tried.append(f"{event} {arguments}")

    sys.addaudithook(watch)
    begin = time.process_time()
    roots = [path.with_name("root.pem")] if path.name.startswith("trusted-") else []
    found, diagnostics = package.read(path, roots=roots)
    cost = time.process_time() - begin
    return {
        "codes": [d.rule.code for d in diagnostics if d.is_error],
        "messages": [d.message for d in diagnostics if d.is_error],
        "helps": [d.help for d in diagnostics],
        "accepted": found is not None,
        "cpu_s": cost,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "tried": tried,
    }


if __name__ == "__main__":
    print(json.dumps({path.name: judged(path) for path in sorted(Path(sys.argv[1]).glob("*.csar"))}))
