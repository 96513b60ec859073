"""What a driver does in numbers, for Prometheus: a listener of the driver and an observer of the loop that count.

Names and labels are in docs/reference/metrics.md. Nothing here is called by what moves cloudlets.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server

from meghdwar.driver.account import BY_ATTACH
from meghdwar.driver.control import Event
from meghdwar.driver.follow import Followed, Noted
from meghdwar.driver.hypervisor import Stale
from meghdwar.driver.operation import DOING, DONE, ENDED, FAILED, UNDOING, UNDONE, WAITING, Operation
from meghdwar.driver.stream import Bad
from meghdwar.driver.track import Sighting
from meghdwar.driver.watch import Observer

STEP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
GAP_S = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10, 30, 60)

GOING_MAX = 10_000  # operations whose steps are timed at once


@dataclass(slots=True)
class _Going:
    """An operation that is being worked: when its step, and its gap, began by our clock; or how long its gap was."""

    step_at: float = 0.0
    paused_at: float | None = None
    gap_s: float | None = None


@dataclass(slots=True)
class _Server:
    server: Any
    thread: Any


class Metrics(Observer):
    """Call it as a listener of the driver, and give it to the loop as an observer. Each has a registry of its own, so
    that a process may have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._lock = Lock()
        self._going: dict[str, _Going] = {}
        self._servers: list[_Server] = []
        mine: Mapping[str, Any] = {"namespace": "meghdwar", "registry": self.registry}
        self.operations = Counter(
            "operations", "Operations that ended or have to wait", ["kind", "strategy", "outcome"], **mine
        )
        self.begun = Counter("operations_begun", "Operations begun or taken up again", ["kind", "strategy"], **mine)
        self.working = Gauge("operations_working", "Operations that are being worked", **mine)
        self.waiting = Gauge("operations_waiting", "Wishes and operations that wait for a worker", **mine)
        self.steps = Histogram(
            "step_seconds", "How long a step took", ["kind", "strategy", "step", "outcome"], buckets=STEP_S, **mine
        )
        self.gaps = Histogram(
            "gap_seconds", "How long nobody could write in a move", ["strategy"], buckets=GAP_S, **mine
        )
        self.sent = Counter("sent_bytes", "Bytes of state that went to another gateway", ["strategy"], **mine)
        self.retries = Counter("retries", "Steps that were tried again", ["kind", "step", "gateway"], **mine)
        self.sightings = Counter("sightings", "Sightings, for each cloudlet that follows", ["result"], **mine)
        self.wishes = Counter("wishes", "Moves and builds that were wished for", ["result"], **mine)
        self.leases_lost = Counter("leases_lost", "Work that another driver has taken over", **mine)
        self.failures = Counter("failures", "What could not be done and was told", ["error"], **mine)
        self.reachable = Gauge("gateway_reachable", "1 when the gateway answers, else 0", ["gateway"], **mine)
        self.seen_at = Gauge("newest_sighting_seconds", "Time of the newest sighting, since 1970", **mine)

    # a listener of the driver
    def __call__(self, event: Event) -> None:
        operation, now = event.operation, time.monotonic()
        with self._lock:
            if event.error is not None:
                self.retries.labels(operation.kind, event.message.partition(" ")[0], event.error.gateway).inc()
            elif event.entry is not None:
                self._step(operation, event, now)
            elif event.message == "begins":
                self._begin(operation, now)
            elif not event.message:
                self._end(operation)

    def _begin(self, operation: Operation, now: float) -> None:
        if len(self._going) >= GOING_MAX:  # some never end here: another driver has them
            self._going.pop(next(iter(self._going)))
        self._going[operation.id] = _Going(now)
        self.begun.labels(operation.kind, operation.strategy).inc()

    def _step(self, operation: Operation, event: Event, now: float) -> None:
        entry, going = event.entry, self._going.setdefault(operation.id, _Going(now))
        assert entry is not None  # noqa: S101 - whoever calls has looked
        if entry.phase in (DOING, UNDOING):
            going.step_at = now
            if (entry.step, entry.phase) == ("pause", DOING) and operation.strategy != "live":  # which pauses nothing
                going.paused_at = now
            return
        if entry.phase not in (DONE, UNDONE, FAILED):
            return
        self.steps.labels(operation.kind, operation.strategy, entry.step, entry.phase).observe(now - going.step_at)
        if entry.detail.get("sent_bytes"):
            self.sent.labels(operation.strategy).inc(int(entry.detail["sent_bytes"]))
        if str(entry.detail.get("way", "")).startswith(BY_ATTACH):
            going.paused_at = None
        going.gap_s = entry.detail.get("gap_s", going.gap_s)
        if (entry.step, entry.phase) == ("reroute", DONE):
            gap_s = going.gap_s if going.paused_at is None else now - going.paused_at
            if gap_s is not None:
                self.gaps.labels(operation.strategy).observe(gap_s)
            going.paused_at = going.gap_s = None

    def _end(self, operation: Operation) -> None:
        self._going.pop(operation.id, None)
        if operation.status in (*ENDED, WAITING):
            self.operations.labels(operation.kind, operation.strategy, operation.status).inc()

    # an observer of the loop
    def took(self, sighting: Sighting, noted: Sequence[Noted]) -> None:
        for each in noted:
            self.sightings.labels(each.dropped or "taken").inc()
        if any(not each.dropped for each in noted):
            self.seen_at.set(sighting.at)

    def passed_over(self, bad: Bad) -> None:
        self.sightings.labels("bad").inc()

    def followed(self, followed: Followed) -> None:
        status = "nothing to do" if followed.operation is None else followed.operation.status
        self.wishes.labels("busy" if followed.busy else status).inc()

    def lost(self, what: str, error: Stale) -> None:
        self.leases_lost.inc()

    def failed(self, what: str, error: Exception) -> None:
        self.failures.labels(type(error).__name__).inc()

    def looked(self, waiting: int, working: int) -> None:
        self.waiting.set(waiting)
        self.working.set(working)

    def reached(self, gateways: Mapping[str, bool]) -> None:
        """Which gateways answer; those that are not named any more are forgotten."""
        with self._lock:
            self.reachable.clear()
            for gateway, answers in gateways.items():
                self.reachable.labels(gateway).set(int(answers))

    # for Prometheus
    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry).decode()

    def start(self, port: int, address: str = "127.0.0.1") -> int:
        """Serves them at http://ADDRESS:PORT/metrics until `close`; the port, which is chosen when 0 was asked for.
        Raises OSError when it cannot be had."""
        server, thread = start_http_server(port, address, registry=self.registry)
        self._servers.append(_Server(server, thread))
        return int(server.server_port)

    def close(self) -> None:
        for each in self._servers:
            each.server.shutdown()
            each.server.server_close()
            each.thread.join(1)
        self._servers.clear()
