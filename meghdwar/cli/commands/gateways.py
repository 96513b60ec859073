"""mdw gateway add, list, doctor and remove: how the driver gets to know gateways, and what it finds there."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from meghdwar.cli.commands.applications import given
from meghdwar.cli.commands.output import moment, show
from meghdwar.diagnostics import nearest
from meghdwar.driver import certificate
from meghdwar.driver.control import Driver
from meghdwar.driver.gateways import HYPERVISORS
from meghdwar.driver.hypervisor import Access, Finding, HypervisorError
from meghdwar.driver.inventory import GatewayRecord
from meghdwar.driver.operation import DriverError

GOOD, BAD = 0, 1
AT_ONCE = 16


# add
def add(options: Namespace, driver: Driver) -> int:
    access = _access(options)
    known = {record.name: record.access for record in driver.inventory.gateways()}
    if known.get(access.gateway) == access:
        print(f"{access.gateway} is known already; nothing was changed")
        return GOOD
    if access.gateway in known:
        raise DriverError(
            f"cannot add {access.gateway}: it is known already, with other settings; forget it first: "
            f"mdw gateway remove {access.gateway}"
        )
    if access.endpoint.startswith("https://"):
        access = _with_certificate(access)
    driver.inventory.add_gateway(GatewayRecord(access))
    print(f"{access.gateway} is known now; see whether all is well there: mdw gateway doctor {access.gateway}")
    return GOOD


def _access(options: Namespace) -> Access:
    if options.hypervisor not in HYPERVISORS:
        raise DriverError(
            f"cannot add {options.name}: there is no hypervisor {options.hypervisor!r}; "
            f"{nearest(options.hypervisor, HYPERVISORS)}"
        )
    endpoint = options.endpoint
    if options.hypervisor == "local":
        endpoint = str(Path(endpoint.removeprefix("local:")).expanduser().absolute())
    files = {name: getattr(options, name) for name in ("client_certificate", "client_key", "images")}
    for name, path in files.items():
        if path is not None and not Path(path).exists():
            raise DriverError(f"cannot add {options.name}: --{name.replace('_', '-')}: there is no {path}")
    paths = {name: None if path is None else Path(path).absolute() for name, path in files.items()}
    return Access(
        options.name,
        options.hypervisor,
        endpoint,
        certificate=options.certificate,
        client_certificate=paths["client_certificate"],
        client_key=paths["client_key"],
        address=options.address,
        images=paths["images"],
        options=given(options.option, "option"),
        timeout_s=options.timeout,
    )


def _with_certificate(access: Access) -> Access:
    """Compares the fingerprint that was given with the one that is shown. Never trusts the first one that comes."""
    asked = f"cannot add {access.gateway}"
    try:
        wanted = None if access.certificate is None else certificate.normal(access.certificate)
    except ValueError as error:
        raise DriverError(f"{asked}: {error}") from None
    try:
        shown = certificate.shown_at(access.endpoint, min(access.timeout_s, certificate.ANSWER_S))
    except OSError as error:
        if wanted is None:
            raise DriverError(f"{asked}: {access.endpoint} does not answer ({error}); give its --certificate") from None
        print(
            f"mdw: {access.endpoint} does not answer now ({error}); its certificate was not compared", file=sys.stderr
        )
        return replace(access, certificate=wanted)
    if wanted is None:
        raise DriverError(
            f"{asked}: nobody said which certificate it has to show\n"
            f"  it shows the SHA-256 fingerprint {shown}\n"
            f"  compare it with the one at {access.gateway} itself (lxc info | grep fingerprint), and then add\n"
            f"  --certificate {shown}"
        )
    if wanted != shown:
        raise DriverError(
            f"{asked}: {access.endpoint} shows another certificate ({shown}) than the one given ({wanted}); "
            "either it was renewed, or somebody is in between"
        )
    return replace(access, certificate=wanted)


# list and remove
def list_(options: Namespace, driver: Driver) -> int:
    columns = ("gateway", "hypervisor", "endpoint", "address", "cloudlets")
    rows = [_row(driver, record) for record in driver.inventory.gateways()]
    show(options, rows, columns=columns, nothing="no gateway is known; make one known with mdw gateway add")
    return GOOD


def _row(driver: Driver, record: GatewayRecord) -> dict[str, Any]:
    access = record.access
    return {
        "gateway": access.gateway,
        "hypervisor": access.hypervisor,
        "endpoint": access.endpoint,
        "address": access.address,
        "cloudlets": driver.inventory.count_at(access.gateway),
        "certificate": access.certificate,
        "client_certificate": None if access.client_certificate is None else str(access.client_certificate),
        "images": None if access.images is None else str(access.images),
        "options": dict(access.options),
        "timeout_s": access.timeout_s,
        "added": moment(record.added_at),
    }


def remove(options: Namespace, driver: Driver) -> int:
    driver.inventory.gateway(options.name)
    driver.inventory.remove_gateway(options.name)
    print(f"{options.name} is forgotten; nothing at it was changed")
    return GOOD


# doctor
def doctor(options: Namespace, driver: Driver) -> int:
    names = options.name or [record.name for record in driver.inventory.gateways()]
    for name in names:
        driver.inventory.gateway(name)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        findings = dict(zip(names, pool.map(lambda name: _look(driver, name), names), strict=True))
    rows = [
        {"gateway": name, "check": each.check, "level": each.level, "message": each.message, "help": each.help}
        for name, found in findings.items()
        for each in found
    ]
    show(options, rows, nothing="no gateway is known; make one known with mdw gateway add")
    return BAD if any(row["level"] == "bad" for row in rows) else GOOD


def _look(driver: Driver, gateway: str) -> Sequence[Finding]:
    images = sorted({r.instance.image for r in driver.inventory.instances(gateway=gateway)} | _wanted(driver, gateway))
    try:
        return list(driver.hypervisor(gateway).doctor(images))
    except HypervisorError as error:
        return [Finding("reachable", "bad", str(error))]


def _wanted(driver: Driver, gateway: str) -> set[str]:
    """The images of what may come there."""
    asked = [driver.wanted(record.name) for record in driver.inventory.applications()]
    return {
        str(cloudlet.image)
        for each in asked
        for name, cloudlet in each.cloudlets.items()
        if gateway in each.reach(name)
    }
