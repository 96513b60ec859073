"""mdw onboard and mdw package: packages come into the catalogue, are looked at, and go away."""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meghdwar.cli.commands.applications import given
from meghdwar.cli.commands.output import dump, moment, show, size
from meghdwar.driver.control import Driver
from meghdwar.driver.inventory import Unknown
from meghdwar.driver.operation import DriverError
from meghdwar.onboard.catalogue import Catalogue
from meghdwar.onboard.record import DISABLED, ENABLED, ONBOARDED, PackageRecord
from meghdwar.onboard.store import own_folder

DONE, PROBLEMS = 0, 1
COLUMNS = ("id", "product", "version", "provider", "state", "operational", "usage")
PAGE, PIECE = 200, 2**20


def onboard(options: Namespace, driver: Driver) -> int:
    trust = [_there(path) for path in options.trust]
    path, catalogue = _there(options.package), _catalogue(options, driver, trust)
    record = catalogue.records.add(options.project, given(options.user_data, "user data"))
    try:
        upload = catalogue.begin(record)
        try:
            record = upload.take(_pieces(path))
        finally:
            record = upload.record
            upload.close()
        record = catalogue.process(record.id)
    except BaseException:
        _drop(catalogue, record.id)
        raise
    if record.onboarding_state != ONBOARDED:
        print(f"mdw: cannot onboard {path}:\n{(record.failure or {}).get('detail', '')}", file=sys.stderr)
        if options.format != "table":
            dump(options, row(record))
        _drop(catalogue, record.id)
        return PROBLEMS
    for warning in record.found.warnings if record.found else ():
        print(f"mdw: {warning}", file=sys.stderr)
    show(options, [row(record)], columns=COLUMNS)
    return DONE


def _drop(catalogue: Catalogue, name: str) -> None:
    """What could not be onboarded is not left in the list; what was uploaded by then is read later."""
    record = catalogue.records.get(name)
    if record.onboarding_state == "CREATED":
        catalogue.delete(record)


def list_(options: Namespace, driver: Driver) -> int:
    found = [row(record) for record in _all(_catalogue(options, driver), options.project)]
    show(options, found, columns=COLUMNS, nothing=f"there are no packages of project {options.project}")
    return DONE


def show_(options: Namespace, driver: Driver) -> int:
    found = row(_named(options, _catalogue(options, driver)))
    if options.format != "table":
        dump(options, found)
        return DONE
    show(options, [{"what": name, "is": _told(value)} for name, value in found.items()])
    return DONE


def enable(options: Namespace, driver: Driver) -> int:
    return _switch(options, driver, ENABLED)


def disable(options: Namespace, driver: Driver) -> int:
    return _switch(options, driver, DISABLED)


def _switch(options: Namespace, driver: Driver, state: str) -> int:
    catalogue = _catalogue(options, driver)
    show(options, [row(catalogue.switch(_named(options, catalogue), state))], columns=COLUMNS)
    return DONE


def delete(options: Namespace, driver: Driver) -> int:
    catalogue = _catalogue(options, driver)
    record = _named(options, catalogue)
    catalogue.delete(record)
    print(f"package {record.id} is deleted", file=sys.stderr)
    return DONE


def download(options: Namespace, driver: Driver) -> int:
    catalogue = _catalogue(options, driver)
    record = _named(options, catalogue)
    source, target = catalogue.onboarded(record), options.output or f"{record.id}.csar"
    try:
        with open(source, "rb") as file:
            if target == "-":
                shutil.copyfileobj(file, sys.stdout.buffer)
                return DONE
            with open(target, "xb") as made:
                shutil.copyfileobj(file, made)
    except OSError as error:
        raise DriverError(f"cannot write {target}: {error.strerror}") from None
    print(f"wrote {target}, {size(record.size)}", file=sys.stderr)
    return DONE


# how it is found
def _catalogue(options: Namespace, driver: Driver, trust: list[Path] | None = None) -> Catalogue:
    return Catalogue(driver.database, Path(options.packages) if options.packages else own_folder(), trust=trust or ())


def _there(path: str) -> Path:
    found = Path(path)
    if not found.is_file():
        raise DriverError(f"cannot read {path}: there is no such file")
    return found


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _all(catalogue: Catalogue, project: str) -> Iterator[PackageRecord]:
    after = None
    while page := catalogue.records.page(project, after, PAGE):
        yield from page
        after = (page[-1].created_at, page[-1].id)


def _named(options: Namespace, catalogue: Catalogue) -> PackageRecord:
    """The package with that id or vnfd id, or the only one where one of them begins so."""
    wished, records = options.package, list(_all(catalogue, options.project))
    names = {record.id: (record.id, record.found.vnfd_id if record.found else "") for record in records}
    same = [record for record in records if wished in names[record.id]]
    near = same or [record for record in records if any(name.startswith(wished) for name in names[record.id])]
    if len(near) == 1:
        return near[0]
    if near:
        raise DriverError(f"cannot tell which package {wished!r} is: {len(near)} begin so; give more of it")
    raise Unknown("package", wished, names)


# how it is shown
def row(record: PackageRecord) -> dict[str, Any]:
    found = record.found
    return {
        "id": record.id,
        "vnfd_id": found.vnfd_id if found else None,
        "product": found.product_name if found else None,
        "version": found.software_version if found else None,
        "vnfd_version": found.vnfd_version if found else None,
        "provider": found.provider if found else None,
        "state": record.onboarding_state,
        "operational": record.operational_state,
        "usage": "IN_USE" if record.in_use else "NOT_IN_USE",
        "signed_by": (found.signed_by or None) if found else None,
        "sha256": record.digest,
        "size": record.size,
        "created_at": moment(record.created_at),
        "descriptor": found.descriptor if found else None,
        "artifacts": [each["path"] for each in found.artifacts] if found else [],
        "warnings": list(found.warnings) if found else [],
        "user_data": dict(record.user_data),
        "failure": record.failure,
    }


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    return value
