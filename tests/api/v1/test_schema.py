"""Requests that schemathesis makes up from the document, against a real server: no 5xx, and no answer that the document
does not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, settings

from meghdwar.api.v1.contract import document
from tests.api.v1.conftest import ADMIN, Cloud, serving
from tests.site import Site

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
checks = pytest.importorskip("schemathesis.checks")
pytestmark = pytest.mark.real

SCHEMA = schemathesis.openapi.from_dict(dict(document()))
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
STREAMS = {"moves_events", "operations_events"}  # they have a test of their own


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A server of its own: gateways that were made up are of no use to others."""
    site = Site(Path(tmp_path_factory.mktemp("site")))
    with serving(site) as found:
        found.gateways()
        found.up(name="fuzzed", by=ADMIN)
        yield found
    site.close()


@SCHEMA.parametrize()
@settings(
    max_examples=12, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_every_answer_is_as_the_document_has_it(case: Any, strange: Cloud) -> None:
    if case.operation.definition.raw["operationId"] in STREAMS:
        pytest.skip("streams have a test of their own")
    with requests.Session() as session:
        session.trust_env = False
        response = case.call(base_url=strange.served.url, headers={"X-Auth-Token": ADMIN}, session=session, timeout=30)
    case.validate_response(response, checks=CHECKS)
