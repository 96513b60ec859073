"""What the API does in numbers, for Prometheus. Names and labels are in docs/reference/metrics.md."""

from __future__ import annotations

import os
import time

from flask import Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from meghdwar.driver.metrics import Metrics

ANSWER_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
SHARED = "PROMETHEUS_MULTIPROC_DIR"  # where the processes of one server put theirs together


class Measures:
    """Those of the API and, in `driver`, those of the driver in this process: a listener and an observer."""

    def __init__(self) -> None:
        self.driver = Metrics()
        registry = self.driver.registry
        self.requests = Counter(
            "api_requests", "Requests that were answered", ["method", "route", "status"], namespace="meghdwar",
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "api_request_seconds", "Until the answer began", ["method", "route"], buckets=ANSWER_S,
            namespace="meghdwar", registry=registry,
        )  # fmt: skip

    def begin(self) -> None:
        g.began_at = time.monotonic()

    def end(self, response: Response) -> Response:
        """The route is as it is declared: an id in it would make a series for each package."""
        route = request.url_rule.rule if request.url_rule is not None else "none"
        method = request.method if request.method in _METHODS else "other"
        self.requests.labels(method, route, str(response.status_code)).inc()
        self.seconds.labels(method, route).observe(time.monotonic() - g.began_at)
        return response

    def text(self) -> bytes:
        """Everything, as Prometheus reads it: of all processes of this server."""
        if SHARED not in os.environ:
            return generate_latest(self.driver.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
