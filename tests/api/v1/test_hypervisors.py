"""/v1 on real gateways: an application comes up there, moves with its state, and is gone again."""

from __future__ import annotations

from pathlib import Path

import pytest

from meghdwar import bundle as bundles
from meghdwar.compiler import compile_file
from meghdwar.driver.hypervisor import Access
from tests.api.v1.conftest import ADMIN, Cloud, serving
from tests.contract.pairs import Pair, eventually, numbers
from tests.hypervisors.demonstration import descriptor
from tests.site import Site

pytestmark = pytest.mark.real

WITHIN_S = 300.0
FILES = ("client_certificate", "client_key", "images")


def known(cloud: Cloud, name: str, access: Access) -> None:
    body = {
        "name": name, "hypervisor": access.hypervisor, "endpoint": access.endpoint, "options": dict(access.options),
        "timeout_s": access.timeout_s,
    }  # fmt: skip
    body |= {key: getattr(access, key) for key in ("certificate", "address") if getattr(access, key)}
    body |= {key: str(getattr(access, key)) for key in FILES if getattr(access, key)}
    made = cloud("POST", "/v1/gateways", body, by=ADMIN)
    assert made.status == 201, made.body
    found = cloud("GET", f"/v1/gateways/{name}/findings", by=ADMIN).data["findings"]
    assert all(each["level"] != "error" for each in found), found


def plan(pair: Pair, folder: Path) -> dict[str, object]:
    wanted = pair.instance("unused")
    assert wanted.address is not None
    file = folder / "arena.tosca.yaml"
    file.write_text(descriptor(pair.accesses[0].hypervisor, pair.accesses, wanted.address, wanted.image))
    compiled = compile_file(str(file)).bundle
    assert compiled is not None
    return {
        "plan": compiled.plan_file,
        "files": {name: data.decode() for name, data in bundles.to_files(compiled).items()},
    }


@pytest.mark.parametrize("gateways", ["lxd", "kvm"], indirect=True)
def test_a_life_on_real_gateways(pair: Pair, site: Site, tmp_path: Path) -> None:
    with serving(site) as cloud:
        for name, access in zip(("edge_a", "edge_b"), pair.accesses, strict=True):
            known(cloud, name, access)
        asked = cloud("POST", "/v1/applications", {**plan(pair, tmp_path), "name": "shop"})
        assert asked.status == 202, asked.body
        cloud.until(asked.headers["Location"], "up", within_s=WITHIN_S)
        [arena] = cloud("GET", f"/v1/cloudlets?application={asked.data['id']}").data["cloudlets"]
        assert (arena["gateway"], arena["status"]) == ("edge_a", "up")
        instance = site.reading().inventory.instance(arena["id"]).instance
        for number in ("1", "2"):
            assert pair.ask(pair.source, instance, "/next", timeout_s=pair.patience_s) == number

        moved = cloud("POST", "/v1/moves", {"cloudlet": arena["id"], "gateway": "edge_b"})
        assert moved.status == 202, moved.body
        move = cloud.until(moved.headers["Location"], "completed", within_s=WITHIN_S)
        assert (move["source"], move["target"], move["error"]) == ("edge_a", "edge_b", "")
        assert eventually(lambda: pair.ask(pair.target, instance, "/n"), WITHIN_S) == "2"
        assert pair.ask(pair.target, instance, "/next", timeout_s=pair.patience_s) == "3"
        assert numbers(pair.log(pair.target, instance)) == [1, 2, 3]

        assert cloud("DELETE", asked.headers["Location"]).status == 202
        eventually(lambda: cloud("GET", asked.headers["Location"]).status == 404, WITHIN_S, every_s=0.5)
        assert (pair.source.inventory(), pair.target.inventory()) == ((), ())
