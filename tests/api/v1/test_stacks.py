"""Applications with a stack: in clouds that the server has, in the project of the caller, and seen by nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meghdwar import bundle as bundles
from meghdwar.driver.cloud_api import Cloud, CloudError, Silent
from meghdwar.driver.hypervisor import Access
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.stacks import NOVA, StackName, Stacks
from tests.api.conftest import Here, MakeHere
from tests.site import Site

CLOUDS = "clouds = lab, second"


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What brings the arena up."""
    site = Site(Path(tmp_path_factory.mktemp("site")))
    bundle = site.bundle()
    site.close()
    return {"plan": bundle.plan_file, "files": {k: v.decode() for k, v in bundles.to_files(bundle).items()}}


class Doors:
    """Clouds that let nobody in; `asked` is who knocked, and for which project."""

    def __init__(self, error: CloudError) -> None:
        self.asked: list[tuple[str, str]] = []
        self._error = error

    def __call__(self, name: str, project: str) -> Cloud:
        self.asked.append((name, project))
        raise self._error


def asked(here: Here, body: dict[str, Any], cloud: str, by: str = "bob") -> tuple[int, str]:
    answer = here.ask("POST", "/v1/applications", by=by, json={**body, "cloud": cloud})
    return answer.status_code, answer.json["detail"]


@pytest.mark.parametrize(("config", "said"), [("", "until its operator sets clouds"), (CLOUDS, "in lab, second")])
def test_a_cloud_that_the_server_has_not(make_here: MakeHere, body: dict[str, Any], config: str, said: str) -> None:
    status, detail = asked(make_here(config), body, "elsewhere")
    assert status == 409
    assert said in detail


@pytest.mark.parametrize(
    ("error", "status"), [(CloudError("cannot log in"), 409), (Silent("cannot hear it", status=503), 502)]
)
def test_a_cloud_that_lets_nobody_in(make_here: MakeHere, body: dict[str, Any], error: CloudError, status: int) -> None:
    here, doors = make_here(CLOUDS), Doors(error)
    here.backend.driver.stacks = Stacks(connect=doors)
    assert asked(here, body, "lab") == (status, str(error))
    assert doors.asked == [("lab", "here")]
    assert here.backend.driver.inventory.applications() == []
    assert here.backend.driver.inventory.tasks() == []


def test_the_machines_own_project_is_that_of_clouds_yaml(make_here: MakeHere, site: Site) -> None:
    driver, doors = make_here().backend.driver, Doors(CloudError("cannot log in"))
    stacks = Stacks(connect=doors)
    for project in ("default", "red"):
        record = driver.record(site.bundle(), project=project, stack=StackName("lab", "arena"))
        with pytest.raises(CloudError):
            stacks.found(record)
    assert doors.asked == [("lab", ""), ("lab", "red")]


def test_servers_of_anothers_stack_are_not_there(here: Here, site: Site) -> None:
    driver = here.backend.driver
    stack = StackName("lab", "arena-here")
    driver.inventory.add_application(driver.record(site.bundle(), project="here", title="arena", stack=stack))
    for name, hypervisor, endpoint in (
        ("everybodys", "lxd", "https://192.0.2.1:8443"),
        ("ours", NOVA, str(stack)),
        ("theirs", NOVA, "lab/arena-there"),
    ):
        driver.inventory.add_gateway(GatewayRecord(Access(name, hypervisor, endpoint)))
    listed = here.ask("GET", "/v1/gateways").json["gateways"]
    assert [each["name"] for each in listed] == ["everybodys", "ours"]
    assert here.ask("GET", "/v1/gateways/ours").status_code == 200
    assert here.ask("GET", "/v1/gateways/theirs").status_code == 404
    everything = here.ask("GET", "/v1/gateways", by="eve").json["gateways"]
    assert [each["name"] for each in everything] == ["everybodys", "ours", "theirs"]
