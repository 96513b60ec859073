"""The software images of a descriptor (SwImageDesc of SOL001), and whether those in the package are the right ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from meghdwar.archive import Archive
from meghdwar.compiler.topology import Artifact, Template, Topology
from meghdwar.diagnostics import Diagnostic, Span
from meghdwar.model import Value
from meghdwar.onboard import hashing, rules
from meghdwar.onboard.hashing import Clock
from meghdwar.onboard.manifest import HASHES

_SW_IMAGE = "tosca.artifacts.nfv.SwImage"


@dataclass(frozen=True, slots=True)
class Image:
    """An image, named by its node template. Sizes are in bytes, 0 where nothing is said; `path` is that in the package,
    or an address elsewhere."""

    id: str
    name: str
    version: str
    provider: str
    algorithm: str
    checksum: str
    container_format: str
    disk_format: str
    min_disk: int
    min_ram: int
    size: int
    path: str


def of(topology: Topology | None, archive: Archive) -> Iterator[Image]:
    """What the templates say, as properties of the artifact (from 2.7.1 on) or as sw_image_data (before)."""
    for template in topology.templates.values() if topology is not None else ():
        artifact = _artifact(template)
        if artifact is None:
            continue
        said = _map(template.properties.get("sw_image_data"))
        data = {**said, **{name: value for name, value in artifact.properties.items() if value is not None}}
        checksum = _map(data.get("checksum"))
        size = _bytes(data.get("size"))
        here = artifact.path in archive.entries
        yield Image(
            id=template.name,
            name=_text(data.get("name")) or artifact.name,
            version=_text(data.get("version")),
            provider=_text(data.get("provider")),
            algorithm=_text(checksum.get("algorithm")).upper(),
            checksum=_text(checksum.get("hash")),
            container_format=_text(data.get("container_format")).upper(),
            disk_format=_text(data.get("disk_format")).upper(),
            min_disk=_bytes(data.get("min_disk")),
            min_ram=_bytes(data.get("min_ram")),
            size=size or (archive.entries[artifact.path].size if here else 0),
            path=artifact.file if "://" in artifact.file else artifact.path,
        )


def differing(
    topology: Topology | None, images: tuple[Image, ...], archive: Archive, clock: Clock
) -> Iterator[Diagnostic]:
    """Images in the package that are not those that the descriptor means; raises Refused when that takes too long."""
    for image in images:
        if image.path not in archive.entries or image.algorithm not in HASHES or topology is None:
            continue
        name = HASHES[image.algorithm][0]
        real = hashing.digests(archive, image.path, [name], clock)[name].hex()
        artifact = _artifact(topology.templates[image.id])
        if real != image.checksum.lower() and artifact is not None:
            span: Span = replace(artifact.origin, file=archive.shown(artifact.origin.file))
            message = f"cannot accept the image {image.path[:100]!a}: its {image.algorithm} is {real}"
            yield Diagnostic(rules.WRONG_HASH, span, message, "give the checksum of the image that is meant")


def _artifact(template: Template) -> Artifact | None:
    images = (a for a in template.artifacts.values() if a.type is not None and a.type.is_a(_SW_IMAGE))
    return next(images, None)


def _map(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _bytes(value: Value) -> int:
    return int(value) if isinstance(value, int | float) else 0
