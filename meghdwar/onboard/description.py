"""What a descriptor says of its product: a VNF (SOL001), or an application of MEC, which is one (MEC 037)."""

from __future__ import annotations

from dataclasses import dataclass

from meghdwar.compiler.topology import Template, Topology

_VNF = "tosca.nodes.nfv.VNF"  # tosca.nodes.mec.MecApp derives from it


@dataclass(frozen=True, slots=True)
class Description:
    id: str = ""
    provider: str = ""
    product: str = ""
    software_version: str = ""
    version: str = ""


def of(topology: Topology | None) -> Description | None:
    """What the first node of such a type says; None when there is none."""
    templates = topology.templates.values() if topology is not None else ()
    found = next((template for template in templates if template.type.is_a(_VNF)), None)
    if found is None:
        return None
    return Description(
        id=_text(found, "descriptor_id"),
        provider=_text(found, "provider"),
        product=_text(found, "product_name"),
        software_version=_text(found, "software_version"),
        version=_text(found, "descriptor_version"),
    )


def _text(template: Template, name: str) -> str:
    value = template.properties.get(name)
    return value if isinstance(value, str) else ""
