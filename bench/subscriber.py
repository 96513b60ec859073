"""A subscriber who asks every 10 ms, whether or not the last answer has come, and writes down when answers come.

python bench/subscriber.py ADDRESS PORT PATH        lines `SECONDS ANSWER` on stdout, until its stdin is closed

Seconds are of time.monotonic(), which all processes of a machine share. Run it in a network namespace of its own.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

EVERY_S = 0.01
COUNTS_S = 0.1
PATIENCE_S = 1.0  # then it hangs up; meanwhile it has asked a hundred times more


@contextmanager
def counting_on(ask_next: Callable[[], object]) -> Iterator[None]:
    """Meanwhile somebody else counts on, some ten times a second, so that there is something to move."""
    over = Event()

    def count() -> None:
        while not over.wait(COUNTS_S):
            ask_next()

    writer = Thread(target=count)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


async def ask(address: str, port: int, path: str) -> None:
    try:
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    except OSError:
        return
    if b" 200 " in head.partition(b"\r\n")[0]:
        sys.stdout.write(f"{time.monotonic():.6f} {body.decode().strip()}\n")


async def poll(address: str, port: int, path: str) -> None:
    asking: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while True:
        task = asyncio.create_task(asyncio.wait_for(ask(address, port, path), PATIENCE_S))
        asking.add(task)
        task.add_done_callback(_done(asking))
        due = max(due + EVERY_S, time.monotonic() - EVERY_S)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        sys.stdout.flush()


def _done(asking: set[asyncio.Task[None]]):  # type: ignore[no-untyped-def]
    def forget(task: asyncio.Task[None]) -> None:
        asking.discard(task)
        task.cancelled() or task.exception()  # who had no answer in time has said so by not writing a line

    return forget


async def main() -> None:
    polling = asyncio.create_task(poll(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    polling.cancel()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
