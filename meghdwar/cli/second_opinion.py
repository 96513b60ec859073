"""What tosca-parser and heat-translator make of the same descriptor, where they differ from us, and why where we know.

They run in a process without network, in an empty folder, with limits on time and memory: they follow imports to
anywhere, and some input makes them run for ever.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meghdwar.compiler import Result

TIME_S = 60
MEMORY_BYTES = 2 * 2**30
PEERS = ("tosca-parser", "heat-translator")
INSTALL = "pip install 'meghdwar[second-opinion]'"

REASONS: tuple[tuple[str, str, str], ...] = (
    # who, what its message has in it, why
    ("", "is not supported", "its one library of types knows fewer names and versions than there are"),
    ("", "template version", "it reads 1.0, 1.2, 1.3 and NFV 1.0 only"),
    ("", "The template version", "it reads 1.0, 1.2, 1.3 and NFV 1.0 only"),
    ("", "InvalidTypeAdditionalRequirementsError", "it does not know requirements that are added to a type"),
    ("", "is not a valid", "it checks values by its own library of types"),
    ("", "missing required field", "it demands fields that the standard leaves optional"),
    ("", "contains unknown field", "it does not know this part of the grammar"),
    ("", "RecursionError", "it follows circles until Python stops it"),
    ("", "Failed to reach server", "it would have fetched an import from the network"),
    ("", "NoneType' is not iterable", "it ends in an exception of its own where an import is not found"),
    ("", "not a valid file", "it looks for imports from the current folder"),
    ("", "no answer", "it has no limits of its own"),
    ("heat-translator", "MissingRequiredParameterError", "it needs every input when it translates"),
    ("heat-translator", "has no default value", "it needs every input when it translates"),
    ("heat-translator", "unhashable", "it cannot take inputs that are maps"),
    ("heat-translator", "'dict' object", "it cannot take inputs that are maps"),
    ("heat-translator", "NoneType", "it takes for granted what the standard leaves optional"),
    ("heat-translator", "Unable to translate", "it has no translation for the type"),
    ("heat-translator", "UnsupportedTypeError", "it has no translation for the type"),
)
"""Known causes of what a peer says, tried in order."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one compiler made of a descriptor. `resources` counts the resources of each type."""

    who: str
    accepts: bool
    errors: tuple[str, ...] = ()
    resources: Mapping[str, int] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    text: str = ""  # of the template

    @property
    def verdict(self) -> str:
        return "accepts" if self.accepts else "refuses"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a peer sees otherwise; `why` is empty when we do not know."""

    who: str
    what: str
    why: str = ""


def run(path: str, inputs: Mapping[str, object], *, target: str, heat: str, as_json: bool) -> int:
    """Prints the table or the JSON; the status is that of our own verdict."""
    missing = installed()
    if missing:
        print(f"mdw-compile: cannot ask for a second opinion: {missing} is not installed; {INSTALL}", file=sys.stderr)
        return 2
    from meghdwar.compiler import compile_file

    own = ours(compile_file(path, target=target, heat=heat, inputs=inputs, skip_unmapped=True))
    reason = unfit(path)
    answers = {who: {"error": reason} if reason else ask(who, path, inputs) for who in PEERS}
    opinions = [own, *(opinion(who, answer) for who, answer in answers.items())]
    differences = [d for other in opinions[1:] for d in compare(own, other)]
    network = next((a["network"] for a in answers.values() if "network" in a), "")
    if as_json:
        print(json.dumps(data(opinions, differences, network), indent=2))
    else:
        print(table(opinions, differences, network))
    return 0 if own.accepts else 1


def unfit(path: str) -> str:
    """Why an archive is not shown to peers, who unpack whatever they are given; "" when it may be."""
    import zipfile

    from meghdwar.archive import Refused, open_archive

    if not zipfile.is_zipfile(path) and not path.lower().endswith((".csar", ".zip")):
        return ""
    archive = open_archive(Path(path), path)
    if isinstance(archive, list):
        return f"it was not asked: {archive[0].message}"
    try:
        for name in archive.entries:
            for _ in archive.pieces(name):
                pass
    except Refused as refused:
        return f"it was not asked: {refused}"
    return ""


def installed() -> str:
    """The name of what is missing, or nothing."""
    from importlib.util import find_spec

    modules = {"toscaparser": "tosca-parser", "translator": "heat-translator"}
    return next((name for module, name in modules.items() if find_spec(module) is None), "")


def ask(who: str, path: str, inputs: Mapping[str, object]) -> dict[str, Any]:
    """What the child says: network, nodes, and template or error."""
    import tempfile

    job = {
        "who": who,
        "path": str(Path(path).resolve()),
        "inputs": {name: plain(value) for name, value in inputs.items()},
        "memory": MEMORY_BYTES,
        "time": TIME_S,
    }
    with tempfile.TemporaryDirectory(prefix="second-opinion-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "meghdwar.cli.peer"],
                input=json.dumps(job),
                capture_output=True,
                text=True,
                timeout=TIME_S,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder, "LC_ALL": "C.UTF-8"},
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"error": f"no answer after {TIME_S} s"}
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return {"error": f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}"}


def plain(value: object) -> object:
    """An input as plain data; the command line gives nodes."""
    from meghdwar.compiler.source import Node

    return value.data() if isinstance(value, Node) else value


# opinions
def opinion(who: str, answer: Mapping[str, Any]) -> Opinion:
    if "error" in answer:
        return Opinion(who, False, tuple(said(answer["error"])))
    if who == "tosca-parser":
        return Opinion(who, True)
    return translated(who, answer.get("template") or "")


def translated(who: str, text: str) -> Opinion:
    """A template's resources and parameters; one that is no YAML is an opinion too."""
    import yaml

    try:
        template = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        return Opinion(who, False, (f"its template is no YAML: {str(error).splitlines()[0]}",), text=text)
    if not isinstance(template, dict):
        return Opinion(who, False, ("it gave no template",), text=text)
    resources = Counter(str(r.get("type")) for r in (template.get("resources") or {}).values() if isinstance(r, dict))
    parameters = {k: str(p.get("type")) for k, p in (template.get("parameters") or {}).items() if isinstance(p, dict)}
    return Opinion(who, True, (), dict(resources), parameters, text)


def said(error: str) -> list[str]:
    """What an error says, without the lines of code that tosca-parser prints with it."""
    lines = [" ".join(line.split()) for line in error.splitlines() if line.strip()]
    named = [line for line in lines[1:] if re.match(r"[A-Z]\w*(Error|Exception|Failed|Invalid)\w*: ", line)]
    return [line[:300] for line in dict.fromkeys(named or lines[:2])][:8]


def ours(result: Result) -> Opinion:
    from meghdwar import bundle as bundles

    errors = tuple(f"{d.rule.code} {d.span}: {d.message}" for d in result.diagnostics if d.is_error)
    if result.bundle is None:
        return Opinion("mdw-compile", False, errors)
    files = bundles.to_files(result.bundle)
    return translated("mdw-compile", files[result.bundle.template].decode())


# differences
def compare(own: Opinion, other: Opinion) -> Iterator[Difference]:
    who = other.who
    if own.accepts != other.accepts:
        what = f"{other.verdict} what we {own.verdict.removesuffix('s')}"
        yield Difference(who, what, why_verdict(own, other))
    if not other.text or not own.text:
        return
    for kind in sorted({*own.resources, *other.resources}):
        mine, its = own.resources.get(kind, 0), other.resources.get(kind, 0)
        if mine != its:
            yield Difference(who, f"{its} {kind}, we {mine}", why_resource(kind, mine, its))
    for name in sorted({*own.parameters, *other.parameters}):
        mine_type, its_type = own.parameters.get(name), other.parameters.get(name)
        if mine_type != its_type:
            what = f"parameter {name}: {its_type or 'none'}, we {mine_type or 'none'}"
            yield Difference(who, what, why_parameter(mine_type, its_type))
    yield from suspicious(who, own.text, other.text)


def why_verdict(own: Opinion, other: Opinion) -> str:
    if own.accepts:
        text = " ".join(other.errors)
        return next((why for who, part, why in REASONS if who in ("", other.who) and part in text), "")
    first = own.errors[0] if own.errors else ""
    known = {
        "MDW002": "it takes the last of two equal keys and says nothing",
        "MDW24": "it leaves functions that it does not know as they are",
        "MDW310": "it does not look whether artifacts are there",
        "MDW20": "it does not check this value",
        "MDW10": "it does not look at this part of the grammar",
    }
    return next((why for code, why in known.items() if first.startswith(code)), "it does not check this")


def why_resource(kind: str, mine: int, its: int) -> str:
    if kind.startswith("OS::Senlin::"):
        return "its Senlin resources are not those that Heat accepts" if its else "it knows no clusters of gateways"
    if kind == "OS::Heat::SoftwareConfig" or kind == "OS::Heat::SoftwareDeployment":
        return "it takes other operations of the life cycle, or none"
    if kind == "OS::Neutron::Subnet" and its:
        return "it makes a subnet for every network that has an address range"
    if kind == "OS::Nova::KeyPair":
        return "it makes key pairs of its own"
    return "" if its else "it has no translation for what becomes this"


def why_parameter(mine: str | None, its: str | None) -> str:
    if its is None:
        return "it puts values in when it translates, so the stack cannot be given others"
    if its == "list":
        return "it writes a type of parameter that Heat does not have"
    if mine is None:
        return "we use only the inputs that the stack needs"
    return ""


def suspicious(who: str, own: str, other: str) -> Iterator[Difference]:
    """What its template is known to lose."""
    if apostrophe(own) and not apostrophe(other):
        yield Difference(who, "no apostrophe in its template", "it deletes every apostrophe from what it writes")
    if "flavor: null" in other:
        yield Difference(who, "a server with flavor: null", "it looks for a flavor only when needs are given")
    if "get_attr" in other and ", private," in " ".join(other.split()).replace("- private -", ", private,"):
        yield Difference(who, "addresses on a network named private", "it takes that name for granted")


def apostrophe(text: str) -> bool:
    """Is there an apostrophe in what a template says, not in how it is quoted?"""
    import yaml

    try:
        return "'" in json.dumps(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), default=str)  # noqa: S506
    except yaml.YAMLError:
        return False


# what it shows
def data(opinions: list[Opinion], differences: list[Difference], network: str) -> dict[str, object]:
    return {
        "network": network,
        "opinions": [
            {
                "who": o.who,
                "accepts": o.accepts,
                "errors": list(o.errors),
                "resources": dict(o.resources),
                "parameters": dict(o.parameters),
            }
            for o in opinions
        ],
        "differences": [{"who": d.who, "what": d.what, "why": d.why} for d in differences],
    }


def table(opinions: list[Opinion], differences: list[Difference], network: str) -> str:
    rows = [["", "verdict", "resources", "parameters", "first error"]]
    for o in opinions:
        count = (str(sum(o.resources.values())), str(len(o.parameters))) if o.text else ("-", "-")
        rows.append([o.who, o.verdict, *count, (o.errors[0][:90] if o.errors else "-")])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    out = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    out.append("")
    for o in opinions:
        out += [f"{o.who} says: {line}" for line in o.errors]
    out += [""] if any(o.errors for o in opinions) else []
    if not differences:
        out.append("No difference that we can see.")
    for difference in differences:
        out.append(f"{difference.who}: {difference.what}")
        if difference.why:
            out.append(f"    because {difference.why}")
    return "\n".join([*out, "", f"(The peers ran with {network or 'no answer about the network'}.)"])
