"""Which drivers are at work, and what is whose: so that several keep out of each other's way.

Nothing is decided here. The claim on an instance decides who may act (journal); a wrong answer from here, or none,
makes two drivers want the same thing, and one of them finds it claimed.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event as Flag
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from meghdwar.driver.logs import hidden
from meghdwar.driver.operation import DriverError

LOG = logging.getLogger(__name__)

GROUP = b"meghdwar"
EVERY_S = 2.0  # between two signs of life
GONE_S = 10.0  # who has not given one for so long is not counted any more
PARTITIONS = 64  # places on the ring for each driver: more of them share out more evenly
ANSWER_S = 5.0  # the longest that we wait for an answer

# Where a dead member stays in the group for ever, its signs of life are in what it says of itself.
SILENT_ABOUT_THE_DEAD = frozenset({"file"})


class Members:
    """A driver among others, told apart by `name`. `mine` answers at once, from what was seen last; until the others
    were seen, and while they cannot be, everything is ours.

    Raises DriverError for a URL that nobody understands. A server that does not answer is asked again and again.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        every_s: float = EVERY_S,
        gone_s: float = GONE_S,
        alive: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._name, self._every_s, self._gone_s, self._alive = url, name, every_s, gone_s, alive
        self._beats = itertools.count(1)
        self._silent = urlsplit(url).scheme in SILENT_ABOUT_THE_DEAD
        self._seen: dict[str, tuple[bytes, float]] = {}  # its last sign of life, and when we saw it
        self._ring: Any = None
        self._lock, self._end = Lock(), Flag()
        self._away = False
        self._coordinator: Any = self._made()
        self._thread = Thread(target=self._live, name="members", daemon=True)
        self._thread.start()

    def _made(self) -> Any:
        from tooz import coordination

        try:
            return coordination.get_coordinator(self._url, self._name.encode())
        except Exception as error:  # stevedore's, tooz's, or of the library that it would load
            where = hidden(self._url)
            kind = urlsplit(self._url).scheme or self._url
            why = hidden(str(error)) or type(error).__name__
            raise DriverError(
                f"cannot share the work through {where}: {why}; it has to be like file:///run/meghdwar or "
                f"redis://HOST:6379 (pip install 'tooz[{kind}]' brings what {kind} needs)"
            ) from None

    # what is whose
    def mine(self, name: str) -> bool:
        """Whether work on what is called that is ours to begin."""
        ring = self._ring
        return ring is None or self._name in ring.get_nodes(name.encode())

    def names(self) -> list[str]:
        """The drivers that are at work, as far as we know; without an answer, we alone."""
        ring = self._ring
        return [self._name] if ring is None else sorted(ring.nodes)

    # living
    def close(self) -> None:
        """Leaves the others, who take our part over."""
        self._end.set()
        self._thread.join(2 * ANSWER_S)

    def _live(self) -> None:
        joined = False
        while not self._end.is_set():
            try:
                if not joined:
                    self._join()
                    joined = True
                self._beat()
                self._ring = self._made_ring()
                if self._away:
                    LOG.info("the other drivers can be seen again through %s", hidden(self._url))
                self._away = False
            except Exception as error:  # any driver of tooz has errors of its own
                if not self._away:
                    why = hidden(str(error)) or type(error).__name__
                    LOG.warning("cannot see the other drivers through %s: %s", hidden(self._url), why)
                self._away, self._ring, joined = True, None, False
                self._start_anew()
            self._end.wait(self._every_s)
        self._leave()

    def _join(self) -> None:
        from tooz.coordination import GroupAlreadyExist, MemberAlreadyExist

        self._coordinator.start(start_heart=False)
        with suppress(GroupAlreadyExist):
            self._coordinator.create_group(GROUP).get(timeout=ANSWER_S)
        with suppress(MemberAlreadyExist):  # from before we lost the connection
            self._say()

    def _say(self) -> None:
        self._coordinator.join_group(GROUP, str(next(self._beats)).encode()).get(timeout=ANSWER_S)

    def _beat(self) -> None:
        from tooz.coordination import MemberNotJoined

        if not self._silent:
            self._coordinator.heartbeat()
            if self._name.encode() not in self._coordinator.get_members(GROUP).get(timeout=ANSWER_S):
                self._say()  # we were taken for dead
            return
        with suppress(MemberNotJoined):
            self._coordinator.leave_group(GROUP).get(timeout=ANSWER_S)
        self._say()

    def _made_ring(self) -> Any:
        from tooz.hashring import HashRing

        now = self._alive()
        for member in self._coordinator.get_members(GROUP).get(timeout=ANSWER_S):
            name, sign = member.decode(errors="replace"), b""
            if self._silent:
                sign = self._sign_of(member)
            before = self._seen.get(name)
            if before is None or before[0] != sign or not self._silent:
                self._seen[name] = (sign, now)
        # who is missing for a moment only, because it says anew that it lives, is still there
        limit = now - (self._gone_s if self._silent else 2 * self._every_s)
        self._seen = {name: seen for name, seen in self._seen.items() if seen[1] >= limit}
        return HashRing({*self._seen, self._name}, partitions=PARTITIONS)

    def _sign_of(self, member: bytes) -> bytes:
        from tooz import ToozError

        try:
            return bytes(self._coordinator.get_member_capabilities(GROUP, member).get(timeout=ANSWER_S))
        except ToozError:
            return b""  # it has just left, or says anew that it lives

    def _start_anew(self) -> None:
        try:
            self._coordinator.stop()
        except Exception:
            LOG.debug("the connection to the other drivers was lost already", exc_info=True)
        try:
            self._coordinator = self._made()
        except DriverError as error:
            LOG.debug("%s", error)

    def _leave(self) -> None:
        try:
            self._coordinator.leave_group(GROUP).get(timeout=ANSWER_S)
            self._coordinator.stop()
        except Exception:
            LOG.debug("cannot tell the other drivers that we leave", exc_info=True)
