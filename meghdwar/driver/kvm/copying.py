"""Makes one volume what another is, at another gateway, by reading both and sending only what differs.

Nothing is remembered between two copies, so nothing that is remembered can be wrong: what the target has is read from
the target each time. A last copy reads back what it has sent; every other byte was compared as it was read, so both
sides are the same. Holes are neither read nor sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from meghdwar.driver.hypervisor import Copied, Unverified
from meghdwar.driver.kvm.pool import WINDOW, Pool, Window

T = TypeVar("T")
CHUNK = 64 * 1024  # what differs is found in pieces of this size
NEAR = 1024 * 1024  # pieces no further apart than this are sent as one: each upload costs some milliseconds
ZEROS = bytes(CHUNK)


def copy(
    source: Pool, source_volume: str, target: Pool, target_volume: str, tick: Callable[[], None], *, final: bool
) -> Copied:
    """`tick` is called before anything is changed, again and again. With `final` the copy is proved, or Unverified."""
    whole, sent, offset = hashlib.sha256(), 0, 0
    asked = f"verify {target_volume}"
    while True:
        theirs, ours = _both(
            lambda at=offset: source.read(source_volume, at, WINDOW),  # type: ignore[misc]
            lambda at=offset: target.read(target_volume, at, WINDOW),  # type: ignore[misc]
        )
        for start, end in _together(differing(theirs, ours)):
            tick()
            content = memoryview(theirs.content)[start:end]
            target.write(target_volume, offset + start, content)
            sent += end - start
            if final and target.read(target_volume, offset + start, end - start).content != content:
                raise Unverified(target.connection.access.gateway, asked, "what arrived is not what was sent")
        for start, end in _chunks(theirs):
            whole.update(f"{offset + start} {end - start}\n".encode())
            whole.update(memoryview(theirs.content)[start:end])
        offset += len(theirs.content)
        if len(theirs.content) < WINDOW:
            break
    return Copied(sent, f"sha256:{whole.hexdigest()}" if final else "")


def differing(theirs: Window, ours: Window) -> Iterator[tuple[int, int]]:
    """The pieces of a window that the target has otherwise, or not at all."""
    size = len(theirs.content)
    for number in sorted(_covered(theirs) | _covered(ours)):
        start, end = number * CHUNK, min((number + 1) * CHUNK, size)
        # slices of a memoryview are compared byte by byte, those of a bytearray at once
        if start < end and theirs.content[start:end] != ours.content[start:end].ljust(end - start, b"\0"):
            yield start, end


def _covered(window: Window) -> set[int]:
    return {number for start, end in window.extents for number in range(start // CHUNK, (end - 1) // CHUNK + 1)}


def _chunks(window: Window) -> Iterator[tuple[int, int]]:
    """Those that hold more than zeros: a hole and a written zero are the same."""
    for number in sorted(_covered(window)):
        start, end = number * CHUNK, min((number + 1) * CHUNK, len(window.content))
        if window.content[start:end] != ZEROS[: end - start]:
            yield start, end


def _together(pieces: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Pieces that lie near each other as one; what is between them is the same on both sides."""
    begun: tuple[int, int] | None = None
    for start, end in pieces:
        if begun is None:
            begun = (start, end)
        elif start - begun[1] <= NEAR:
            begun = (begun[0], end)
        else:
            yield begun
            begun = (start, end)
    if begun is not None:
        yield begun


def _both(one: Callable[[], T], two: Callable[[], T]) -> tuple[T, T]:
    """Both at the same time; what either raises is raised, once both have ended."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.submit(one), pool.submit(two)
    return first.result(), second.result()
