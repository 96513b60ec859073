"""The same descriptor gives the same bytes, wherever and however it is compiled, and nothing else is looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DESCRIPTORS = [
    *sorted((ROOT / "tosca/examples").glob("*.tosca.yaml")),
    *sorted((ROOT / "tests/golden").glob("*/service.yaml")),
]

DIGESTS = """
import json, sys
from meghdwar.compiler import compile_file

def digest(path, target):
    result = compile_file(path, target=target)
    said = [[item.rule.code, item.span.line, item.span.column, item.message, item.help] for item in result.diagnostics]
    return [result.bundle.digest if result.bundle else "", said]

print(json.dumps([[digest(path, target) for target in ("senlin", "static", "asg")] for path in sys.argv[1:]]))
"""


def run(script: str, paths: Iterable[str], folder: Path, **environment: str) -> str:
    child = subprocess.run(
        [sys.executable, "-c", script, *paths],
        cwd=folder, env={"PYTHONPATH": str(ROOT), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == 0, child.stderr[-3000:]
    return child.stdout


def test_the_same_bytes_whatever_the_process_the_folder_and_the_path(tmp_path: Path) -> None:
    absolute = [str(path) for path in DESCRIPTORS]
    first = json.loads(run(DIGESTS, absolute, tmp_path, PYTHONHASHSEED="1", LC_ALL="C", TZ="UTC"))
    relative = [os.path.relpath(path, ROOT / "tests") for path in DESCRIPTORS]
    second = json.loads(run(DIGESTS, relative, ROOT / "tests", PYTHONHASHSEED="2", LC_ALL="C.UTF-8", TZ="Asia/Tokyo"))
    assert sum(1 for targets in first for digest, _said in targets if digest) > len(DESCRIPTORS)
    for path, one, other in zip(DESCRIPTORS, first, second, strict=True):
        assert one == other, path


# A child whose clock, environment and network are traps. Everything is imported first: what a library looks at while
# it is loaded is its own affair.
TRAPPED = """
import difflib, hashlib, importlib, json, pkgutil, random, sys, tempfile, zipfile
import yaml, jinja2
import datetime, os, time
import meghdwar

for package in ("compiler", "compiler.lower", "compiler.targets"):
    inside = importlib.import_module(f"meghdwar.{package}")
    for module in pkgutil.iter_modules(inside.__path__):
        importlib.import_module(f"{inside.__name__}.{module.name}")
from meghdwar import bundle, render
from meghdwar.compiler import compile_file

seen = []

def note(what):
    seen.append(what)
    raise RuntimeError(f"trapped: {what}")

def trap(name):
    return lambda *arguments, **more: note(name)

class Nothing(dict):
    pass

for name in ("__getitem__", "__contains__", "__iter__", "get", "keys", "values", "items", "copy", "setdefault"):
    setattr(Nothing, name, trap(f"os.environ.{name}"))
real = {}
for module, names in (
    (time, "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns localtime gmtime ctime sleep"),
    (os, "getenv urandom getpid getuid getlogin uname cpu_count"),
    (random, "random randint choice shuffle getrandbits"),
):
    for name in names.split():
        setattr(module, name, trap(f"{module.__name__}.{name}"))

class Clock(datetime.datetime):
    now = utcnow = today = trap("datetime.now")

datetime.datetime = Clock
os.environ = os.environb = Nothing()
READ = set()
FORBIDDEN = (
    "socket.", "urllib.", "http.", "ftplib.", "smtplib.", "subprocess.", "os.system", "os.exec", "os.posix_spawn",
    "os.spawn", "os.fork", "os.putenv", "os.remove", "os.rename", "os.mkdir", "os.chdir", "shutil.", "tempfile.",
    "ctypes.", "webbrowser.",
)

def watch(event, arguments):
    if event.startswith(FORBIDDEN):
        note(event)
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, str):
            READ.add(os.path.abspath(path))
        if flags is not None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            note(f"open {path} to write")

sys.addaudithook(watch)
for path in sys.argv[1:]:
    for target in ("senlin", "static", "asg"):
        result = compile_file(path, target=target)
        if result.bundle is not None:
            bundle.to_files(result.bundle)
        render.text(result.diagnostics, result.sources, color=False)
sys.stdout.write(json.dumps([seen, sorted(READ)]))
"""


def test_no_network_clock_environment_or_foreign_file_is_looked_at(tmp_path: Path) -> None:
    seen, opened = json.loads(run(TRAPPED, [str(path) for path in DESCRIPTORS], tmp_path))
    assert seen == []
    ours = {str(folder) for folder in (ROOT, Path(sys.prefix), Path(sys.base_prefix), Path(os.__file__).parent)}
    beside = [name for name in opened if not name.startswith(tuple(ours))]
    assert beside == []
    assert str(DESCRIPTORS[0]) in opened


@pytest.mark.parametrize(
    "mischief",
    [
        "import time; time.time()",
        "import os; os.environ.get('HOME')",
        "import datetime; datetime.datetime.now()",
        "import socket; socket.socket()",
        "open('x', 'w')",
        "import subprocess; subprocess.run(['true'])",
    ],
)
def test_the_traps_work(mischief: str, tmp_path: Path) -> None:
    script = TRAPPED.replace("    for target in", f"    {mischief}\n    for target in")
    with pytest.raises(AssertionError, match="trapped"):
        run(script, [str(DESCRIPTORS[0])], tmp_path)
