"""Where a lab is: its folder, its addresses, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hypervisors.processes import run, tag

REGION = "RegionOne"
PASSWORD = "labpass"  # noqa: S105 - nobody but this machine gets there
HOSTS = ("edge-1", "edge-2")


@dataclass(frozen=True, slots=True)
class Heat:
    """One Heat. Each is in a region of its own, because that is how clients choose among several."""

    name: str
    port: int
    region: str
    plugin: bool
    release: str  # debian, or a version from PyPI

    @property
    def database(self) -> str:
        return self.name.replace("-", "_")

    @property
    def vhost(self) -> str:
        """Engines of one broker would take each other's work: they listen to one topic."""
        return "/" if self.name == "heat" else self.name


HEATS: Mapping[str, Heat] = {
    heat.name: heat
    for heat in (
        Heat("heat", 8004, REGION, plugin=False, release="debian"),
        Heat("heat-plugin", 8104, "Heat19Plugin", plugin=True, release="debian"),
        Heat("heat-27", 8204, "Heat27", plugin=False, release="27.0.1"),
        Heat("heat-27-plugin", 8304, "Heat27Plugin", plugin=True, release="27.0.1"),
    )
}
CLOUDS = {"heat": "lab", "heat-plugin": "lab-plugin", "heat-27": "lab-27", "heat-27-plugin": "lab-27-plugin"}


@dataclass(frozen=True, slots=True)
class Place:
    """A lab: `state` is its folder, 10.`number`.0.0/16 are its addresses."""

    state: Path
    number: int

    @property
    def tag(self) -> str:
        return tag(self.state)

    @property
    def address(self) -> str:
        """Where its services listen: inside of its namespaces and from this machine the same."""
        return f"10.{self.number}.0.2"

    @property
    def here(self) -> str:
        """This machine's end of the wire to it."""
        return f"10.{self.number}.0.1"

    @property
    def device(self) -> str:
        return f"mdwl-{self.tag}"

    @property
    def outside(self) -> str:
        """The first three numbers of the network that floating addresses are from; this machine reaches it."""
        return f"10.{self.number}.1"

    @property
    def clouds(self) -> Path:
        return self.state / "clouds.yaml"

    def etc(self, service: str) -> Path:
        return self.state / "etc" / service

    def log(self, name: str) -> Path:
        return self.state / "log" / f"{name}.log"

    def pid(self, name: str) -> Path:
        return self.state / "pid" / name

    def lib(self, name: str) -> Path:
        return self.state / "lib" / name

    def data(self, name: str) -> Path:
        """A note of the lab's own: what was done already."""
        return self.state / "done" / name


def find(state: Path) -> Place | None:
    """The lab of a folder, up or not."""
    try:
        return Place(state, int(json.loads((state / "lab.json").read_text())["number"]))
    except (OSError, ValueError, KeyError):
        return None


def choose(state: Path) -> Place:
    """The lab of a folder; a new one takes addresses that nobody on this machine has."""
    there = find(state)
    if there:
        return there
    taken = " " + run(["ip", "-4", "route", "show", "table", "all"]) + run(["ip", "-4", "-o", "addr"])
    first = int(tag(state), 16) % 30
    for number in (20 + (first + step) % 30 for step in range(30)):
        if f" 10.{number}." not in taken and f"\n10.{number}." not in taken:
            for folder in ("etc", "log", "pid", "lib", "done", "lock"):
                (state / folder).mkdir(parents=True, exist_ok=True)
            (state / "lab.json").write_text(json.dumps({"number": number}))
            return Place(state, number)
    raise RuntimeError("cannot find addresses for the lab: 10.20.0.0/16 to 10.49.0.0/16 are all in use")
