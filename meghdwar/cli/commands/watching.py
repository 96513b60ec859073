"""mdw watch: a driver that stays, takes sightings in, works what follows, and finishes what others left."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from threading import Event, Lock
from typing import IO, Any

from meghdwar.cli.commands.operations import row, sentence
from meghdwar.cli.commands.sightings import data, told
from meghdwar.driver import logs
from meghdwar.driver.control import Driver
from meghdwar.driver.follow import Followed
from meghdwar.driver.members import Members
from meghdwar.driver.metrics import Metrics
from meghdwar.driver.observers import Observers, listeners
from meghdwar.driver.operation import DriverError, Operation
from meghdwar.driver.reach import keep_asking
from meghdwar.driver.stream import Bad, Clock, read, replayed
from meghdwar.driver.tending import Tending
from meghdwar.driver.track import Sighting
from meghdwar.driver.watch import Alone, Observer, Settings, Tally, Watch

DONE, BAD_LINE, LEFT = 0, 1, 3
STDIN = "-"


def watch(options: Namespace, driver: Driver) -> int:
    if options.application is not None:
        driver.inventory.application(options.application)
    if options.speed is not None and options.sightings is None:
        raise DriverError("cannot replay at a speed: name the sightings")
    if options.speed is not None and not 0 <= options.speed < float("inf"):
        raise DriverError(f"cannot replay at the speed {options.speed}: it has to be 0 or more")
    with ExitStack() as stack:
        stack.enter_context(_logged(options))
        metrics = stack.enter_context(_served(options, driver))
        loop = Watch(
            driver,
            _settings(options),
            observer=Observers(metrics, Printed(options, driver)),
            clock=Clock() if options.speed is None else Clock.of_replay(options.speed),
            tends=Tending(driver),
        )
        driver.listener = listeners([driver.listener, metrics], loop.hear)
        stack.enter_context(_ended_by_signals(loop))  # before anything can be waited for
        loop.members = stack.enter_context(_members(options, driver))
        if options.speed is None and not options.quiet:
            print("mdw: watching; SIGTERM or Ctrl-C ends it in order", file=sys.stderr, flush=True)
        tally = loop.run(stack.enter_context(_stream(options, loop)))
    summarize(tally)
    if tally.strict_at is not None:
        return BAD_LINE
    return LEFT if tally.left else DONE


def _settings(options: Namespace) -> Settings:
    replay = options.speed is not None
    return Settings(
        application=options.application,
        workers=options.workers,
        strict=options.strict,
        replayed=replay,
        in_step=replay,
    )


def summarize(tally: Tally) -> None:
    parts = [f"{tally.taken} sightings taken in", f"{tally.dropped} dropped", f"{tally.bad} bad lines"]
    parts += [f"{tally.worked} operations worked"]
    parts += [f"{tally.pending} that may follow later"] if tally.pending else []
    print(f"mdw: {', '.join(parts)}", file=sys.stderr)
    if tally.strict_at is not None:
        print(f"mdw: {tally.strict_at}", file=sys.stderr)
    if tally.left:
        print(f"mdw: {tally.left} operations are left to other drivers, or to mdw resume", file=sys.stderr)


# what goes in
@contextmanager
def _stream(options: Namespace, loop: Watch) -> Iterator[Iterable[Sighting | Bad] | None]:
    if options.sightings is None:
        yield None
    elif options.sightings == STDIN:
        yield _replayed(options, sys.stdin.buffer, "standard input", loop)
    else:
        try:
            file = open(options.sightings, "rb")  # noqa: SIM115 - closed below
        except OSError as error:
            raise DriverError(f"cannot read {options.sightings}: {error.strerror}") from None
        with file:
            yield _replayed(options, file, options.sightings, loop)


def _replayed(options: Namespace, file: IO[bytes], name: str, loop: Watch) -> Iterable[Sighting | Bad]:
    if options.speed is None:
        return read(file, name)
    return replayed(read(file, name, clock=None), options.speed, loop.stopping.wait)


# what comes out
class Printed(Observer):
    """Prints what was done: sentences for people, JSON lines for programs."""

    def __init__(self, options: Namespace, driver: Driver) -> None:
        self._programs = options.format != "table"
        self._driver = driver
        self._lock = Lock()

    def _print(self, sentence: str, data: Any, *, error: bool = False) -> None:
        with self._lock:
            if self._programs:
                print(json.dumps(data, ensure_ascii=False), flush=True)
            else:
                print(sentence, file=sys.stderr if error else sys.stdout, flush=True)

    def followed(self, followed: Followed) -> None:
        if followed.operation is not None or followed.busy:
            self._print(told(self._driver, followed), {"followed": data(self._driver, followed)})

    def finished(self, operation: Operation) -> None:
        found = row(self._driver, operation)
        self._print(sentence(found), {"finished": found})

    def tended(self, application: str, done: str) -> None:
        self._print(done, {"tended": {"application": application, "done": done}})

    def passed_over(self, bad: Bad) -> None:
        self._print(f"mdw: {bad}", {"bad": {"place": bad.place, "why": bad.why}}, error=True)

    def lost(self, what: str, error: Exception) -> None:
        if self._programs:  # people read the log
            self._print("", {"lost": {"what": what, "error": str(error)}})

    def failed(self, what: str, error: Exception) -> None:
        if self._programs:
            self._print("", {"failed": {"what": what, "error": str(error)}})


# what is round it
@contextmanager
def _logged(options: Namespace) -> Iterator[None]:
    """Whoever stays says what goes wrong meanwhile, also when nobody asked for a log."""
    if options.log is not None:
        yield
        return
    handler = logs.set_up("warning")
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def _served(options: Namespace, driver: Driver) -> Iterator[Metrics]:
    metrics, end = Metrics(), Event()
    try:
        if options.metrics is not None:
            try:
                port = metrics.start(options.metrics)
            except (OSError, OverflowError) as error:
                raise DriverError(f"cannot serve metrics on port {options.metrics}: {error}") from None
            print(f"mdw: metrics at http://127.0.0.1:{port}/metrics", file=sys.stderr, flush=True)
            keep_asking(driver, metrics.reached, end)
        yield metrics
    finally:
        end.set()
        metrics.close()


@contextmanager
def _members(options: Namespace, driver: Driver) -> Iterator[Alone | Members]:
    url = options.members or os.environ.get("MEGHDWAR_MEMBERS", "")
    if not url:
        yield Alone()
        return
    with closing(Members(url, driver.owner)) as joined:
        yield joined


@contextmanager
def _ended_by_signals(loop: Watch) -> Iterator[None]:
    """The first asks to end when what is worked is done, the second hands it over at once."""
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: loop.stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
