"""What goes on behind the requests: packages are read and fetched, what a crash left is ended, subscribers are told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from threading import Event, Thread

from meghdwar.api import notifications, outbound
from meghdwar.api.settings import Settings
from meghdwar.driver.operation import DriverError, JournalError
from meghdwar.onboard.catalogue import Catalogue, Refusal, Upload

LOG = logging.getLogger(__name__)
READERS, FETCHERS = 2, 4
RECOVER_S, NOTIFY_S = 30.0, 1.0


class Workshop:
    """Threads of one process. Whatever they are at may be cut off at any moment: the database knows how far it was."""

    def __init__(self, catalogue: Catalogue, hosts: outbound.Hosts, settings: Settings) -> None:
        self._catalogue, self._hosts, self._settings = catalogue, hosts, settings
        self._readers = ThreadPoolExecutor(READERS, "read")
        self._fetchers = ThreadPoolExecutor(FETCHERS, "fetch")
        self._end = Event()
        self._again(RECOVER_S, lambda: bool(catalogue.recover()))
        self._again(NOTIFY_S, lambda: bool(notifications.send_due(catalogue.records, hosts, self._going)))

    def close(self) -> None:
        self._end.set()
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._fetchers.shutdown(wait=False, cancel_futures=True)

    def _going(self) -> bool:
        return not self._end.is_set()

    def process(self, name: str) -> None:
        self._readers.submit(_tried, partial(self._catalogue.process, name))

    def fetch(self, upload: Upload, url: str, basic: outbound.Basic | None) -> None:
        self._fetchers.submit(_tried, partial(self._fetch, upload, url, basic))

    def _fetch(self, upload: Upload, url: str, basic: outbound.Basic | None) -> None:
        limits = {"bytes_max": self._settings.package_bytes_max, "seconds": self._settings.fetch_s_max}
        try:
            upload.take(outbound.fetch(url, self._hosts, basic, **limits))
        except JournalError:
            raise
        except DriverError as error:
            upload.refuse(Refusal(HTTPStatus.BAD_GATEWAY, str(error)))
        else:
            self.process(upload.record.id)
        finally:
            upload.close()

    def _again(self, pause_s: float, work: Callable[[], bool]) -> None:
        """Does it now and from time to time, and at once again while there is something to do."""

        def loop() -> None:
            while self._going():
                if not _tried(work):
                    self._end.wait(pause_s)

        Thread(target=loop, daemon=True).start()


def _tried(work: Callable[[], object]) -> object:
    """What goes wrong here nobody waits for: it is said in the log, and `recover` finds what it left."""
    try:
        return work()
    except JournalError as error:
        LOG.warning("%s", error)
    except Exception:
        LOG.exception("a mistake of ours")
    return None
