"""No input is a crash or a hang: real descriptors damaged in small ways, and descriptors out of nothing but words.

Each compile has 5 seconds. docs/how-to/fuzz.md says how to run this for longer.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meghdwar import render
from meghdwar.compiler.location import Folder, Location, open_package
from meghdwar.compiler.source import read
from tests.compiler.checking import Changed, compile_entry
from tests.compiler.mutations import mutated

ROOT = Path(__file__).parents[2]
LIMIT_S = 5.0
OWN = sorted(
    [
        *ROOT.glob("tosca/examples/**/*.yaml"),
        *ROOT.glob("tests/golden/*/service*.yaml"),
        *ROOT.glob("tests/mistakes/*.yaml"),
        *ROOT.glob("tosca/*.yaml"),
    ]
)


class Hang(BaseException):
    """Not an Exception, so that nothing catches it on the way."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Ends what takes more CPU time, or waits for very long; how busy the machine is does not matter."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hang(f"no answer after {seconds} s")

    clocks = ((signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, 20 * seconds))
    before = [signal.signal(number, ring) for _, number, _ in clocks]
    for clock, _, time in clocks:
        signal.setitimer(clock, time)
    try:
        yield
    finally:
        for (clock, number, _), handler in zip(clocks, before, strict=True):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def survive(files: Location, entry: str) -> None:
    """Compiles and renders. Whatever is found has to be sayable in every format."""
    with limit(LIMIT_S):
        found = compile_entry(files, entry)
        sources = {entry: (files.read(entry) or b"").decode("utf-8", "replace")}
        render.text(found, sources)
        render.as_json(found)
        render.as_sarif(found)


def damage(path: Path, rounds: int, seed: int) -> None:
    folder, text = Folder(path.parent), path.read_bytes()
    for number in range(rounds):
        random = Random(f"{path.name} {seed} {number}")  # noqa: S311 - to choose, not to hide
        changed = Changed(folder, path.name, mutated(text, random))
        try:
            survive(changed, path.name)
        except (Exception, Hang) as error:
            kept = Path("/tmp") / f"meghdwar-fuzz-{path.stem}-{seed}-{number}.yaml"  # noqa: S108 - to look at
            kept.write_bytes(changed.content)
            raise AssertionError(f"{path} with seed {seed}, round {number} (kept as {kept})") from error


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_damage_to_our_own_descriptors(path: Path, pytestconfig: pytest.Config) -> None:
    damage(path, pytestconfig.getoption("--fuzz-rounds") or 20, pytestconfig.getoption("--fuzz-seed"))


def test_damage_to_a_corpus(pytestconfig: pytest.Config) -> None:
    corpus = pytestconfig.getoption("--corpus")
    if not corpus or not Path(corpus).is_dir():
        pytest.skip("no corpus: give one with --corpus PATH or MEGHDWAR_CORPUS to damage real templates as well")
    paths = sorted(path for path in Path(corpus).rglob("*.y*ml") if path.is_file() and path.stat().st_size < 200_000)
    assert paths
    rounds = pytestconfig.getoption("--fuzz-rounds") or 1
    for path in paths:
        damage(path, rounds, pytestconfig.getoption("--fuzz-seed"))


# out of nothing
WORDS = sorted({word for path in OWN for word in re.findall(r"[A-Za-z_][\w.$-]+", path.read_text("utf-8"))})
words = st.sampled_from(WORDS)
scalars = st.one_of(words, st.text(max_size=8), st.integers(), st.floats(), st.booleans(), st.none())
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=5)),
    max_leaves=30,
)
SECTIONS = [
    *("imports", "metadata", "dsl_definitions", "repositories", "functions", "topology_template", "service_template"),
    *("data_types", "capability_types", "node_types", "relationship_types"),
    *("artifact_types", "interface_types", "group_types", "policy_types"),
]
TEMPLATE = [
    *("inputs", "node_templates", "relationship_templates", "groups", "policies"),
    *("outputs", "substitution_mappings", "workflows"),
]
entries = st.dictionaries(words, trees, max_size=4)
templates = st.dictionaries(st.sampled_from(TEMPLATE), st.one_of(entries, trees), max_size=4)
versions = st.sampled_from(["tosca_simple_yaml_1_0", "tosca_simple_yaml_1_3", "tosca_2_0"])
QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def documents(draw: st.DrawFn) -> str:
    version = draw(versions)
    document: dict[str, Any] = {"tosca_definitions_version": version}
    document |= draw(st.dictionaries(st.sampled_from(SECTIONS), st.one_of(entries, trees), max_size=3))
    document["service_template" if version == "tosca_2_0" else "topology_template"] = draw(templates)
    return yaml.dump(document, sort_keys=False)


def settled() -> settings:
    """The quick settings, or those of a profile that was chosen with --hypothesis-profile."""
    return QUICK if settings.get_current_profile_name() == "default" else settings()


@settled()
@given(documents())
def test_descriptors_out_of_nothing(text: str) -> None:
    survive(Changed(Folder(ROOT / "tosca"), "nothing.yaml", text.encode()), "nothing.yaml")


@settled()
@given(st.one_of(st.text(), st.text("{}[]:-?&*!|>'\"#%@` \n\tab<", max_size=60), st.binary(max_size=200)))
def test_yaml_out_of_nothing(text: str | bytes) -> None:
    with limit(LIMIT_S):
        node, problems = read(text, "f.yaml")
        assert node is not None or problems
        render.text(problems, {"f.yaml": text if isinstance(text, str) else text.decode("latin-1")})
        if node is not None:
            node.data()


@settled()
@given(st.binary(max_size=300))
def test_packages_out_of_nothing(data: bytes) -> None:
    with limit(LIMIT_S):
        open_package(data, "p.csar")
        open_package(b"PK\5\6" + data, "p.csar")
