"""mdw serve: the API on this machine."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from argparse import Namespace

from meghdwar.driver import logs
from meghdwar.driver.operation import DriverError

SHARED = "PROMETHEUS_MULTIPROC_DIR"


def serve(options: Namespace) -> int:
    if options.workers == 1 or SHARED in os.environ:
        return _serve(options)
    # before the library of metrics is imported: several processes put theirs together
    me, os.environ[SHARED] = os.getpid(), tempfile.mkdtemp(prefix="mdw-metrics-")
    try:
        return _serve(options)
    finally:
        if os.getpid() == me:  # its workers come by here too
            shutil.rmtree(os.environ[SHARED], ignore_errors=True)


def _serve(options: Namespace) -> int:
    try:
        from meghdwar.api import server, settings
    except ImportError as error:
        raise DriverError(f"cannot serve: {error.name} is not installed; pip install 'meghdwar[api]'") from None
    handler = logs.set_up("warning") if options.log is None else logging.NullHandler()
    try:
        found = settings.read(options.config, database=options.database, auth=options.auth)
        where = server.listening(options.listen, options.tls_cert, options.tls_key, options.workers, options.threads)
        server.serve(found, where, lambda text: print(f"mdw: {text}", file=sys.stderr, flush=True))
    finally:
        logging.getLogger().removeHandler(handler)
    return 0
