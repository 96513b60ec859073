"""mdw up, status and down: an application comes up from its plan, is looked at, and goes away."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from meghdwar import bundle as bundles
from meghdwar.bundle import Bundle, BundleError, stack_name
from meghdwar.cli import options as options_
from meghdwar.cli.commands.operations import told
from meghdwar.cli.commands.output import fancy, show
from meghdwar.driver.account import recovered
from meghdwar.driver.control import PAST_MAX, Driver
from meghdwar.driver.inventory import InstanceRecord
from meghdwar.driver.operation import COMPLETED, RUNNING, WAITING, DriverError, Operation
from meghdwar.driver.stacks import StackName
from meghdwar.model import Gateway

COLUMNS = ("instance", "cloudlet", "subscriber", "gateway", "state", "operation")


def up(options: Namespace, driver: Driver) -> int:
    path = Path(options.plan)
    if not path.exists():
        raise BundleError(f"cannot read {path}: there is no such file; mdw-compile writes it")
    bundle = bundles.read(path)
    operations = driver.up(
        bundle,
        router=options.router,
        images=_images(options),
        parameters=_inputs(options),
        stack=_stack(options, bundle),
    )
    return told(options, driver, operations, f"{bundle.name} is up already; nothing was changed")


def _images(options: Namespace) -> Path | None:
    images = None if options.images is None else Path(options.images)
    if images is not None and not images.is_dir():
        raise DriverError(f"cannot use the images of {images}: there is no such folder")
    return images


def _inputs(options: Namespace) -> dict[str, object]:
    inputs = {name: _scalar(text) for name, text in given(options.input, "input").items()}
    for name, file in given(options.input_file, "input file").items():
        try:
            inputs[name] = Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise DriverError(f"cannot read the input {name}: {file}: {why}") from None
    return inputs


def _stack(options: Namespace, bundle: Bundle) -> StackName | None:
    builds = any(not gateway.stands for gateway in bundle.plan.each(Gateway))
    cloud = options.cloud or (os.environ.get("OS_CLOUD") if builds or options.stack else None)
    if cloud:
        return StackName(cloud, options.stack or stack_name(bundle.name))
    if options.stack is not None:
        raise DriverError(f"cannot make stack {options.stack}: nobody said in which cloud; give --cloud")
    return None


def given(pairs: list[str], what: str) -> dict[str, str]:
    """The K=V of an option. Raises DriverError."""
    try:
        return options_.pairs(pairs, what)
    except ValueError as error:
        raise DriverError(str(error)) from None


def _scalar(text: str) -> object:
    """A value as it would be read from YAML, so that 3 and true are what they look like."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def down(options: Namespace, driver: Driver) -> int:
    operations = driver.down(options.application)
    return told(options, driver, operations, f"{options.application} is down; nothing of it ran")


# adopt
def adopt(options: Namespace, driver: Driver) -> int:
    from meghdwar.driver import adoption

    cloud = options.cloud or os.environ.get("OS_CLOUD")
    if not cloud:
        raise DriverError(f"cannot adopt {options.stack}: nobody said in which cloud; give --cloud")
    stack = StackName(cloud, options.stack)
    bundle = adoption.plan_of(driver, stack, _plans(Path(options.plan)))
    operations = adoption.adopt(driver, bundle, stack, router=options.router, images=_images(options))
    return told(options, driver, operations, f"{bundle.name} is ours, with the stack {stack}; see mdw status")


def _plans(path: Path) -> list[Path]:
    """The plan files that are meant: one, or those in a folder and in its folders."""
    if path.is_dir():
        return sorted([*path.glob("*.plan.yaml"), *path.glob("*/*.plan.yaml")])
    if not path.exists():
        raise BundleError(f"cannot read {path}: there is no such file or folder; mdw-compile writes it")
    return [path]


# status
def status(options: Namespace, driver: Driver) -> int:
    if not options.watch:
        show(options, rows(driver, options.application), columns=COLUMNS, nothing=_nothing(driver, options.application))
        return 0
    while True:
        if fancy(options, sys.stdout):
            sys.stdout.write("\x1b[2J\x1b[H")
        show(options, rows(driver, options.application), columns=COLUMNS, nothing=_nothing(driver, options.application))
        sys.stdout.flush()
        time.sleep(1)


def _nothing(driver: Driver, application: str | None) -> str:
    if application is None:
        return "nothing is up"
    return f"{application} is up, and none of its cloudlets runs: they are built at a subscriber's first sighting"


def rows(driver: Driver, application: str | None) -> list[dict[str, Any]]:
    """One for each instance. `state` is up, or what is being done to it."""
    if application is not None:
        driver.inventory.application(application)
    open_ = {
        operation.instance: operation
        for status in (RUNNING, WAITING)
        for operation in driver.journal.operations(application=application, status=status)
    }
    abandoned = {operation.id for operation in driver.journal.abandoned()}
    records = driver.inventory.instances(application)
    found = _recovered(driver, application)
    return [_row(record, open_.get(record.name), abandoned, found.get(record.name, "")) for record in records]


def _recovered(driver: Driver, application: str | None) -> dict[str, str]:
    """Instance -> what it goes on with since its last move, if that was one without its source."""
    done = driver.journal.operations(application=application, status=COMPLETED, limit=PAST_MAX)
    newest = {operation.instance: operation for operation in reversed(done) if operation.kind in ("build", "move")}
    return {
        name: recovered(operation, driver.journal.entries(operation.id))
        for name, operation in newest.items()
        if operation.fenced is not None
    }


def _row(record: InstanceRecord, operation: Operation | None, abandoned: set[str], lost: str) -> dict[str, Any]:
    instance = record.instance
    state = "up" if record.gateway is not None else "nowhere"
    if lost:
        state += f", recovered: {lost}"
    if operation is not None:
        way = f" to {operation.target}" if operation.target else ""
        state = f"{operation.kind}{way}"
        if operation.status == WAITING:
            state += f", waiting: {operation.error}"
        elif operation.id in abandoned:
            state += ", its driver died: mdw resume"
    return {
        "instance": instance.name,
        "application": instance.application,
        "cloudlet": instance.cloudlet,
        "subscriber": instance.subscriber,
        "gateway": record.gateway,
        "state": state,
        "operation": None if operation is None else operation.id,
        "address": instance.address,
        "epoch": record.epoch,
    }
