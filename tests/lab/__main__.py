"""`python -m tests.lab up|down|status|env|enter|restart|crash|packages`: a real OpenStack for tests."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.hypervisors.processes import alive
from tests.lab import STATE, bring_up, packages, room, services
from tests.lab.place import CLOUDS, HEATS, Place, choose, find

ACTS = {
    "up": "brings it up; again, it does nothing",
    "down": "ends everything that `up` started; with --wipe its state goes too",
    "status": "says what runs",
    "env": 'prints what a shell needs: eval "$(python -m tests.lab env)"',
    "enter": "runs a command inside its namespaces",
    "restart": "ends a service and starts it again",
    "crash": "kills a service with SIGKILL; restart brings it back",
    "packages": "prints the Debian packages that are missing",
}


def main() -> int:
    options = _options()
    state = options.state.resolve()
    if options.act == "packages":
        print(*packages.missing(), sep="\n", end="\n" if packages.missing() else "")
        return 0
    try:
        return _act(options, state)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    acts = parser.add_subparsers(dest="act", required=True, metavar="act")
    for name, text in ACTS.items():
        act = acts.add_parser(name, help=text, description=text)
        act.add_argument("--state", type=Path, default=STATE, help="the folder that holds everything (%(default)s)")
        if name == "up":
            act.add_argument("--heat", action="append", choices=list(HEATS), default=[], help="besides Debian's own")
        if name == "env":
            act.add_argument("--heat", choices=list(HEATS), default="heat")
        if name == "down":
            act.add_argument("--wipe", action="store_true")
        if name in ("restart", "crash"):
            act.add_argument("services", nargs="+", metavar="service")
        if name == "enter":
            act.add_argument("command", nargs=argparse.REMAINDER)
    return parser.parse_args()


def _act(options: argparse.Namespace, state: Path) -> int:
    if options.act != "env" and os.geteuid():
        raise RuntimeError(f"cannot {options.act} the lab: that takes root")
    if options.act == "up":
        return _up(state, ["heat", *options.heat])
    place = find(state)
    if place is None:
        return _never(options.act, state)
    if options.act == "env":
        print(f"export OS_CLIENT_CONFIG_FILE={shlex.quote(str(place.clouds))} OS_CLOUD={CLOUDS[options.heat]}")
        return 0
    if options.act == "enter":
        return subprocess.call(room.enter(place, [word for word in options.command if word != "--"]))
    if options.act in ("restart", "crash"):
        if not room.is_inside():
            return room.ourselves(place, options.act, *options.services)
        for name in options.services:
            (services.restart if options.act == "restart" else services.crash)(place, name)
        return 0
    if options.act == "down":
        return _down(place, options.wipe)
    return _status(place)


def _up(state: Path, heats: list[str]) -> int:
    place = choose(state)
    if room.is_inside():
        bring_up.up(place, dict.fromkeys(heats))
        return 0
    if packages.missing():
        raise RuntimeError(f"cannot bring up the lab: apt-get install {' '.join(packages.missing())}")
    bring_up.fetch(place, heats)
    room.make(place)
    asked = [word for name in heats[1:] for word in ("--heat", name)]
    status = room.ourselves(place, "up", *asked)
    if status == 0:
        print(f'the lab is up; eval "$({Path(sys.executable).name} -m tests.lab env)"')
    return status


def _down(place: Place, wipe: bool) -> int:
    if room.is_inside():
        bring_up.down(place)
        return 0
    if room.holder(place):
        room.ourselves(place, "down")
    room.leave(place)
    if wipe:
        for kept in place.state.iterdir():
            if kept.name not in ("venv", "guest"):  # what was downloaded
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    return 0


def _status(place: Place) -> int:
    if room.is_inside():
        running = [service.name for service in services.every(place) if alive(place.pid(service.name))]
        print(*(f"  {name}" for name in running), sep="\n")
        print(f"{len(running)} services, {services.memory_mib()} MiB in all processes")
        return 0
    if not room.holder(place):
        print(f"the lab of {place.state} is down")
        return 1
    print(f"the lab of {place.state} is up at {place.address}")
    return room.ourselves(place, "status")


def _never(act: str, state: Path) -> int:
    if act == "down":
        return 0
    raise RuntimeError(f"cannot {act}: there is no lab in {state}; make it with python -m tests.lab up")


if __name__ == "__main__":
    sys.exit(main())
