"""mdw pack and mdw check: packages are made and looked at where they lie, without a catalogue."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meghdwar import render
from meghdwar.cli.commands.output import dump, fancy
from meghdwar.diagnostics import Diagnostic
from meghdwar.driver.operation import DriverError
from meghdwar.onboard import pack as packing
from meghdwar.onboard import package as packages
from meghdwar.onboard import signing
from meghdwar.onboard.package import Package

SOUND, PROBLEMS, CANNOT = 0, 1, 2


def pack(options: Namespace) -> int:
    folder = Path(options.folder)
    if not folder.is_dir():
        raise DriverError(f"cannot pack {folder}: it is no folder")
    if bool(options.sign) != bool(options.cert):
        raise DriverError("cannot sign: give both --sign KEY and --cert CERT")
    output = Path(options.output or f"{folder.resolve().name}.csar")
    try:
        signer = signing.load(Path(options.sign), Path(options.cert)) if options.sign else None
        made, problems = packing.pack(folder, output, signer, released(options.released))
    except signing.CannotSign as error:
        raise DriverError(str(error)) from None
    except OSError as error:
        raise DriverError(f"cannot write {output}: {(error.strerror or str(error)).lower()}") from None
    return told(options, made, problems, f"wrote {output}")


def check(options: Namespace) -> int:
    roots = [Path(root) for root in options.trust]
    at = moment(options.at, "--at") if options.at else None
    found, problems = packages.read(Path(options.package), roots=roots, at=at)
    return told(options, found, problems, f"{options.package} is sound")


def released(text: str) -> str:
    """The date of a release: the one that was given, else that of SOURCE_DATE_EPOCH, else none."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text and epoch:
        try:
            return datetime.fromtimestamp(int(epoch), UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            raise DriverError(f"cannot read SOURCE_DATE_EPOCH={epoch}: it has to be seconds since 1970") from None
    return moment(text, "--released").isoformat() if text else ""


def moment(text: str, option: str) -> datetime:
    """A time as people write it; without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DriverError(f"cannot read {option} {text}: write it as 2026-11-22T14:03:07Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# what it says
def told(options: Namespace, found: Package | None, problems: Sequence[Diagnostic], done: str) -> int:
    if options.format == "table":
        if problems:
            sys.stderr.write(render.text(problems, {}, color=fancy(options, sys.stderr)))
        if found is not None:
            print(done)
            for key, value in facts(found).items():
                print(f"  {key.replace('_', ' ')}: {value}")
    else:
        dump(options, {
            "package": data(found) if found is not None else None,
            "problems": [
                {"code": p.rule.code, "severity": str(p.rule.severity), "place": str(p.span), "message": p.message,
                 "help": p.help}
                for p in problems
            ],
        })  # fmt: skip
    return PROBLEMS if found is None else SOUND


def facts(found: Package) -> dict[str, Any]:
    """What people want to know at a glance."""
    said = {
        "product": found.product_name, "provider": found.provider, "descriptor": found.descriptor,
        "descriptor_id": found.vnfd_id, "version": found.vnfd_version, "software_version": found.software_version,
        "manifest": found.manifest, "signed_by": found.signed_by, "files": len(found.files),
    }  # fmt: skip
    return {key: value for key, value in said.items() if value}


def data(found: Package) -> dict[str, Any]:
    return {
        "product_name": found.product_name, "provider": found.provider, "descriptor": found.descriptor,
        "descriptor_id": found.vnfd_id, "descriptor_version": found.vnfd_version,
        "software_version": found.software_version, "manifest": found.manifest,
        "signed_by": found.signed_by or None, "files": list(found.files),
        "artifacts": [
            {"path": a.path, "algorithm": a.algorithm, "checksum": a.checksum, "metadata": dict(a.metadata),
             "non_mano_set": a.non_mano_set or None}
            for a in found.artifacts
        ],
    }  # fmt: skip
