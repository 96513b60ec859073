"""The life of an application over HTTP, on real processes: it comes up, moves, stops, starts, is healed, goes down."""

from __future__ import annotations

import pytest

from tests.api.v1.conftest import ADMIN, BLUE, READER, Cloud, events, serving
from tests.contract.pairs import eventually
from tests.site import Site

pytestmark = pytest.mark.real


def test_a_whole_life(cloud: Cloud) -> None:
    name = cloud.up(name="life")
    assert name.startswith("life-")
    shown = cloud("GET", f"/v1/cloudlets/{name}")
    assert (shown.data["gateway"], shown.data["status"]) == ("edge_a", "up")
    instance = cloud.site.reading().inventory.instance(name).instance
    assert cloud.site.ask("edge_a", instance, "/next") == "1"

    moved = cloud("POST", "/v1/moves", {"cloudlet": name, "gateway": "edge_b"}, If_Match=shown.headers["ETag"])
    assert moved.status == 202, moved.body
    place = moved.headers["Location"]
    seen = list(events(cloud, place))
    assert [kind for _, kind, _ in seen[-1:]] == ["ended"]
    steps = [data["step"] for _, kind, data in seen if kind == "step" and data["phase"] == "done"]
    assert steps == ["stage", "fence", "pause", "transfer", "attach", "wake", "reroute", "settle", "retire"]
    assert [data for _, _, data in events(cloud, place, last=len(steps) * 2 - 1)] == [data for *_, data in seen[-2:]]
    done = cloud("GET", place).data
    assert (done["status"], done["source"], done["target"]) == ("completed", "edge_a", "edge_b")
    assert done["gap_s"] > 0
    assert cloud.site.ask("edge_b", instance, "/next") == "2"

    stale = cloud("POST", "/v1/moves", {"cloudlet": name, "gateway": "edge_a"}, If_Match=shown.headers["ETag"])
    assert stale.status == 412
    for act, status in (("stop", "stopped"), ("start", "up"), ("heal", "up")):
        asked = cloud("POST", f"/v1/cloudlets/{name}/{act}")
        assert asked.status == 202, asked.body
        assert cloud.until(asked.headers["Location"], "completed")["kind"] == act
        assert cloud("GET", f"/v1/cloudlets/{name}").data["status"] == status
    assert cloud.site.ask("edge_b", instance, "/next") == "3"

    application = f"/v1/applications/{shown.data['application']}"
    assert cloud("DELETE", application).status == 202
    eventually(lambda: cloud("GET", application).status == 404, 30)
    assert cloud.site.gateways["edge_b"].inventory() == ()


def test_the_same_key_is_one_operation(cloud: Cloud) -> None:
    name = cloud.up(name="once")
    body = {"cloudlet": name, "gateway": "edge_b"}
    first = cloud("POST", "/v1/moves", body, Idempotency_Key="mine-1")
    again = cloud("POST", "/v1/moves", body, Idempotency_Key="mine-1")
    assert (first.status, again.status) == (202, 202)
    assert first.headers["Location"] == again.headers["Location"]
    cloud.until(first.headers["Location"], "completed")
    later = cloud("POST", "/v1/moves", body, Idempotency_Key="mine-1")
    assert (later.status, later.data["status"]) == (202, "completed")
    other = cloud("POST", "/v1/moves", {**body, "gateway": "edge_a"}, Idempotency_Key="mine-1")
    assert other.status == 422
    assert cloud("POST", f"/v1/cloudlets/{name}/stop", Idempotency_Key="mine-1").status == 422
    assert cloud("POST", "/v1/moves", body).status == 409, "it is there already"
    assert len(cloud("GET", f"/v1/moves?cloudlet={name}").data["moves"]) == 1


def test_a_plan_again_changes_nothing_and_another_is_refused(cloud: Cloud) -> None:
    cloud.up(name="again")
    body = {**cloud.plan(), "name": "again"}
    assert cloud("POST", "/v1/applications", body).status == 202
    assert cloud("POST", "/v1/applications", {**body, "inputs": {"lives": 9}}).status == 409
    edited = {name: text.replace("counter", "encounter") for name, text in body["files"].items()}
    assert cloud("POST", "/v1/applications", {**body, "files": edited}).status == 400


def test_a_cloudlet_is_terminated_and_built_again(cloud: Cloud) -> None:
    name = cloud.up(name="phoenix")
    application = cloud("GET", f"/v1/cloudlets/{name}").data["application"]
    gone = cloud("DELETE", f"/v1/cloudlets/{name}")
    cloud.until(gone.headers["Location"], "completed")
    eventually(lambda: cloud("GET", f"/v1/cloudlets/{name}").status == 404, 10)
    assert cloud("GET", f"/v1/applications/{application}").data["status"] == "degraded"
    built = cloud("POST", "/v1/cloudlets", {"application": application, "cloudlet": "arena", "gateway": "edge_b"})
    assert built.status == 202, built.body
    cloud.until(built.headers["Location"], "completed")
    assert cloud("GET", f"/v1/cloudlets/{name}").data["gateway"] == "edge_b"


def test_cloudlets_follow_who_was_seen(cloud: Cloud) -> None:
    cloud.up(name="follow", instances="per_subscriber")
    application = cloud("GET", "/v1/applications?name=follow").data["applications"][0]["id"]
    seen = cloud("POST", "/v1/sightings", {"subscriber": "anna", "cell": "cell-1", "application": application})
    assert (seen.status, [each["wanted"] for each in seen.data["followed"]]) == (202, ["edge_a"])
    hers = f"/v1/cloudlets?subscriber=anna&application={application}"

    def at(gateway: str) -> bool:
        found = cloud("GET", hers).data["cloudlets"]
        return [(each["gateway"], each["status"]) for each in found] == [(gateway, "up")]

    eventually(lambda: at("edge_a"), 30)
    followed = cloud("POST", "/v1/sightings", {"subscriber": "anna", "cell": "cell-3"})
    assert followed.status == 202
    eventually(lambda: at("edge_b"), 30)


# who may see what
def test_projects_never_see_each_others_things(cloud: Cloud) -> None:
    theirs, ours = cloud.up(name="shop"), cloud.up(name="shop", by=BLUE)
    assert theirs != ours, "two projects may use one name"
    application = cloud("GET", f"/v1/cloudlets/{theirs}").data["application"]
    moved = cloud("POST", "/v1/moves", {"cloudlet": theirs, "gateway": "edge_b"})
    place = moved.headers["Location"]
    cloud.until(place, "completed")
    operation = moved.data["id"]
    for method, path, body in (
        ("GET", f"/v1/applications/{application}", None),
        ("DELETE", f"/v1/applications/{application}", None),
        ("GET", f"/v1/cloudlets/{theirs}", None),
        ("DELETE", f"/v1/cloudlets/{theirs}", None),
        ("POST", f"/v1/cloudlets/{theirs}/stop", None),
        ("POST", "/v1/moves", {"cloudlet": theirs, "gateway": "edge_a"}),
        ("POST", "/v1/cloudlets", {"application": application, "cloudlet": "arena"}),
        ("POST", "/v1/sightings", {"subscriber": "eve", "cell": "cell-1", "application": application}),
        ("GET", place, None),
        ("GET", f"{place}/events", None),
        ("GET", f"/v1/operations/{operation}", None),
        ("POST", f"/v1/operations/{operation}/rollback", {}),
        ("GET", f"/v1/moves?marker={operation}", None),
    ):
        refused = cloud(method, path, body, by=BLUE)
        assert refused.status == 404, (method, path, refused.body)
        assert refused.headers["Content-Type"] == "application/problem+json"
    misspelt = cloud("GET", f"/v1/applications/{application[:-1]}", by=BLUE).data["detail"]
    assert application not in misspelt, "nor is it named as what may have been meant"
    for room in ("applications", "cloudlets", "moves", "operations"):
        assert application not in cloud("GET", f"/v1/{room}", by=BLUE).body.decode()
        assert cloud("GET", f"/v1/{room}?all_projects=true", by=BLUE).status == 403
        assert application in cloud("GET", f"/v1/{room}?all_projects=true", by=ADMIN).body.decode()


def test_who_reads_changes_nothing_and_who_is_nobody_reads_nothing(cloud: Cloud) -> None:
    assert cloud("GET", "/v1/gateways", by=READER).status == 200
    for method, path in (("POST", "/v1/moves"), ("DELETE", "/v1/applications/x"), ("POST", "/v1/sightings")):
        assert cloud(method, path, {}, by=READER).status == 403
    for token in ("", "x" * 20):
        assert cloud("GET", "/v1/cloudlets", by=token).status == 401
    for method, path in (
        ("POST", "/v1/gateways"),
        ("DELETE", "/v1/gateways/edge_a"),
        ("GET", "/v1/gateways/edge_a/findings"),
    ):
        assert cloud(method, path, {} if method == "POST" else None).status == 403
    assert cloud("GET", "/v1/gateways/edge_a").data == {"name": "edge_a", "hypervisor": "local"}
    assert cloud("GET", "/v1/gateways/edge_a", by=ADMIN).data["endpoint"].endswith("edge_a")
    assert cloud("GET", "/v1/openapi.json", by="").data["openapi"] == "3.1.0"


def test_pages_hold_everything_once(cloud: Cloud) -> None:
    cloud.up(name="paged")
    every = [each["id"] for each in cloud("GET", "/v1/operations").data["operations"]]
    found, place = [], "/v1/operations?limit=2"
    while place:
        page = cloud("GET", place)
        found += [each["id"] for each in page.data["operations"]]
        link = page.headers.get("Link", "")
        place = link[1 : link.index(">")].removeprefix(cloud.served.url) if link else ""
    assert found == every
    assert len(set(found)) == len(found)


# what is hostile
DEEP = "[" * 5000
BOMB = "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/applications", b"{", 400),
        ("/v1/applications", DEEP.encode() * 40, 400),
        ("/v1/applications", {"plan": "a.plan.yaml", "files": {"a.plan.yaml": BOMB}}, 400),
        ("/v1/applications", {"plan": "a.plan.yaml", "files": {"a.plan.yaml": DEEP}}, 400),
        ("/v1/applications", {"plan": "../a.plan.yaml", "files": {"../a.plan.yaml": "x: 1"}}, 400),
        ("/v1/applications", {"plan": "a.plan.yaml", "files": {"b.yaml": "x: 1"}}, 400),
        ("/v1/applications", b'{"plan": "a.plan.yaml", "files": {"a.plan.yaml": "\\ud800"}}', 400),
        ("/v1/applications", b'{"plan": "a.plan.yaml", "files": {"a.plan.yaml": "x"}, "inputs": {"n": 1e999}}', 400),
        ("/v1/moves", {"cloudlet": "x\u0000", "gateway": "edge_b"}, 400),
        ("/v1/moves", {"cloudlet": "x", "gateway": "edge_b", "more": 1}, 400),
        ("/v1/moves", [], 400),
        ("/v1/sightings", {"subscriber": "anna"}, 400),
        ("/v1/sightings", {"subscriber": "*", "cell": "c"}, 400),
        ("/v1/sightings", b'{"subscriber": "anna", "latencies_ms": {"edge_a": NaN}}', 400),
        ("/v1/cloudlets/x/explode", None, 404),
    ],
)  # fmt: skip
def test_hostile_bodies_are_refused(cloud: Cloud, path: str, body: object, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    refused = cloud("POST", path, body, **headers)
    assert refused.status == status, refused.body
    assert refused.data["detail"].startswith("cannot ")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1&limit=2", "nothing=1", "application=%00", "all_projects=maybe"]
)
def test_hostile_filters_are_refused(cloud: Cloud, query: str) -> None:
    assert cloud("GET", f"/v1/cloudlets?{query}").status == 400


# what was answered outlives the server
def test_what_was_asked_for_outlives_the_server(site: Site) -> None:
    with serving(site, config="work = 0") as asking:
        own = asking.plan(a=', endpoint: "local:/tmp/own"', b=', endpoint: "local:/tmp/own2"')
        refused = asking("POST", "/v1/applications", own)
        assert (refused.status, "nobody knows where" in refused.data["detail"]) == (409, True), (
            "only admins bring gateways"
        )
        asking.gateways()
        body = {**asking.plan(), "name": "left"}
        assert asking("POST", "/v1/applications", body).status == 202
        assert asking("GET", "/v1/applications").data["applications"][0]["status"] == "building"
        asking.served.kill()
    with serving(site) as working:
        [application] = working("GET", "/v1/applications").data["applications"]
        working.until(f"/v1/applications/{application['id']}", "up")
