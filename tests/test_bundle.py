"""What the compiler writes is what the driver reads, and nothing that was changed in between."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from meghdwar import bundle
from meghdwar.bundle import Bundle, BundleError, Plan, Step
from meghdwar.compiler import compile_file
from meghdwar.compiler.targets import hot, target
from meghdwar.diagnostics import Span
from meghdwar.model import Application, Attribute, Cloudlet, ClusterPolicy, Join, Parameter, Ready, Token
from tests.compiler.applications import arena, everything, gateway, policy, standing


def packed(application: Application, target_: str = "senlin", heat: str = "2024.1") -> Bundle:
    stack, plan, _diagnostics = target(target_)(application, heat)
    templates = {f"{application.name}.hot.yaml": hot.emit(stack.data())}
    return bundle.make(
        application.name, templates, plan, parameters={"flavor": "m1.big"}, scripts={"a/run.sh": b"\xff"}
    )


def bare(plan: Plan) -> Plan:
    """Places in the descriptor do not travel, and the elements come in the order of the sections."""
    order = list(bundle.SECTIONS.values())
    items: list[Any] = []
    for item in sorted(plan.items, key=lambda i: order.index(type(i))):
        plain = replace(item, origin=Span(""))
        items.append(replace(plain, places={}) if isinstance(plain, ClusterPolicy) else plain)
    return replace(plan, items=tuple(items))


EXPRESSIONS = arena(
    gateways=(gateway("edge_a", metadata={"$x": "y", "a": {"$parameter": 1}}), standing("edge_b")),
    image=Join(("a-", Parameter("image", ("at", 0)), Token(Attribute("edge_a", ("address",)), ".", 1)), "-"),
    environment={"PORT": Parameter("port")},
    ready=Ready(port=80, command=("true",), within_s=5.0),
    address=Parameter("address"),
)


@pytest.mark.parametrize(
    "application", [arena(), everything(), EXPRESSIONS], ids=["arena", "everything", "expressions"]
)
@pytest.mark.parametrize(("target_", "heat"), [("senlin", "zed"), ("senlin", "plugin"), ("static", "2026.2")])
def test_a_bundle_comes_back_from_its_files(application: Application, target_: str, heat: str) -> None:
    written = packed(application, target_, heat)
    files = bundle.to_files(written)
    found = bundle.from_files("arena.plan.yaml", files)
    assert bare(found.plan) == bare(written.plan)
    assert found.files == written.files
    assert (found.name, found.template, found.environment) == ("arena", "arena.hot.yaml", "arena.env.yaml")
    assert found.digest == written.digest
    assert bundle.to_files(found) == files


def test_the_same_bundle_has_the_same_bytes() -> None:
    assert bundle.to_files(packed(everything())) == bundle.to_files(packed(everything()))


def test_the_places_of_the_descriptor_leave_no_trace() -> None:
    moved = [replace(element, origin=Span("/elsewhere/x.yaml", 7)) for element in everything().elements]
    application = replace(everything(), elements=tuple(moved), origin=Span("/elsewhere/x.yaml"))
    assert bundle.to_files(packed(application)) == bundle.to_files(packed(everything()))


def test_the_plan_says_what_everything_is_in_the_stack() -> None:
    document = yaml.safe_load(bundle.to_files(packed(arena(policy("health"))))["arena.plan.yaml"])
    assert document["gateways"]["edge_a"]["stack"] == {"profile": "edge_a_profile"}
    assert document["cloudlets"]["arena"]["stack"] == {"at": "arena_at", "server": "arena_server"}
    assert document["volumes"]["saves"]["stack"] == {"attachment": "arena_saves", "volume": "saves"}
    assert [step["act"] for step in document["complete"]] == [
        "give-certificate", "create-node", "create-node", "set-parameter", "delete-policy",
    ]  # fmt: skip
    assert all(step["reason"] for step in document["complete"])


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("arena.plan.yaml", b"hypervisor: lxd", b"hypervisor: kvm", "edited by hand"),
        ("arena.plan.yaml", b"act: create-node", b"act: delete-node", "edited by hand"),
        ("arena.plan.yaml", b"version: 1", b"version: 2", "of version 2"),
        ("arena.hot.yaml", b"edge-lxd", b"edge-lxc", "was changed"),
        ("arena.env.yaml", b"m1.big", b"m1.bag", "was changed"),
    ],
)
def test_a_change_is_noticed(file: str, old: bytes, new: bytes, says: str) -> None:
    files = bundle.to_files(packed(arena()))
    assert old in files[file]
    with pytest.raises(BundleError, match=says):
        bundle.from_files("arena.plan.yaml", {**files, file: files[file].replace(old, new, 1)})


def test_a_missing_file_is_noticed() -> None:
    files = bundle.to_files(packed(arena()))
    del files["arena.env.yaml"]
    with pytest.raises(BundleError, match=r"arena\.env\.yaml is missing"):
        bundle.from_files("arena.plan.yaml", files)


@pytest.mark.parametrize(
    "text", ["", "a: [", "[]", "a: 1", "digest: x\nversion: 1\nfiles: []", "!!python/object:os.system {}"]
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="cannot"):
        bundle.from_files("arena.plan.yaml", {"arena.plan.yaml": text.encode()})


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    written = packed(arena())
    paths = bundle.write(written, tmp_path / "out")
    assert paths[-1].name == "arena.plan.yaml"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a",
        "arena.env.yaml",
        "arena.hot.yaml",
        "arena.plan.yaml",
    ]
    assert bundle.read(paths[-1]).files == written.files
    bundle.write(packed(arena(), heat="plugin"), tmp_path / "out")
    assert bundle.read(paths[-1]).plan.heat == "plugin"


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    bundle.write(packed(arena()), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    broken = packed(arena(), heat="plugin")
    files = {**broken.files, "a/run.sh/no": b"a file is in the way"}
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        bundle.write(replace(broken, files=files), tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("name", ["../arena.hot.yaml", "/etc/passwd"])
def test_a_plan_cannot_name_files_elsewhere(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.plan.yaml").write_text(yaml.safe_dump({"version": 1, "digest": "x", "files": {name: "0"}}))
    with pytest.raises(BundleError, match="outside its folder"):
        bundle.read(tmp_path / "x.plan.yaml")


def test_under_another_name_its_stack_bears_the_identity_of_that_name() -> None:
    before = compile_file(str(files("meghdwar.tosca") / "examples" / "arena.tosca.yaml")).bundle
    assert before is not None
    after = bundle.called(before, "other")
    borne = yaml.safe_load(after.files[after.template])["outputs"]["meghdwar_plan"]["value"]
    assert borne == bundle.identity("other", after.plan) != bundle.identity(before.name, before.plan)
    assert bundle.from_files("other.plan.yaml", bundle.to_files(after)).digest == after.digest
    assert bundle.called(before, before.name) == before


def test_the_command_and_what_to_add_to_it() -> None:
    made = packed(arena())
    assert made.command() == "openstack stack create -t arena.hot.yaml -e arena.env.yaml --wait arena"
    assert made.command("other").endswith("--wait other")
    assert replace(made, name="2 arenas").command().endswith("--wait s2-arenas")
    (advice,) = made.advice()
    assert advice.startswith("add --parameter-file driver_certificate=FILE: ")


def test_steps_keep_their_arguments() -> None:
    plan = Plan("x", complete=(Step("act", "created", "r", "why", {"a": (1, 2), "b": Parameter("p")}),))
    made = bundle.make("x", {"x.hot.yaml": ""}, plan)
    assert bundle.from_files("x.plan.yaml", bundle.to_files(made)).plan.complete == plan.complete


def test_a_cloudlet_keeps_its_mounts() -> None:
    found = bundle.from_files("arena.plan.yaml", bundle.to_files(packed(arena())))
    (cloudlet,) = found.plan.each(Cloudlet)
    assert cloudlet == replace(next(arena().each(Cloudlet)), origin=Span("arena.plan.yaml"))
