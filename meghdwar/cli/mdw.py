"""mdw: works the plans of mdw-compile. Every command is a function of the options and a Driver that returns a status.

What is heavy is imported where it is needed, because many commands want an answer at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from meghdwar.cli import options as options_

if TYPE_CHECKING:
    from meghdwar.cli.commands.progress import Progress
    from meghdwar.driver.control import Driver

DONE, PROBLEMS, CANNOT, WAITS, ELSEWHERE, OURS, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130

GARBAGE = 20_000  # objects until the next look for it; at 700, a tenth of starting goes into looking among the imported

# command -> the module of meghdwar.cli.commands and the function in it
COMMANDS: Mapping[str, tuple[str, str]] = {
    "up": ("applications", "up"),
    "adopt": ("applications", "adopt"),
    "status": ("applications", "status"),
    "down": ("applications", "down"),
    "fsck": ("checks", "fsck"),
    "plan_move": ("moves", "plan"),
    "move": ("moves", "move"),
    "stop": ("power", "stop"),
    "start": ("power", "start"),
    "heal": ("power", "heal"),
    "history": ("operations", "history"),
    "show": ("operations", "show"),
    "resume": ("operations", "resume"),
    "rollback": ("operations", "rollback"),
    "prune": ("operations", "prune"),
    "gateway_add": ("gateways", "add"),
    "gateway_list": ("gateways", "list_"),
    "gateway_doctor": ("gateways", "doctor"),
    "gateway_remove": ("gateways", "remove"),
    "onboard": ("packages", "onboard"),
    "package_list": ("packages", "list_"),
    "package_show": ("packages", "show_"),
    "package_enable": ("packages", "enable"),
    "package_disable": ("packages", "disable"),
    "package_delete": ("packages", "delete"),
    "package_download": ("packages", "download"),
    "sight": ("sightings", "sight"),
    "watch": ("watching", "watch"),
}
# commands that need no Driver: functions of the options alone
ALONE: Mapping[str, tuple[str, str]] = {
    "pack": ("packing", "pack"),
    "check": ("packing", "check"),
    "serve": ("serving", "serve"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the command line asks for and returns the exit status."""
    parser = options_.parser()
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help()
        return CANNOT
    try:
        return run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it says nothing more
        return DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return told(error)


def run(options: Namespace) -> int:
    gc.set_threshold(GARBAGE)
    try:
        from meghdwar.cli.commands.progress import Progress
        from meghdwar.driver import database
        from meghdwar.driver.control import Driver
        from meghdwar.driver.stacks import Stacks
    except ImportError as error:
        say(f"cannot start: {error.name or error} is not installed; pip install 'meghdwar[driver]'")
        return CANNOT
    _log(options)
    if options.run in ALONE:
        return int(_function(ALONE[options.run])(options))
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress(options)
    opened = database.open(options.database)
    driver = Driver(opened, listener=progress, stacks=Stacks(tell=progress.note))
    try:
        status = int(_function(COMMANDS[options.run])(options, driver))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        progress.close()
        return interrupted(progress, driver)
    except Exception as error:
        progress.close()
        return left_over(error, progress)
    finally:
        driver.close()
        opened.close()


def _function(where: tuple[str, str]) -> Any:
    module, name = where
    return getattr(import_module(f"meghdwar.cli.commands.{module}"), name)


def _log(options: Namespace) -> None:
    """Logs only when that is asked for: people read the progress."""
    if options.log is not None:
        from meghdwar.driver import logs

        logs.set_up(options.log_level, options.log)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# when it does not work
def interrupted(progress: Progress, driver: Driver) -> int:
    """Says what was left in the middle, and how to go on."""
    for operation in progress.current.values():
        say(f"stopped in the middle of {operation.id} ({operation.kind} of {operation.instance}); nothing is lost")
        say(f"  go on: mdw resume {operation.id}     or undo it: mdw rollback {operation.id}")
    return INTERRUPTED


def left_over(error: Exception, progress: Progress) -> int:
    """As `told`; an operation that was begun is named, and it can go on later."""
    from meghdwar.driver.operation import Busy, JournalError

    status = told(error)
    for operation in progress.current.values():
        say(f"  {operation.id} ({operation.kind} of {operation.instance}) goes on with: mdw resume {operation.id}")
        if isinstance(error, JournalError) and not isinstance(error, Busy):
            status = WAITS
    return status


def told(error: Exception) -> int:
    """Says what went wrong in one line and returns the status for it."""
    from meghdwar.bundle import BundleError
    from meghdwar.driver.cloud_api import CloudError
    from meghdwar.driver.hypervisor import HypervisorError, Stale
    from meghdwar.driver.inventory import Taken, Unknown
    from meghdwar.driver.operation import Busy, DriverError, JournalError

    if os.environ.get("MEGHDWAR_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, Stale | Busy):
        say(str(error))
        return ELSEWHERE
    if isinstance(error, BundleError | CloudError | DriverError | HypervisorError | JournalError | Taken | Unknown):
        say(str(error))
        return CANNOT
    where = _innermost(error)
    say(
        f"cannot go on: a mistake of ours ({type(error).__name__} at {where}); please report it; "
        "MEGHDWAR_TRACEBACK=1 shows more"
    )
    return OURS


def _innermost(error: Exception) -> str:
    """The place in the code where an exception came from."""
    here = error.__traceback__
    while here is not None and here.tb_next is not None:
        here = here.tb_next
    return f"{os.path.basename(here.tb_frame.f_code.co_filename)}:{here.tb_lineno}" if here is not None else "?"


def say(message: str) -> None:
    print(f"mdw: {message}" if not message.startswith(" ") else message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
