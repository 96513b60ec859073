"""What a VDU of SOL001 says of its images and sizes, whatever it becomes."""

from __future__ import annotations

from meghdwar.compiler.known import at
from meghdwar.compiler.lower import standard
from meghdwar.compiler.lower.scope import Scope, is_storage
from meghdwar.compiler.lower.standard import read, size
from meghdwar.compiler.topology import Placed, Template
from meghdwar.model import Value

SW_IMAGE = "tosca.artifacts.nfv.SwImage"


def image_of(template: Template, scope: Scope) -> Value:
    """The name of the software image: as sw_image_data has it (to 2.6.1), or the artifact (from 2.7.1 on)."""
    named = at(read(template, scope, "sw_image_data"), ("name",))
    if named is not None:
        return named
    for artifact in template.artifacts.values():
        if artifact.type is not None and artifact.type.is_a(SW_IMAGE):
            return scope.value(artifact.properties.get("name")) or artifact.name
    return standard.image_of(template)


def boot_volume(template: Template, scope: Scope) -> str | None:
    """The first of its volumes that has an image."""
    for requirement in template.requirements:
        target = scope.template(requirement.target)
        if target is not None and is_storage(target) and image_of(target, scope) is not None:
            return target.name
    return None


def local_disk(compute: Placed | None, scope: Scope) -> Value:
    value = read(compute, scope, "virtual_local_storage")
    return at(value, (0, "size_of_storage")) if isinstance(value, tuple) else at(value, ("size_of_storage",))


def volume_size(template: Template, scope: Scope) -> Value:
    """In bytes."""
    return size(at(read(template, scope, "virtual_block_storage_data"), ("size_of_storage",)))
