"""Deployment flavours (SOL001, 6.11): a VNFD says what the VNF is, files that it imports what it is made of.

The file whose substitution mappings stand for the type of the VNF, with the flavour that the VNF has, is what is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from meghdwar.compiler import rules
from meghdwar.compiler.documents import Document
from meghdwar.compiler.known import known
from meghdwar.compiler.source import Node
from meghdwar.compiler.topology import Template, Topology
from meghdwar.diagnostics import Diagnostic, nearest
from meghdwar.model import Value

VNF = "tosca.nodes.nfv.VNF"


@dataclass(frozen=True, slots=True)
class Flavour:
    """`inputs` are what the VNF says of itself, for the inputs of the file that have the same names. `problems` say
    that nobody chose it."""

    path: str
    inputs: Mapping[str, object]
    problems: tuple[Diagnostic, ...] = ()


def chosen(topology: Topology, documents: Iterable[Document]) -> Flavour | Diagnostic | None:
    """The flavour of a descriptor that is a VNF and nothing else, or why there is none; None when it has no flavours.

    When nothing says which, the first one counts.
    """
    frames = list(topology.templates.values())
    if len(frames) != 1 or not frames[0].type.is_a(VNF):
        return None
    (frame,) = frames
    flavours: dict[str, Document] = {}
    for document in documents:
        for name in _of(document, frame):
            flavours.setdefault(name, document)
    if not flavours:
        return None
    values = {name: topology.given.get(name, declared.default) for name, declared in topology.inputs.items()}
    wanted = known(frame.properties.get("flavour_id"), values)
    found = flavours.get(str(wanted)) if wanted is not None else next(iter(flavours.values()))
    if found is None:
        message = f"cannot find flavour {str(wanted)!r} of {frame.name!r}: no imported file stands for it"
        return Diagnostic(rules.NO_FLAVOUR, frame.place("flavour_id"), message, nearest(str(wanted), flavours))
    problems: tuple[Diagnostic, ...] = ()
    if wanted is None and len(flavours) > 1:
        first, *others = flavours
        text = f"{frame.name!r} is built with the flavour {first!r}, for nothing says which; there are also "
        help_ = "give flavour_id, or the input that it comes from (--input)"
        place = frame.place("flavour_id")
        problems = (Diagnostic(rules.NO_FLAVOUR, place, text + ", ".join(others), help_).as_warning(),)
    said = {name: known(value, values) for name, value in frame.properties.items()}
    asked = (found.node.get("topology_template") or found.node).section("inputs")
    return Flavour(found.path, {name: _plain(said[name]) for name in asked if said.get(name) is not None}, problems)


def _of(document: Document, frame: Template) -> Iterator[str]:
    """The flavour that a file stands for, if it does for this type."""
    template = document.node.get("topology_template")
    mappings = template.get("substitution_mappings") if template is not None else None
    type_ = mappings.get("node_type") if mappings is not None else None
    if mappings is None or type_ is None or not frame.type.is_a(type_.text):
        return
    said = mappings.section("properties").get("flavour_id") or _filtered(mappings.get("substitution_filter"))
    if said is not None and said.is_list:
        said = said.list[0] if said.list else None
    yield said.text if said is not None else ""


def _filtered(filter_: Node | None) -> Node | None:
    """The flavour of a substitution filter: properties: [flavour_id: {equal: simple}]."""
    properties = filter_.get("properties") if filter_ is not None else None
    for item in properties.list if properties is not None else ():
        clause = item.get("flavour_id")
        for one in (clause.list or [clause]) if clause is not None else ():
            if one.get("equal") is not None:
                return one.get("equal")
    return None


def _plain(value: Value) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
