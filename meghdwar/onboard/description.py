"""What a descriptor says of the product it describes: a VNF (SOL001) or an application of MEC (MEC 037)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meghdwar.compiler.topology import Template, Topology


@dataclass(frozen=True, slots=True)
class Description:
    id: str = ""
    provider: str = ""
    product: str = ""
    software_version: str = ""
    version: str = ""


_PROPERTIES: Mapping[str, tuple[str, ...]] = {  # type -> its properties, in the order of Description
    "tosca.nodes.nfv.VNF": ("descriptor_id", "provider", "product_name", "software_version", "descriptor_version"),
    "tosca.nodes.mec.MecApp": ("app_d_id", "app_provider", "app_name", "app_soft_version", "app_d_version"),
}


def of(topology: Topology | None) -> Description | None:
    """What the first node of such a type says; None when there is none."""
    for template in topology.templates.values() if topology is not None else ():
        for type_, names in _PROPERTIES.items():
            if template.type.is_a(type_):
                return Description(*(_text(template, name) for name in names))
    return None


def _text(template: Template, name: str) -> str:
    value = template.properties.get(name)
    return value if isinstance(value, str) else ""
