"""How we stand before real descriptors: `python -m tests.conformance --corpus PATH [--write] [--only NAME]`.

The environment's MEGHDWAR_CORPUS does as well as --corpus.

PATH is a folder of descriptors from public projects, which is no part of this repository:
    oasis-2.0/verdicts.tsv   labelled tests of the TOSCA 2.0 language: path, valid or invalid
    simple/templates.txt     service templates; simple-labels.tsv beside this file says which of them are right
    sol001/templates.txt     VNFD packages that are right; also read as packages, with their manifests and hashes
The status is 1 when an input crashed the compiler or took it more than its time.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.conformance.isolation import apart

ROOT = Path(__file__).parents[2]
LABELS = Path(__file__).with_name("simple-labels.tsv")
sys.path.insert(0, str(ROOT))

from bench.results import machine, table, write_section  # noqa: E402


@dataclass(frozen=True, slots=True)
class Verdict:
    """What we say of one file: accepted, refused, crashed or timed out; why is the first problem."""

    path: str
    outcome: str
    why: str = ""
    warnings: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()  # when it was compiled: what was written

    @property
    def accepted(self) -> bool:
        return self.outcome == "accepted"

    @property
    def broke(self) -> bool:
        return self.outcome in ("crashed", "timed out")


@dataclass(frozen=True, slots=True)
class Report:
    """The rows of the table, and below it what needs a look."""

    rows: list[list[str]]
    notes: list[str]
    broke: int = 0


# verdicts
def problems(result: Any) -> dict[str, object]:
    """Errors and warnings in a line each."""
    lines = [(d.is_error, f"{d.rule.code} {d.span}: {d.message}") for d in result.diagnostics]
    return {"problems": [line for bad, line in lines if bad], "warnings": [line for bad, line in lines if not bad]}


def check(path: Path) -> dict[str, object]:
    from meghdwar.compiler import check_file

    return problems(check_file(str(path)))


def compiled(path: Path, target: str, heat: str) -> dict[str, object]:
    from meghdwar import bundle
    from meghdwar.compiler import compile_file

    result = compile_file(str(path), target=target, heat=heat)
    files = {} if result.bundle is None else bundle.to_files(result.bundle)
    return {**problems(result), "files": {name: data.decode("utf-8", "replace") for name, data in files.items()}}


def verdict(root: Path, path: str, work: Callable[[Path], dict[str, object]]) -> Verdict:
    outcome = apart(lambda: work(root / path))
    if outcome.trouble:
        return Verdict(path, outcome.trouble, outcome.detail.strip().splitlines()[-1])
    found = outcome.answer["problems"]
    if found:
        return Verdict(path, "refused", found[0].replace(f"{root}/", ""))
    warnings = tuple(line.replace(f"{root}/", "") for line in outcome.answer["warnings"])
    return Verdict(path, "accepted", "", warnings, tuple(outcome.answer.get("files", {}).items()))


def verdicts(root: Path, paths: Iterable[str], work: Callable[[Path], dict[str, object]]) -> Iterator[Verdict]:
    for path in paths:
        yield verdict(root, path, work)


def rate(right: int, total: int) -> str:
    return f"{right} of {total} ({100 * right / total:.0f} %)" if total else "none"


# the collections
def oasis(corpus: Path) -> Report:
    """Labelled tests of the language: right is to accept the valid and to refuse the invalid."""
    folder = corpus / "oasis-2.0"
    labels = dict(line.split("\t") for line in (folder / "verdicts.tsv").read_text().splitlines() if line)
    found = list(verdicts(folder, labels, check))
    rows, notes = [], []
    for label in ("valid", "invalid"):
        mine = [v for v in found if labels[v.path] == label]
        wrong = [v for v in mine if v.accepted != (label == "valid") or v.broke]
        rows.append([f"OASIS 2.0, {label}: right", rate(len(mine) - len(wrong), len(mine))])
        notes += [f"oasis-2.0/{v.path} is {label}, but was {v.outcome} {v.why}" for v in wrong]
    return Report(rows, notes, sum(v.broke for v in found))


def simple(corpus: Path) -> Report:
    """Real 1.x templates: every one gets a verdict, and those that are right are accepted."""
    paths = (corpus / "simple/templates.txt").read_text().split()
    labels = {path: (label, reason) for path, label, reason in read_labels()}
    found = list(verdicts(corpus, paths, check))
    rows = [["simple: a verdict, no traceback, no hang", rate(sum(not v.broke for v in found), len(found))]]
    notes = [f"{v.path} {v.outcome}: {v.why}" for v in found if v.broke]
    for source in sorted({path.split("/")[1] for path in paths}):
        mine = [v for v in found if v.path.split("/")[1] == source]
        rows.append([f"simple: accepted of {source}", rate(sum(v.accepted for v in mine), len(mine))])
    right = [v for v in found if labels.get(v.path, ("right", ""))[0] == "right"]
    wrong = [v for v in found if v not in right]
    rows.append(["simple: accepted of those that are right", rate(sum(v.accepted for v in right), len(right))])
    rows.append(["simple: refused of those that are wrong", rate(sum(not v.accepted for v in wrong), len(wrong))])
    told = sum(not v.accepted or bool(v.warnings) for v in wrong)
    rows.append(["simple: refused or accepted with warnings, of those that are wrong", rate(told, len(wrong))])
    notes += [f"{v.path} is right, but was {v.outcome}: {v.why}" for v in right if not v.accepted]
    notes += [
        f"{v.path} is wrong ({labels[v.path][1]}), but was accepted with {len(v.warnings)} warnings"
        for v in wrong
        if v.accepted
    ]
    notes += [f"{path} has no label" for path in paths if path not in labels]
    return Report(rows, notes, sum(v.broke for v in found))


def translated(corpus: Path) -> Report:
    """heat-translator's samples: all compile, and Heat and Senlin accept what comes out."""
    paths = [p for p in (corpus / "simple/templates.txt").read_text().split() if "/heat-translator/" in p]
    wrong = {path: f" (it is wrong: {reason})" for path, label, reason in read_labels() if label == "wrong"}
    return stacks(corpus, paths, "heat-translator's samples", wrong)


def stacks(corpus: Path, paths: Sequence[str], name: str, wrong: Mapping[str, str]) -> Report:
    """What these templates compile to, judged by Heat and Senlin; `wrong` has what is said of those not to be taken."""
    from tests.oracle.judge import Heat, Senlin

    found = list(verdicts(corpus, paths, partial(compiled, target="senlin", heat="2024.1")))
    done = [v for v in found if v.accepted]
    notes = [f"{v.path} was {v.outcome}: {v.why}{wrong.get(v.path, '')}" for v in found if not v.accepted]
    heat, senlin = Heat("heat-22"), Senlin()
    judged = {v.path: heat.judge_one(stack_of(v)) for v in done}
    specs = [spec for answer in judged.values() for spec in answer.senlin]
    refused = [v for v in senlin.judge(specs) if not v.accepted]
    notes += [f"{path}: Heat says {'; '.join(v.errors[:3])}" for path, v in judged.items() if not v.accepted]
    notes += [f"{v.name}: Senlin says {'; '.join(v.errors)}" for v in refused]
    accepted = sum(v.accepted for v in judged.values())
    rows = [
        [f"{name}: compiled", rate(len(done), len(found))],
        [f"{name}: stacks that Heat 22 accepts", rate(accepted, len(judged))],
        [f"{name}: specs that Senlin 16 accepts", rate(len(specs) - len(refused), len(specs))],
    ]
    return Report(rows, notes, sum(v.broke for v in found))


def stack_of(compiled_: Verdict) -> Any:
    """What would be sent to Heat: the template, the files it may name and the environment."""
    import yaml

    from tests.oracle.judge import Stack

    files = {name: text for name, text in compiled_.files if not name.endswith(".plan.yaml")}
    for name in re.findall(r"get_file: (\S+?)[},]*$", "\n".join(files.values()), re.MULTILINE):
        files.setdefault(name, "#!/bin/sh\n")  # the corpus leaves out most scripts
    template = next(name for name in files if name.endswith(".hot.yaml"))
    environment = next((name for name in files if name.endswith(".env.yaml")), "")
    values = yaml.safe_load(files.pop(environment)) if environment else {}
    return Stack(compiled_.path, files.pop(template), files, values or {})


def sol001(corpus: Path) -> Report:
    """ETSI SOL001 VNFDs with their types beside them: they compile, and Heat and Senlin accept what comes out."""
    return stacks(corpus, (corpus / "sol001/templates.txt").read_text().split(), "SOL001", {})


def packages(corpus: Path) -> Report:
    """The same VNFDs as packages: each gets a verdict, and every listed file that is not the one meant is told by name.

    The corpus leaves many scripts and images empty; of these the hashes are wrong here, and right where they come from.
    """
    lines = (corpus / "sol001/templates.txt").read_text().split()
    folders = sorted({line.split("/")[1] for line in lines})
    found = [(name, apart(partial(read_package, corpus / "sol001" / name))) for name in folders]
    answers = {name: outcome.answer for name, outcome in found if not outcome.trouble}
    notes = [f"sol001/{name} {outcome.trouble}: {outcome.detail}" for name, outcome in found if outcome.trouble]
    notes += [f"sol001/{name} was refused: {problem}" for name, problems in answers.items() for problem in problems]
    wrong = sum(problem.startswith("MDW779") for problems in answers.values() for problem in problems)
    rows = [
        ["SOL001 packages: a verdict, no traceback, no hang", rate(len(answers), len(found))],
        ["SOL001 packages: accepted with all that they list", rate(sum(not p for p in answers.values()), len(found))],
        ["SOL001 packages: wrong hashes, told by name", str(wrong)],
    ]
    return Report(rows, notes, len(found) - len(answers))


def read_package(folder: Path) -> list[str]:
    """The errors of a folder that is packed as it is."""
    from tempfile import TemporaryDirectory
    from zipfile import ZIP_DEFLATED, ZipFile

    from meghdwar.onboard.package import read

    with TemporaryDirectory(prefix="conformance-") as scratch:
        path = Path(scratch, "package.csar")
        with ZipFile(path, "w", ZIP_DEFLATED) as archive:
            for file in sorted(file for file in folder.rglob("*") if file.is_file()):
                archive.write(file, file.relative_to(folder).as_posix())
        return [f"{d.rule.code} {d.span}: {d.message}" for d in read(path)[1] if d.is_error]


COLLECTIONS: dict[str, Callable[[Path], Report]] = {
    "oasis": oasis,
    "simple": simple,
    "translated": translated,
    "sol001": sol001,
    "packages": packages,
}


def read_labels() -> Iterator[tuple[str, str, str]]:
    """Our judgement of simple/: path, right or wrong, reason."""
    for line in LABELS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            path, label, reason = line.split("\t")
            yield path, label, reason


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=(__doc__ or "").split("\n")[0])
    given = os.environ.get("MEGHDWAR_CORPUS")
    parser.add_argument(
        "--corpus", required=not given, default=given, type=Path, help="the folder with the descriptors"
    )
    parser.add_argument("--only", choices=COLLECTIONS, help="one of the collections")
    parser.add_argument("--write", action="store_true", help="put the table into bench/RESULTS.md")
    options = parser.parse_args()
    if not (options.corpus / "simple/templates.txt").exists():
        print(f"there is no corpus in {options.corpus}: simple/templates.txt is missing", file=sys.stderr)
        return 2
    import meghdwar.compiler  # noqa: F401 (before the first fork, so that no child pays for it)

    reports = [
        COLLECTIONS[name](options.corpus.resolve()) for name in ([options.only] if options.only else COLLECTIONS)
    ]
    text = table(["collection", "result"], [row for report in reports for row in report.rows])
    notes = [note for report in reports for note in report.notes]
    print(text)
    print("\n".join(["", *notes, "", f"{len(notes)} to look at"]))
    causes = Counter(note.split(": MDW")[1][:3] if ": MDW" in note else "" for note in notes)
    del causes[""]
    if causes:
        print("codes: " + ", ".join(f"MDW{code} {count}" for code, count in causes.most_common()))
    if options.write:
        head = f"## Conformance\n\n`python -m tests.conformance --corpus PATH --write` on {machine()}."
        what = "\n".join(f"- {note}" for note in notes)
        write_section("conformance", f"{head}\n\n{text}\n\nWhat is not as it should be:\n\n{what or '- nothing'}")
    return 1 if any(report.broke for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
