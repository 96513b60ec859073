"""The catalogue: packages come in, are read, and are there whole or not at all, whatever dies when.

    upload = catalogue.begin(record)       # CREATED -> UPLOADING
    upload.take(pieces)                    # UPLOADING -> PROCESSING: from here on nothing is lost
    catalogue.process(record.id)           # PROCESSING -> ONBOARDED, or back to CREATED with what is wrong

Whoever works on a package holds its lock in the store, which ends with the process: `recover` finds what nobody works
on any more. An upload that was cut off is as if it had never begun; what was uploaded is read again, which changes
nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from meghdwar.diagnostics import Diagnostic
from meghdwar.driver.database import Database
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.onboard import package as packages
from meghdwar.onboard.package import Package
from meghdwar.onboard.record import (
    CREATED,
    DISABLED,
    ENABLED,
    ONBOARDED,
    ONBOARDING,
    OP_STATE_CHANGE,
    PKG_DELETE,
    PROCESSING,
    UNFINISHED,
    UPLOADING,
    Found,
    PackageRecord,
)
from meghdwar.onboard.records import Body, Records
from meghdwar.onboard.store import Store, Work

LOG = logging.getLogger(__name__)
BYTES_MAX = 4 * 2**30
AT_ONCE_S = 1.0
_TOLD_MAX = 50  # diagnostics in a failure


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a package was not onboarded: the status as of HTTP, a text, and each problem as data."""

    status: HTTPStatus
    detail: str
    diagnostics: tuple[Mapping[str, Any], ...] = ()

    def data(self) -> dict[str, Any]:
        about = {"title": self.status.phrase, "status": self.status.value, "detail": self.detail}
        return {**about, **({"diagnostics": list(self.diagnostics)} if self.diagnostics else {})}


class Upload:
    """A package on its way in, until `close`. Only `take` makes anything of it."""

    def __init__(self, catalogue: Catalogue, record: PackageRecord, work: Work) -> None:
        self._catalogue, self._work = catalogue, work
        self.record = record

    def take(self, pieces: Iterable[bytes]) -> PackageRecord:
        """Keeps the bytes. When this raises, nothing of them is kept."""
        digest, size = self._work.take(pieces, self._catalogue.bytes_max)
        changed = replace(self.record, onboarding_state=PROCESSING, digest=digest, size=size)
        with self._catalogue.store.publishing():
            self._work.publish(digest)
            self.record = self._catalogue.records.change(self.record, changed)
        return self.record

    def refuse(self, refusal: Refusal) -> None:
        """It will not come in, and this is why."""
        self._back(refusal.data())

    def close(self) -> None:
        """Ends it; an upload that did not come to its end was never there."""
        try:
            if self.record.onboarding_state == UPLOADING:
                self._back(None)
        finally:
            self._work.close()

    def _back(self, failure: Mapping[str, Any] | None) -> None:
        changed = replace(self.record, onboarding_state=CREATED, failure=failure)
        self.record = self._catalogue.records.change(self.record, changed)


class Catalogue:
    """Packages in a database and a folder, which several processes may share. `trust` are files of certificates: with
    any, packages have to be signed."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        trust: Sequence[Path] = (),
        bytes_max: int = BYTES_MAX,
        body: Body = lambda event, subscription: "{}",
    ) -> None:
        self.records = Records(database, body)
        self.store = Store(folder)
        self.trust = tuple(trust)
        self.bytes_max = bytes_max

    # in
    def begin(self, record: PackageRecord) -> Upload:
        """Raises Taken unless the package waits for its content."""
        # whoever has just said that it waits for its content lets go of it in the next moment
        work = self.store.work(record.id, AT_ONCE_S if record.onboarding_state == CREATED else 0.0)
        if work is None:
            raise Taken(f"cannot upload to package {record.id}: another upload is at it")
        try:
            if record.onboarding_state != CREATED:
                state = record.onboarding_state
                raise Taken(f"cannot upload to package {record.id}: it is {state}; create another one")
            begun = self.records.change(record, replace(record, onboarding_state=UPLOADING, failure=None))
        except BaseException:
            work.close()
            raise
        return Upload(self, begun, work)

    def process(self, name: str) -> PackageRecord:
        """Reads what was uploaded. Does nothing where somebody else does it, or has done it."""
        work = self.store.work(name)
        if work is None:
            return self.records.get(name)
        try:
            record = self.records.get(name)
            return self._processed(record) if record.onboarding_state == PROCESSING else record
        finally:
            work.close()

    def _processed(self, record: PackageRecord) -> PackageRecord:
        found = self._read(record)
        if isinstance(found, Found):
            onboarded = replace(record, onboarding_state=ONBOARDED, operational_state=ENABLED, found=found)
            twice = f"cannot onboard {found.vnfd_id!r} twice in a project; delete the other package first"
            try:
                return self.records.change(record, onboarded, ONBOARDING, taken=twice)
            except Taken as error:
                found = Refusal(HTTPStatus.CONFLICT, str(error))
        refused = replace(record, onboarding_state=CREATED, digest=None, size=None, failure=found.data())
        with self.store.publishing():
            changed = self.records.change(record, refused)
            self._forget(record.digest)
        return changed

    def _read(self, record: PackageRecord) -> Found | Refusal:
        path = self.store.path(record.digest or "")
        try:
            package, diagnostics = packages.read(path, roots=self.trust)
        except Exception as error:  # it must not be tried again and again
            LOG.exception("cannot read package %s", record.id)
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"a mistake of ours: {type(error).__name__}; see the log")
        if package is None:
            return _refusal(diagnostics, path.name)
        return _found(package, record, [_line(each, path.name) for each in diagnostics])

    # what is there
    def onboarded(self, record: PackageRecord) -> Path:
        """The file of a package; raises Taken before it is onboarded."""
        if record.onboarding_state != ONBOARDED or record.digest is None:
            state = record.onboarding_state
            raise Taken(f"cannot read package {record.id}: it is {state}, it has to be ONBOARDED first")
        return self.store.path(record.digest)

    def switch(self, record: PackageRecord, state: str, user_data: Mapping[str, Any] | None = None) -> PackageRecord:
        """Enables or disables it; raises Taken when it is so already, or not onboarded."""
        if record.onboarding_state != ONBOARDED:
            raise Taken(f"cannot change package {record.id} to {state}: it is {record.onboarding_state}")
        if record.operational_state == state:
            raise Taken(f"cannot change package {record.id} to {state}: it is {state} already")
        data = record.user_data if user_data is None else user_data
        return self.records.change(record, replace(record, operational_state=state, user_data=data), OP_STATE_CHANGE)

    def describe(self, record: PackageRecord, user_data: Mapping[str, Any]) -> PackageRecord:
        return self.records.change(record, replace(record, user_data=user_data))

    def delete(self, record: PackageRecord) -> None:
        """Raises Taken while it is enabled, in use, or on its way in."""
        if record.operational_state != DISABLED:
            raise Taken(f"cannot delete package {record.id}: it is ENABLED; disable it first")
        if record.in_use:
            raise Taken(f"cannot delete package {record.id}: it is IN_USE; take its applications down first")
        if record.onboarding_state in UNFINISHED:
            raise Taken(f"cannot delete package {record.id}: it is {record.onboarding_state}; wait for its end")
        with self.store.publishing():
            self.records.remove(record, PKG_DELETE)
            self._forget(record.digest)

    def _forget(self, digest: str | None) -> None:
        if digest is not None and not self.records.is_referred_to(digest):
            self.store.remove(digest)

    # after a crash
    def recover(self) -> list[PackageRecord]:
        """Ends what nobody works on any more: cut-off uploads are forgotten, what was uploaded is read. Returns what
        has changed."""
        done, unfinished = [], self.records.unfinished()
        for record in unfinished:
            if record.onboarding_state == PROCESSING:
                done.append(self.process(record.id))
            elif (left := self._left(record)) is not None:
                done.append(left)
        self._sweep({record.id for record in unfinished})
        return done

    def _left(self, record: PackageRecord) -> PackageRecord | None:
        work = self.store.work(record.id)
        if work is None:
            return None
        try:
            found = self.records.get(record.id)
            if found.onboarding_state != UPLOADING:
                return None
            why = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the upload was cut off: the server died; upload it again")
            return self.records.change(found, replace(found, onboarding_state=CREATED, failure=why.data()))
        except Unknown:
            return None
        finally:
            work.close()

    def _sweep(self, unfinished: Collection[str]) -> None:
        """Removes files that no package refers to."""
        for name in self.store.names():
            if name not in unfinished and (work := self.store.work(name)) is not None:
                work.close()
        with self.store.publishing():
            for digest in self.store.digests():
                self._forget(digest)


# what was read
def _refusal(diagnostics: Sequence[Diagnostic], name: str) -> Refusal:
    errors = [each for each in diagnostics if each.is_error]
    lines = [_line(each, name) for each in errors[:_TOLD_MAX]]
    if len(errors) > _TOLD_MAX:
        lines.append(f"and {len(errors) - _TOLD_MAX} more")
    return Refusal(
        HTTPStatus.UNPROCESSABLE_ENTITY, "\n".join(lines), tuple(_data(each, name) for each in errors[:_TOLD_MAX])
    )


def _line(each: Diagnostic, name: str) -> str:
    way_out = f"; {each.help}" if each.help else ""
    return f"{_place(each, name)}: {each.rule.severity} {each.rule.code} {each.message}{way_out}"


def _data(each: Diagnostic, name: str) -> dict[str, Any]:
    file, span = _file(each, name), each.span
    place = {"file": file, "line": span.line, "column": span.column or 1}
    return {"code": each.rule.code, "rule": each.rule.name, **place, "message": each.message, "help": each.help}


def _place(each: Diagnostic, name: str) -> str:
    return f"{_file(each, name)}:{each.span.line}:{each.span.column or 1}"


def _file(each: Diagnostic, name: str) -> str:
    """As the file is called in the package: the name of the archive says nothing, it is a digest."""
    return each.span.file.removeprefix(f"{name}/").replace(name, "package")


def _found(package: Package, record: PackageRecord, warnings: Sequence[str]) -> Found:
    return Found(
        vnfd_id=package.vnfd_id or f"sha256:{record.digest}",
        provider=package.provider,
        product_name=package.product_name,
        software_version=package.software_version,
        vnfd_version=package.vnfd_version,
        descriptor=package.descriptor,
        descriptors=tuple(package.descriptors),
        artifacts=tuple(
            {
                "path": each.path,
                "algorithm": each.algorithm,
                "checksum": each.checksum,
                "metadata": {
                    **each.metadata,
                    **({"nonManoArtifactSetId": each.non_mano_set} if each.non_mano_set else {}),
                },
            }
            for each in package.artifacts
        ),
        images=tuple(asdict(image) for image in package.images),
        signed_by=package.signed_by,
        warnings=tuple(warnings[:_TOLD_MAX]),
    )
