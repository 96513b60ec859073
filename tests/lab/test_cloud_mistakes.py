"""What people get wrong on a real cloud, by the commands that they type: each is told with a way out, before anything
is made, and what was made is named. No server boots here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from meghdwar import bundle as bundles
from meghdwar.driver import database, heat
from meghdwar.driver.control import Driver
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.stacks import StackName
from tests.lab.conftest import LABS
from tests.lab.scene import ARENA, MakeScene, Scene

FAILED = 2  # the status of a command that could not do it


@pytest.fixture
def scene(scene_on: MakeScene) -> Scene:
    return scene_on("lab", "zed")


def another_cloud(scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch, region: str = "", **auth: str) -> None:
    """From now on there is a cloud `other`: as that of the scene, but for this."""
    if scene.cloud.name not in LABS:
        pytest.skip(f"how one logs in at {scene.cloud.name} is not known; it takes the lab")
    known = yaml.safe_load(Path(os.environ["OS_CLIENT_CONFIG_FILE"]).read_text())["clouds"]
    entry = known[scene.cloud.name]
    other = {**entry, "region_name": region or entry["region_name"], "auth": {**entry["auth"], **auth}}
    file = folder / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {**known, "other": other}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))


def refused(scene: Scene, cloud: str, plan: Path | None = None) -> str:
    """What `mdw up` says, which makes nothing."""
    said = scene.mdw("up", str(plan or scene.plan), "--cloud", cloud, "--stack", scene.name, status=FAILED)
    assert heat.find(scene.cloud, scene.name) is None
    assert scene.mdw.ask("status") == []
    return said


def test_wrong_credentials(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another_cloud(scene, tmp_path, monkeypatch, password="wrong")  # noqa: S106
    said = refused(scene, "other")
    assert "cannot log in at other: it does not take these credentials; check user, password, project" in said
    assert "cannot find out which cloud nowhere is" in refused(scene, "nowhere")


@pytest.fixture
def identity(scene: Scene) -> Any:
    """Keystone, as its administrator."""
    if scene.cloud.name not in LABS:
        pytest.skip(f"nobody is the administrator of {scene.cloud.name}; it takes the lab")
    import openstack

    return openstack.connect(cloud="lab-admin")


@pytest.fixture
def without_senlin(identity: Any) -> Iterator[str]:
    """A region that has all that a stack takes, but Senlin."""
    keystone, region = identity.identity, f"mdw-test-{os.getpid()}"
    types = {found.id: found.type for found in keystone.services()}
    wanted = [e for e in keystone.endpoints(region_id="RegionOne") if types[e.service_id] != "clustering"]
    keystone.create_region(id=region)
    made = []
    try:
        for each in wanted:
            found = {"service_id": each.service_id, "interface": each.interface, "url": each.url}
            made.append(keystone.create_endpoint(region_id=region, **found))
        yield region
    finally:
        for each in made:
            keystone.delete_endpoint(each)
        keystone.delete_region(region)


def test_a_region_without_senlin(
    scene: Scene, without_senlin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_cloud(scene, tmp_path, monkeypatch, region=without_senlin)
    said = refused(scene, "other")
    assert "cannot use other: it has no Senlin in its catalogue; compile with --target static" in said


@pytest.fixture
def poor(identity: Any) -> Iterator[str]:
    """A project of demo's that may have one server and no volume."""
    keystone, name = identity.identity, f"mdw-test-{os.getpid()}"
    project = keystone.create_project(name=name, domain_id="default")
    try:
        demo = next(iter(keystone.users(name="demo")))
        for role in ("member", "heat_stack_owner"):
            keystone.assign_project_role_to_user(project, demo, keystone.find_role(role))
        for service, quota in (("compute", {"instances": 1}), ("block_storage", {"volumes": 0})):
            url = f"/os-quota-sets/{project.id}"
            answer = getattr(identity, service).put(url, json={"quota_set": quota})
            assert answer.status_code == 200, answer.text
        yield name
    finally:
        keystone.delete_project(project)


def test_a_quota_that_is_too_small_and_a_zone_that_is_not_there(
    scene: Scene, poor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_cloud(scene, tmp_path, monkeypatch, project_name=poor)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    zone = Scene.make(scene.cloud.name, "zed", scene.name, elsewhere, ARENA.replace("edge-2", "edge-9"))
    said = refused(scene, "other", zone.plan)
    assert "cannot bring arena up in other; nothing was made:" in said
    assert "cannot make 2 instances: the quota leaves 1 of 1; have it raised, or free some" in said
    assert "cannot make 1 volumes: the quota leaves 0 of 0; have it raised, or free some" in said
    assert re.search("cannot find zone 'edge-9' in this cloud: .*edge-2.*; see openstack availability zone list", said)


def on_paper(scene: Scene, *, fails: bool = False) -> None:
    """The application is up as far as the driver knows, with a stack of this name that has only its parameters."""
    template: dict[str, Any] = {
        "heat_template_version": "2018-08-31",
        "parameters": {"arena_at": {"type": "string", "default": "edge_a"}},
        "resources": {"one": {"type": "OS::Heat::TestResource", "properties": {"fail": fails}}},
        "outputs": {"meghdwar_plan": {"value": bundles.identity(scene.bundle.name, scene.bundle.plan)}},
    }
    body = {"stack_name": scene.name, "template": template, "disable_rollback": True, "timeout_mins": 5}
    scene.cloud.ask("orchestration", "POST", "/stacks", body)
    heat.await_stack(scene.cloud, heat.the(scene.cloud, scene.name).id)
    with closing(database.open(str(scene.mdw.folder / "mdw.db"))) as opened:
        driver = Driver(opened)
        driver.admit(driver.record(scene.bundle, stack=StackName(scene.cloud.name, scene.name)))
        [(instance, home)] = driver.wanted("arena").instances()
        driver.inventory.add_instance(InstanceRecord(instance, home))


def test_a_stack_that_failed(scene: Scene) -> None:
    on_paper(scene, fails=True)
    why = rf"{scene.name} is CREATE_FAILED: .*; see openstack stack failures list {scene.name}"
    for words in (
        ("move", "arena", "--to", "edge_b"),
        ("adopt", scene.name, str(scene.plan), "--cloud", scene.cloud.name),
    ):
        assert re.search(why.replace(f"{scene.name} is", f"{scene.name}:? .*is"), scene.mdw(*words, status=FAILED))
    said = scene.mdw("fsck", status=1)
    assert f"stack-failed: stack {scene.name} is CREATE_FAILED: " in said
    assert (
        f"see openstack stack failures list {scene.name}; mdw down arena takes it away, mdw up builds it anew" in said
    )
    other = scene.mdw.folder / "other.db"  # of somebody who knows nothing of it
    said = scene.mdw(
        "up",
        str(scene.plan),
        "--cloud",
        scene.cloud.name,
        "--stack",
        scene.name,
        "--database",
        str(other),
        status=FAILED,
    )
    assert f"cannot create stack {scene.name}: there is one, and it is CREATE_FAILED; see openstack" in said
    scene.mdw("down", "arena")
    assert heat.find(scene.cloud, scene.name) is None


def test_a_parameter_changed_by_hand_and_a_stack_deleted_behind_our_back(scene: Scene) -> None:
    on_paper(scene)
    found = heat.the(scene.cloud, scene.name)
    body = {"existing": True, "parameters": {"arena_at": "edge_b"}}
    scene.cloud.ask("orchestration", "PATCH", f"/stacks/{found.name}/{found.id}", body)
    heat.await_stack(scene.cloud, found.id)
    said = scene.mdw("fsck", status=1)
    assert f"stack-disagrees: stack {scene.name} says that arena is at edge_b; it is at edge_a" in said
    assert "arena_at was changed by hand, or a move ended badly; the next move or mdw adopt tells it again" in said

    heat.delete(scene.cloud, scene.bundle, scene.name)
    gone = f"cannot go on with arena: its stack {scene.cloud.name}/{scene.name} is gone, and its volumes with it; "
    assert gone + "mdw down arena" in scene.mdw("move", "arena", "--to", "edge_b", status=FAILED)
    assert f"stack-missing: stack {scene.name} is gone" in scene.mdw("fsck", status=1)
    scene.mdw("down", "arena")
    assert scene.mdw.ask("status") == []
    assert scene.mdw.gateways() == {}
