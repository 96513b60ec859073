"""The judges' own virtual environments: made when missing, kept for the next run.

`python -m tests.oracle.venvs` makes all of them and says what it could not make and why.
`MEGHDWAR_CACHE` names another place than .cache/ for them, so that several checkouts can share one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to install, and the Pythons that can run it, best first."""

    name: str
    packages: tuple[str, ...]
    pythons: tuple[str, ...]


RECIPES: Mapping[str, Recipe] = {
    "heat-22": Recipe("heat-22", ("openstack-heat==22.0.1", "setuptools<80"), ("3.11",)),
    "heat-27": Recipe("heat-27", ("openstack-heat==27.0.1",), ("3.11", "3.12", "3.13")),
    "senlin-16": Recipe("senlin-16", ("senlin==16.0.0", "setuptools<80"), ("3.11",)),
    "tacker": Recipe(
        "tacker", ("python-tackerclient==2.6.0", "python-openstackclient", "setuptools<80"), ("3.11", "3.12", "3.13")
    ),
    "peers": Recipe("peers", ("tosca-parser==2.15.0", "heat-translator==3.5.0", "setuptools<80"), ("3.11", "3.12")),
}


class CannotMakeError(Exception):
    """Says what is missing, for the list of what was left out."""


def cache() -> Path:
    return Path(os.environ.get("MEGHDWAR_CACHE") or ROOT / ".cache")


def find_python(version: str) -> str | None:
    """A command that is really this Python: some names on the PATH are only shims of it."""
    candidates = [shutil.which(f"python{version}"), f"/usr/bin/python{version}", sys.executable]
    candidates += [str(p) for p in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for command in candidates:
        if not command or not Path(command).exists():
            continue
        asked = "import sys; print('%d.%d' % sys.version_info[:2])"
        answer = subprocess.run([command, "-c", asked], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return command
    return None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Two test runs at once do not make the same environment twice."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made first when it is not there or its recipe changed."""
    recipe = RECIPES[name]
    place = cache() / "oracles" / name
    stamp = place / "made-from"
    made_from = "\n".join(recipe.packages)
    with only_one(cache() / "oracles"):
        if stamp.exists() and stamp.read_text() == made_from and (place / "bin/python").exists():
            return place / "bin/python"
        found = next((p for p in map(find_python, recipe.pythons) if p), None)
        if found is None:
            raise CannotMakeError(f"cannot make {name}: it wants Python {' or '.join(recipe.pythons)}")
        shutil.rmtree(place, ignore_errors=True)
        run([found, "-m", "venv", str(place)], name)
        run(
            [str(place / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *recipe.packages],
            name,
        )
        stamp.write_text(made_from)
    return place / "bin/python"


def run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if not line.startswith("WARNING")]
        raise CannotMakeError(f"cannot make {name}: {' '.join(command[1:4])} failed: {' '.join(lines[-3:])}")


def main() -> int:
    missing = []
    for name in RECIPES:
        try:
            print(f"{name}: {python_of(name)}", flush=True)
        except CannotMakeError as error:
            print(error, flush=True)
            missing.append(name)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
