"""Who did what is written down, and what was done is counted."""

from __future__ import annotations

import json
from pathlib import Path

from tests.api.conftest import PACKAGES, TOKENS, MakeHere


def test_who_did_what(make_here: MakeHere, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    here = make_here(f"audit_log = {path}")
    name = here.create()
    here.show(name)
    here.ask("POST", PACKAGES, by="ann", json={})
    here.ask("GET", PACKAGES, by="")
    here.ask("DELETE", f"{PACKAGES}/{name}", by="eve")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(each["user"], each["project"], each["method"], each["status"]) for each in lines] == [
        ("bob", "here", "POST", 201),
        ("ann", "here", "POST", 403),
        (None, None, "GET", 401),
        ("eve", "there", "DELETE", 404),
    ]
    assert lines[3]["path"] == f"{PACKAGES}/{name}"
    assert path.stat().st_mode & 0o077 == 0
    assert not any(token in path.read_text() for token in TOKENS.values())


def test_the_metrics(make_here: MakeHere) -> None:
    here = make_here()
    for _ in range(3):
        here.show(here.create())
    assert here.ask("GET", "/metrics", by="").status_code == 401
    text = here.ask("GET", "/metrics", by="ann").text
    route = "/vnfpkgm/v1/vnf_packages/<uuid:package_id>"
    assert f'meghdwar_api_requests_total{{method="GET",route="{route}",status="200"}} 3.0' in text
    assert "meghdwar_operations_working" in text
