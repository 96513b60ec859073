"""A subscriber who walks about, and sightings that come late, twice or both: what is wished for is judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from meghdwar.diagnostics import Span
from meghdwar.driver.mobility import Sighting, take
from meghdwar.driver.track import Track, dump, load
from meghdwar.model import Gateway, Mobility

HERE = Span("arena.tosca.yaml")
CAPACITY = 2


class Walk:
    """`promise(kept, what)` hears of every rule; `fired` of late and repeated sightings."""

    def __init__(
        self, seed: int, names: Sequence[str], promise: Callable[[bool, str], None], fired: Callable[[str], None]
    ) -> None:
        self._draw = Random(seed)  # noqa: S311
        self._promise, self._fired = promise, fired
        self._gateways = [
            Gateway(name, "local", HERE, serves=(f"cell-{name}-1", f"cell-{name}-2"), capacity=CAPACITY)
            for name in names
        ]
        self._cells = {cell: gateway.name for gateway in self._gateways for cell in gateway.serves}
        self._rule = Mobility("follow", ("arena",), HERE, hysteresis_s=30.0, cooldown_s=self._draw.choice((0.0, 90.0)))
        self._track = Track()
        self._cell = ""
        self._at = 1000.0
        self._taken: list[tuple[float, str]] = []  # (when, gateway that serves her) of the sightings that were newer
        self._wished_at = float("-inf")

    def follow(self, home: str | None) -> str | None:
        """She walks, and stays in the end; the gateway that was wished for, or None when all is well as it is."""
        draw = self._draw
        load = {gateway.name: draw.choice((0, 0, 0, CAPACITY)) for gateway in self._gateways}
        waiting: list[Sighting] = []
        for step in range(24):
            self._at += 1 + draw.random() * 20
            if (step < 12 and draw.random() < 0.4) or not self._cell:
                self._cell = draw.choice(list(self._cells))
            waiting.append(Sighting("anna", self._at, self._cell))
            if draw.random() < 0.3:  # it comes later than the next ones
                continue
            waiting.reverse()
            for sighting in waiting:
                wish = self._see(sighting, home, load)
                if wish is None and draw.random() < 0.1:
                    wish = self._see(sighting, home, load)
                if wish is not None:
                    return wish
            waiting = [each for each in waiting if draw.random() < 0.2]  # they come once more
        return self._settled(home, load)

    def _settled(self, home: str | None, load: dict[str, int]) -> str | None:
        """She has been where she is for long: without a wish she is served, or there is no room."""
        for _ in range(8):
            self._at += 30
            wish = self._see(Sighting("anna", self._at, self._cell), home, load)
            if wish is not None:
                return wish
        wanted = self._cells[self._cell]
        why = f"{home} does not serve {self._cell} for long, {wanted} has room, and nothing is wished for"
        self._promise(home == wanted or load[wanted] >= CAPACITY, why)
        return None

    def _see(self, sighting: Sighting, home: str | None, present: dict[str, int]) -> str | None:
        known = self._taken[-1][0] if self._taken else float("-inf")
        before = self._track
        track, wish = take(sighting, before, home, self._gateways, self._rule, present.__getitem__)
        if sighting.at <= known:
            self._fired("duplicate sighting" if sighting.at == known else "late sighting")
            self._promise(track is before and wish is None, f"a sighting of {sighting.at} was taken after {known}")
            return None
        self._taken.append((sighting.at, self._cells[sighting.cell or ""]))
        self._track = load(dump({"arena": track}))["arena"]  # as it is kept
        if wish is None:
            return None
        self._judge(wish.gateway, sighting, home, present)
        self._wished_at = sighting.at
        return wish.gateway

    def _judge(self, gateway: str, sighting: Sighting, home: str | None, present: dict[str, int]) -> None:
        self._promise(gateway != home, f"a move to {gateway} was wished for, where it is")
        self._promise(present[gateway] < CAPACITY, f"a move to {gateway} was wished for, which is full")
        quiet = max(self._rule.hysteresis_s, self._rule.cooldown_s)
        since_wish = sighting.at - self._wished_at
        self._promise(since_wish >= quiet, f"a move was wished for {since_wish:.0f} s after the last, not {quiet:.0f}")
        if home is None:
            return
        self._promise(self._cells[sighting.cell or ""] == gateway, f"{gateway} does not serve {sighting.cell}")
        since = sighting.at
        for at, serves in reversed(self._taken):
            if serves != gateway:
                break
            since = at
        long = sighting.at - since
        why = f"a move to {gateway} was wished for after {long:.0f} s, not {self._rule.hysteresis_s:.0f} s"
        self._promise(long >= self._rule.hysteresis_s, why)
