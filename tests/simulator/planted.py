"""Bugs planted on purpose, one at a time, in a copy of the driver's code: the simulator has to catch every one of them.

    python -m tests.simulator.planted                  all of them
    python -m tests.simulator.planted NAME NAME ...    these
    python -m tests.simulator.planted --list           the table, as it stands in docs/explanation/moves.md

A bug whose place in the code is not there any more is an error: then it has to be planted elsewhere.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
HISTORIES_MAX = 10_000
HUNG_S = 240.0
SAGA, HANDOFF = "meghdwar/driver/saga.py", "meghdwar/driver/handoff.py"
MOBILITY, TRACK = "meghdwar/driver/mobility.py", "meghdwar/driver/track.py"
JOURNAL = "tests/simulator/journal.py"  # its rules are those of SqlJournal
GATEWAY = "tests/simulator/gateway.py"  # its rules are those of every hypervisor
PLACES = {JOURNAL: "the journal", GATEWAY: "the gateways"}


class Planted(NamedTuple):
    """`old` stands once in `file` and becomes `new`; `suffers` says what a user would have of it."""

    name: str
    file: str
    old: str
    new: str
    suffers: str


# fmt: off
# ruff: noqa: E501 - a table
PLANTED: Sequence[Planted] = (
    # what comes next
    Planted("a step that was begun counts as done", SAGA,
            "if last.get(step.name) != DONE:", "if last.get(step.name) not in (DONE, DOING):",
            "a driver dies while it copies the state, and the next one starts the target without it"),
    Planted("the first step is undone first", SAGA,
            "for step in reversed(steps):", "for step in steps:",
            "a move that fails loses the copy at the target before the source may write again, or has two writers"),
    Planted("what was begun and not done is not undone", SAGA,
            "if last.get(step.name, UNDONE) != UNDONE:", "if last.get(step.name, UNDONE) in (DONE, UNDOING):",
            "the step that failed leaves half of its work: disks, or a cloudlet that stays paused"),
    Planted("a way back past the point of no return", SAGA,
            "return all(step.undo is not None for step in steps if step.name in begun)", "return True",
            "the move fails for good where it only had to wait"),
    Planted("an operator's word counts for nothing", SAGA,
            "        if entry.phase == FENCED:\n            return False\n", "",
            "a cloudlet whose gateway burnt down stays down although its copy is elsewhere"),
    Planted("undone counts as completed", SAGA,
            "return End(COMPENSATED)", "return End(COMPLETED)",
            "mdw says that the cloudlet moved, and it did not"),
    Planted("a step is written down only when it is done", SAGA,
            "journal.write(operation_id, [*unwritten, begun], claim)", "journal.write(operation_id, unwritten, claim)",
            "a driver dies in the middle of a step, and nobody undoes the half of it"),
    Planted("outcomes are not written down", SAGA,
            "        unwritten.append(outcome)\n", "",
            "after a crash everything is done again, on a target that is in use already"),
    Planted("every driver begins from the beginning", SAGA,
            "entries = list(journal.entries(operation_id))", "entries: list[Entry] = []",
            "who takes a move over stages it anew over the copy that runs"),
    Planted("an undo that fails counts as undone", SAGA,
            "        if isinstance(outcome, HypervisorError):\n",
            "        if isinstance(outcome, HypervisorError) and act.phase == UNDOING:\n"
            "            outcome = Entry(act.step.name, UNDONE, {}, claim.epoch)\n"
            "        if isinstance(outcome, HypervisorError):\n",
            "the target cannot be reached to be stopped, and the source goes on beside it: two writers"),
    Planted("what cannot be reached is left, whatever it is", SAGA,
            "return act.step.leaves and (act.phase == UNDOING or act.step.undo is None)", "return True",
            "a gateway is cut off for a moment, and a step of the move is skipped"),
    Planted("a failure is reported as an end", SAGA,
            "                journal.wait(operation_id, str(outcome), claim)\n                return WAITING\n",
            "                journal.end(operation_id, COMPENSATED, unwritten, claim)\n                return COMPENSATED\n",
            "a move that is half done is forgotten: the cloudlet is down, and nobody resumes it"),
    # the steps
    Planted("nobody holds the gateways", HANDOFF,
            "            hypervisor.hold(self.instance, self.claim)\n            self._held", "            self._held",
            "no gateway listens to a new driver any more"),
    Planted("what was there before is built upon", HANDOFF,
            "    _refuse_to_overwrite(scene)\n    scene.clear()\n    target.define", "    _refuse_to_overwrite(scene)\n"
            "    target.define",
            "a new cloudlet starts with the data of one that was taken down"),
    Planted("what was there before is staged upon", HANDOFF,
            "    if not scene.fenced:  # then what is there is the last copy\n        scene.clear()\n", "",
            "leftovers of a failed move keep the next one from its gateway"),
    Planted("staging clears the last copy", HANDOFF,
            "    if not scene.fenced:  # then what is there is the last copy\n        scene.clear()",
            "    scene.clear()",
            "the source burns down, the operator says so, and the only copy that was left is removed"),
    Planted("nothing is removed when a move was undone", HANDOFF,
            "        scene.at_target().remove(scene.instance, scene.claim)\n    return None", "        pass\n    return None",
            "every failed move leaves a disk behind, until the gateway is full"),
    Planted("the source keeps its right to write", HANDOFF,
            "    if not scene.fenced:\n        scene.at_source().hold(scene.instance, scene.claim, writer=False)", "    pass",
            "a source that is left behind may be started beside the target"),
    Planted("the source does not get its right back", HANDOFF,
            "def unfence(scene: Scene) -> None:\n    scene.at_source().hold(scene.instance, scene.claim, writer=True)",
            "def unfence(scene: Scene) -> None:\n    pass",
            "after a failed move the cloudlet cannot be started again after the next reboot"),
    Planted("the source is not paused", HANDOFF,
            'return {"way": scene.at_source().pause(scene.instance, scene.claim)}', 'return {"way": "none"}',
            "source and target write at the same time"),
    Planted("the last copy is made before the pause", HANDOFF,
            '    Step("pause", pause, unpause),\n    Step("transfer", transfer, untransfer),\n',
            '    Step("transfer", transfer, untransfer),\n    Step("pause", pause, unpause),\n',
            "what is written during the last copy is acknowledged and lost"),
    Planted("the source stays paused", HANDOFF,
            "    source.hold(scene.instance, scene.claim, writer=True)\n    source.resume(scene.instance, scene.claim)\n",
            "    source.hold(scene.instance, scene.claim, writer=True)\n",
            "a move that fails takes the service down"),
    Planted("the first copy has to do", HANDOFF,
            "    for disk in target.travelling(instance):\n        copied = target.copy_disk(instance, disk, source, claim, "
            "final=True)",
            "    for disk in target.travelling(instance):\n        if disk.name in target.look(instance).disks:\n"
            "            continue\n        copied = target.copy_disk(instance, disk, source, claim, final=True)",
            "everything that was written since the first copy is lost"),
    Planted("only the first disk travels", HANDOFF,
            "    for disk in target.travelling(instance):\n        copied = target.copy_disk",
            "    for disk in target.travelling(instance)[:1]:\n        copied = target.copy_disk",
            "a cloudlet with two volumes loses one, or cannot move"),
    Planted("the last copy is not proved", HANDOFF,
            "copied = target.copy_disk(instance, disk, source, claim, final=True)",
            "copied = target.copy_disk(instance, disk, source, claim)",
            "a disk that was damaged on the way is gone on with"),
    Planted("files are not carried", HANDOFF,
            "    for files in instance.files:\n        proofs[files.name]",
            "    for files in ():\n        proofs[files.name]",
            "state files are as empty after a move as on the first day"),
    Planted("files are not looked at after they were put", HANDOFF,
            "    if found != digest:\n", "    if False:\n",
            "a state file that was damaged on the way is gone on with"),
    Planted("a new version of files has the old number", HANDOFF,
            "Version(before.number + 1, digest, before.digest)", "Version(before.number, digest, before.digest)",
            "an older version cannot be told from a newer, and may replace it"),
    Planted("a version of files does not say what it was made from", HANDOFF,
            "Version(before.number + 1, digest, before.digest)", 'Version(before.number + 1, digest, "")',
            "files that were changed in two places are not noticed"),
    Planted("going on with a state that is not there", HANDOFF,
            "    if scene.fenced:\n        return _what_is_there(scene)\n", "    if scene.fenced:\n        return {}\n",
            "the source burns down before the state was copied, and the cloudlet begins anew as if nothing had been"),
    Planted("a copy is said to be newer than it is", HANDOFF,
            "{name: seen.as_of[name] for name in travelling if name in seen.disks and name in seen.as_of}",
            "{name: scene.clock.now() for name in travelling if name in seen.disks and name in seen.as_of}",
            "the source burns down, and nobody is told that the last minutes are lost"),
    Planted("files that were damaged on the way are gone on with", HANDOFF,
            "    return digest_of(scene.at_target().read_files(scene.instance, files)) == version.digest",
            "    return True",
            "the source burns down, and the copy that failed its check is taken for good"),
    Planted("a fenced source is asked to pause", HANDOFF,
            '    if scene.fenced:\n        return {"way": "fenced"}\n', "",
            "a cloudlet whose gateway burnt down stays down although its copy is elsewhere"),
    Planted("a live move is not brought back", HANDOFF,
            "    if source.look(scene.instance).power is not Power.ABSENT:\n        return\n", "    return\n",
            "the VM is destroyed where it had gone to, with its state"),
    Planted("a live move is brought back only while it runs", HANDOFF,
            "    target.start(scene.instance, scene.claim)  # the gateway may have been rebooted since\n", "",
            "a reboot of the target at the wrong moment, and the move can neither go on nor back"),
    Planted("the target may not write", HANDOFF,
            "    target.hold(scene.instance, scene.claim, writer=True)\n    disks = ()", "    disks = ()",
            "no move succeeds any more"),
    Planted("the target keeps its right to write", HANDOFF,
            "    target.hold(scene.instance, scene.claim, writer=False)  # first, so", "    # first, so",
            "a copy that was given up may be started beside the source, and keeps later moves away"),
    Planted("the target loses its right after it was stopped", HANDOFF,
            "    target.hold(scene.instance, scene.claim, writer=False)  # first, so that no start that comes late finds it "
            "may\n    if target.look(scene.instance).power is not Power.ABSENT:\n        target.stop(scene.instance, "
            "scene.claim)\n        for disk in scene.instance.disks:\n            target.detach(scene.instance, disk, "
            "scene.claim)\n",
            "    if target.look(scene.instance).power is not Power.ABSENT:\n        target.stop(scene.instance, "
            "scene.claim)\n        for disk in scene.instance.disks:\n            target.detach(scene.instance, disk, "
            "scene.claim)\n    target.hold(scene.instance, scene.claim, writer=False)\n",
            "an answer that was late, a start that comes after the stop, and there are two writers"),
    Planted("subscribers are sent to what is not ready", HANDOFF,
            "    while not target.probe(scene.instance):\n", "    while False:\n",
            "the subscriber gets errors, and a target that never comes up is not noticed in time to go back"),
    Planted("subscribers are sent there too early", HANDOFF,
            '    Step("wake", wake, unwake),\n    Step("reroute", reroute),  # no way back from here: from now on we finish\n',
            '    Step("reroute", reroute),\n    Step("wake", wake, unwake),\n',
            "a target that does not come up cannot be given up any more"),
    Planted("its home is where it was", HANDOFF,
            "scene.journal.place(scene.instance.name, scene.operation.target, scene.claim)",
            "scene.journal.place(scene.instance.name, scene.operation.source, scene.claim)",
            "the next move begins at a gateway where nothing is any more"),
    Planted("the stack is not told", HANDOFF,
            "    scene.stack.place(scene.instance, scene.operation.target)\n", "",
            "Heat's picture is wrong, and its next update touches the wrong server"),
    Planted("the source is not removed", HANDOFF,
            "    source.remove(scene.instance, scene.claim)\n", "",
            "every move leaves a copy behind, until the gateway is full"),
    Planted("a target that was vouched for is asked to stop", HANDOFF,
            "    if not scene.live and not scene.target_fenced:\n", "    if not scene.live:\n",
            "the target burns down between two steps, and the source stays paused although its state is whole"),
    # the rules of the gateways
    Planted("a copy that nobody proved counts as whole", GATEWAY,
            "        if not proved:\n            return Copied(sent)\n", "",
            "the source burns down, and a disk that was read half before and half after a write is taken for the state"),
    Planted("a copy that was cut off counts as whole", GATEWAY,
            "        copy.broken.add(disk.name)\n        if self.fault", "        if self.fault",
            "the source burns down in the middle of a copy, and half a disk is taken for the state"),
    # the rules of the journal
    Planted("a claim has the epoch of the last one", JOURNAL,
            "        row.epoch += 1\n", "        row.epoch = max(1, row.epoch)\n",
            "a driver that was paused goes on beside the one that took over"),
    Planted("a claim is given while another one stands", JOURNAL,
            "        if row.owner is not None and now < row.until:\n", "        if False:\n",
            "two drivers work the same move at once"),
    Planted("whoever had a claim may write", JOURNAL,
            "        if row.epoch != lease.epoch or row.owner is None:\n", "        if False:\n",
            "a driver that was paused writes its old plans into the journal, or ends the move of another one"),
    Planted("a lease never runs out", JOURNAL,
            "        if self.now() >= self.deadline:\n", "        if False:\n",
            "a driver that was paused acts on a gateway that has forgotten it"),
    Planted("a second operation begins", JOURNAL,
            "        if row.open is not None:\n", "        if False:\n",
            "two moves pull the same cloudlet to two gateways"),
    Planted("an operation begins where the instance is not", JOURNAL,
            "        if operation.source != row.home:\n", "        if False:\n",
            "a move takes the state from where it was yesterday"),
    # when a cloudlet follows
    Planted("late sightings count", TRACK,
            'return "duplicate" if sighting.at == track.seen_at else "late"', 'return ""',
            "a cloudlet is sent back to where its subscriber was before"),
    Planted("sightings that come twice count twice", TRACK,
            "sighting.at <= track.seen_at:", "sighting.at < track.seen_at:",
            "a network that repeats itself makes cloudlets move"),
    Planted("no hysteresis", MOBILITY,
            "elif home is not None and at < since[name] + mobility.hysteresis_s:", "elif False:",
            "a subscriber at the border of two cells keeps the cloudlet moving"),
    Planted("no cool-down", MOBILITY,
            "    return track.wished_at + max(mobility.hysteresis_s, mobility.cooldown_s, QUIET_S)\n",
            "    return -math.inf\n",
            "one move begins right after the other"),
    Planted("what was better once is better since then", MOBILITY,
            "    return replace(track, since=since, note=\"; \".join(notes)), None\n",
            "    return replace(track, since={**track.since, **since}, note=\"; \".join(notes)), None\n",
            "a visit of an hour ago makes the next one count as a long stay"),
    Planted("full gateways are chosen", MOBILITY,
            "if room is not None and load(name) >= room:", "if False:",
            "a gateway is given more than it can bear"),
)
# fmt: on


# hunting
def hunt(first: int, count: int) -> str:
    """The first of these histories that breaks a promise, and which; "" when none does."""
    from tests.simulator.history import play, script

    for seed in range(first, first + count):
        broken = play(script(seed)).broken
        if broken:
            return f"seed {seed}: {broken}"
    return ""


@contextmanager
def copied(bug: Planted | None) -> Iterator[Path]:
    """A folder with the code and this bug in it. Raises ValueError when the bug does not fit the code."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        ignore = shutil.ignore_patterns("__pycache__", "compiler", "templates", "migrations")
        shutil.copytree(ROOT / "meghdwar", folder / "meghdwar", ignore=ignore)
        (folder / "tests").mkdir()
        (folder / "tests" / "__init__.py").touch()
        shutil.copytree(ROOT / "tests" / "simulator", folder / "tests" / "simulator", ignore=ignore)
        if bug is not None:
            plant(bug, folder)
        yield folder


def plant(bug: Planted, folder: Path) -> None:
    path = folder / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"cannot plant {bug.name!r}: its place is {text.count(bug.old)} times in {bug.file}, not once")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


HUNT = """
import sys, meghdwar.driver.saga
from tests.simulator.planted import hunt
assert meghdwar.driver.saga.__file__.startswith(sys.argv[1]), meghdwar.driver.saga.__file__
print(hunt(int(sys.argv[2]), int(sys.argv[3])))
"""


def caught(bug: Planted | None, histories: int = HISTORIES_MAX, first: int = 0) -> str:
    """How the simulator catches it: the seed and the promise; "" when it does not."""
    with copied(bug) as folder:
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", HUNT, str(folder), str(first), str(histories)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=HUNG_S)
    if done.returncode:
        raise RuntimeError(f"cannot hunt {bug.name if bug else 'nothing'!r}: {done.stderr[-2000:]}")
    return done.stdout.strip()


def table(bugs: Sequence[Planted] = PLANTED) -> str:
    """The list in Markdown."""
    lines = ["| bug | in | what a user would have of it |", "| --- | --- | --- |"]
    for bug in bugs:
        where = PLACES.get(bug.file, f"`{Path(bug.file).name}`")
        lines.append(f"| {bug.name} | {where} | {bug.suffers} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.planted")
    parser.add_argument("names", nargs="*", help="of bugs (all when none is said)")
    parser.add_argument("--list", action="store_true", help="print the table and do nothing")
    parser.add_argument("--histories", type=int, default=HISTORIES_MAX, help="at most, for each bug (%(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="at once (%(default)s)")
    parser.add_argument("--write", action="store_true", help="put the outcome into bench/RESULTS.md")
    options = parser.parse_args()
    if options.list:
        print(table())
        return 0
    known = {bug.name: bug for bug in PLANTED}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no bug called {unknown[0]!r}; see --list")
    bugs = [known[name] for name in options.names] or list(PLANTED)
    begun, missed, seeds = time.monotonic(), 0, []
    with ThreadPoolExecutor(options.processes) as pool:
        for bug, how in zip(bugs, pool.map(lambda each: caught(each, options.histories), bugs), strict=True):
            missed += not how
            seeds.append(int(how.split(":")[0].removeprefix("seed ")) if how else options.histories)
            print(f"{'caught' if how else 'NOT CAUGHT':<10}  {bug.name}: {how}", flush=True)
    seeds.sort()
    outcome = (
        f"{len(bugs) - missed} of {len(bugs)} caught in {time.monotonic() - begun:.0f} s: half of them within "
        f"{seeds[len(seeds) // 2] + 1} histories, the last by history {seeds[-1] + 1:,}"
    )
    print(outcome)
    if options.write:
        from bench.results import machine, write_section

        command = f"`python -m tests.simulator.planted --write` on {machine()}."
        write_section("planted", f"## Bugs planted on purpose\n\n{command}\n\n{outcome}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
