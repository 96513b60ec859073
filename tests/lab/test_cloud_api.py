"""`mdw serve` with a real Keystone: unmodified clients, roles and projects, and tokens that do not count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openstack
import pytest

from meghdwar.api.v1.scope import application_id
from tests.api.csar import ARTIFACTS, VNFD, csar
from tests.api.served import Served, served
from tests.api.tacker import Tacker, tackerclient
from tests.lab.observer import Observer
from tests.lab.place import REGION
from tests.lab.scene import MakeScene, get
from tests.lab.tenants import Person, Tenants
from tests.osc.typed import Typed

PACKAGES = "/vnfpkgm/v1/vnf_packages"


@contextmanager
def serving(home: Path, service: Person, *lines: str) -> Iterator[Served]:
    """A server that asks Keystone as `service`, about every token anew; `lines` go into [api]."""
    login = service.login
    section = {
        "www_authenticate_uri": login["auth_url"],
        "auth_type": "password",
        "token_cache_time": "-1",
        "service_type": "edge",
        **login,
    }
    said = [*lines, "[keystone_authtoken]", *(f"{name} = {value}" for name, value in section.items())]
    with served(home, "--auth", "keystone", config="\n".join(said)) as server:
        yield server


def test_keystone_vouches(tenants: Tenants, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    red, blue = tenants.project("red"), tenants.project("blue")
    service = tenants.person("meghdwar", tenants.find_project("service"), "service")
    root, ann = tenants.person("root", red, "admin"), tenants.person("ann", red, "member")
    eve, bob = tenants.person("eve", red, "reader"), tenants.person("bob", blue, "member")
    clouds = tenants.clouds(tmp_path, tenants.entries(root, ann, eve, bob))
    with serving(tmp_path / "home", service) as server:
        for type_ in ("edge", "nfv-orchestration"):
            tenants.catalogue(type_, server.url)
        package = by_tackerclient(Tacker(tackerclient(), "--os-cloud", "ann", clouds=clouds), tmp_path)
        by_token(server, package, ann, eve, bob)
        without_a_token_that_counts(server, tenants, ann)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
        by_openstack_edge(package, tmp_path)
        assert_tells_no_secret(server, service)


def by_tackerclient(tacker: Tacker, folder: Path) -> str:
    """Every command on packages; the id of one that is left there."""
    path, back = folder / "vnf.csar", folder / "back"
    path.write_bytes(csar())
    name, other = (str(tacker.data("create", "--user-data", "color=blue")["ID"]) for _ in range(2))
    tacker("update", name, "--user-data", "color=red")
    tacker("upload", name, "--path", str(path))
    assert tacker.onboarded(name)["User Defined Data"] == {"color": "red"}
    tacker("download", name, "--file", str(back))
    assert back.read_bytes() == path.read_bytes()
    tacker("download", name, "--vnfd", "--type", "text/plain", "--file", str(back))
    given = {"more": "", "vnfd_id": "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177", "provider": "Acme", "product": "Tiny"}
    assert back.read_text() == VNFD.format(**given, wrong="")
    tacker("artifact", "download", name, "Files/inner.zip", "--file", str(back))
    assert back.read_bytes() == ARTIFACTS["Files/inner.zip"]
    tacker("update", other, "--operational-state", "DISABLED", fails=True)  # nothing is in it yet
    assert "deleted successfully" in tacker("delete", other)
    assert [each["Id"] for each in tacker.data("list")] == [name]
    return name


def by_token(server: Served, package: str, ann: Person, eve: Person, bob: Person) -> None:
    """A member changes, a reader looks, and who is of another project finds nothing."""
    member, reader, stranger = ann.token(), eve.token(), bob.token()
    place = f"{PACKAGES}/{package}"
    for token, changed in ((member, 200), (reader, 403), (stranger, 404)):
        assert server.ask("GET", place, token=token).status == (404 if token == stranger else 200)
        answer = server.ask("PATCH", place, b'{"userDefinedData": {"by": "ann"}}', token=token, headers=MERGE)
        assert answer.status == changed, answer.body
    assert server.ask("GET", PACKAGES, token=stranger).data == []
    assert server.ask("POST", PACKAGES, {}, token=reader).status == 403
    gateway = {"name": "edge_a", "hypervisor": "lxd", "endpoint": "https://192.0.2.1:8443", "certificate": "0" * 64}
    assert "the policy asks for edge:gateways_create" in server.ask("POST", "/v1/gateways", gateway, token=member).text
    everything = server.ask("GET", "/v1/applications?all_projects=true", token=member)
    assert everything.status == 403


MERGE = {"Content-Type": "application/merge-patch+json"}


def without_a_token_that_counts(server: Served, tenants: Tenants, ann: Person) -> None:
    token = ann.token()
    forged = {"X-Identity-Status": "Confirmed", "X-Project-Id": ann.project, "X-Roles": "admin", "X-User-Id": "eve"}
    assert server.ask("GET", PACKAGES, token=token).status == 200
    tenants.revoke(token)
    for wrong in ("", "nonsense", token[:-4], token):
        answer = server.ask("GET", PACKAGES, token=wrong, headers=forged)
        assert answer.status == 401, answer.body
        assert answer.headers["WWW-Authenticate"].startswith("Keystone")
    nowhere = {name: value for name, value in ann.login.items() if name != "project_id"}
    unscoped = openstack.connect(auth=nowhere, load_yaml_config=False, load_envvars=False).auth_token
    assert "scoped to one" in server.ask("GET", PACKAGES, token=unscoped).text


def by_openstack_edge(package: str, folder: Path) -> None:
    """By clouds.yaml and the catalogue alone."""
    root, ann, eve, bob = (Typed("--os-cloud", name) for name in ("root", "ann", "eve", "bob"))
    root("gateway", "create", "edge_a", "--hypervisor", "local", "--endpoint", str(folder))
    assert [each["Name"] for each in eve.data("gateway", "list")] == ["edge_a"]
    assert eve.data("package", "show", package)["onboarding"] == "ONBOARDED"
    eve("package", "set", "--disable", package, status=1)
    assert "may not do that" in eve.said
    bob("package", "show", package, status=1)
    assert "cannot find" in bob.said
    ann("package", "set", "--disable", package)
    ann("package", "delete", package)
    assert ann.data("package", "list") == []
    root("gateway", "delete", "edge_a")


def assert_tells_no_secret(server: Served, service: Person) -> None:
    """Neither the log nor the database, nor anything else that is kept."""
    secret = service.login["password"].encode()
    kept = [path for path in server.home.rglob("*") if path.is_file() and path.name != "api.conf"]
    assert any(path.name == "server.log" for path in kept)
    assert [path for path in kept if secret in path.read_bytes()] == []


def is_up(application: dict[str, str]) -> bool:
    """What keeps it from coming up is said, and tried again by the server."""
    print(application["error"], end="", flush=True)
    return application["status"] == "up"


def test_a_stack_in_the_project_of_its_caller(
    tenants: Tenants, scene_on: MakeScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, demo, blue = scene_on("lab", "zed"), tenants.find_project("demo"), tenants.project("blue")
    service = tenants.person("lab", tenants.find_project("service"), "service")  # and the server's name of the cloud
    tenants.grant(tenants.id_of(service), demo, "member")
    ann, bob = tenants.person("ann", demo, "member"), tenants.person("bob", blue, "member")
    entries = {**tenants.entries(ann, bob), "lab": service.entry(REGION)}
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tenants.clouds(tmp_path, entries)))
    with serving(tmp_path / "home", service, "clouds = lab") as server:
        tenants.catalogue("edge", server.url)
        typed, other = Typed("--os-cloud", "ann"), Typed("--os-cloud", "bob")
        title, scene.name = scene.name, application_id(demo, scene.name)
        create = ("application", "create", title, "--plan", str(scene.plan), "--cloud")
        typed(*create, "elsewhere", status=1)
        assert "it makes them in lab" in typed.said
        other(*create, "lab", status=1)
        assert f"has no role in the project {blue}" in other.said

        assert typed.data(*create, "lab")["stack"] == f"lab/{scene.name}"
        scene.until("up", lambda: is_up(typed.data("application", "show", title)), 600)
        scene.note()
        assert len(scene._made) > 3  # they are in the project of the caller, who finds them there
        for noun in ("application", "cloudlet", "move", "gateway"):
            assert other.data(noun, "list") == []
        at = scene.counting()
        last = int(get(at["edge_a"], "/next")[1])
        with Observer(list(at.values())) as observer:
            moved = scene.timed("move", lambda: typed.data("move", "create", "arena", "--to", "edge_b", "--wait"))
            assert (moved["status"], moved["source"], moved["target"]) == ("completed", "edge_a", "edge_b")
            scene.until("it counts there", lambda: observer.answers_of(at["edge_b"]) > 0)
        observer.check(last)
        assert "move completed" in typed("move", "watch", moved["id"]).splitlines()[-1]
        assert scene.volume_at() == [scene.server("edge_b")]

        typed("application", "delete", title)
        scene.until("down", lambda: typed.data("application", "list") == [], 300)
        assert scene.left() == []
        assert_tells_no_secret(server, service)
