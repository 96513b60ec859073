"""What a derived type may say of what it inherits: it narrows, it never changes or widens.

Source: TOSCA 2.0, the derivation rules in chapters 7, 8, 11 and 16; those of 1.x are the same but less often kept,
so that there they are only warned of.
"""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import rules
from meghdwar.compiler.scope import Scope
from meghdwar.compiler.service import Here
from meghdwar.compiler.source import Node
from meghdwar.compiler.types import RequirementDef, TypeDef, names, resolve
from meghdwar.diagnostics import Diagnostic

LISTS = {  # key: the kinds of type that its names may be of
    "valid_source_node_types": ("node",),
    "valid_target_node_types": ("node",),
    "valid_relationship_types": ("relationship",),
    "valid_capability_types": ("capability",),
    "members": ("node", "group"),
    "targets": ("node", "group"),
}


def of_requirement(name: str, type_: TypeDef, node: Node, here: Here) -> Iterator[Diagnostic]:
    """A requirement of a type beside the one of its parent."""
    above = type_.parent.requirements.get(name) if type_.parent is not None else None
    if above is None or not node.is_map:
        return
    own = type_.requirements[name]
    for key, kind, mine, theirs in (
        ("capability", "capability", own.capability, above.capability),
        ("node", "node", own.target, above.target),
        ("relationship", "relationship", own.relationship, above.relationship),
    ):
        place = node.get(key)
        if place is not None and mine != theirs and not _narrower(kind, mine, own.scope, theirs, above.scope):
            yield _said(
                here, place, f"cannot make the {key} of requirement {name!r} {mine}: a parent type says {theirs}",
                f"use {theirs} or a type derived from it", above,
            )  # fmt: skip
    counts = node.get("count_range") if here.major == "2" else None  # the normative types of 1.x widen theirs
    if counts is not None and (own.low < above.low or own.high > above.high):
        message = f"cannot fill requirement {name!r} more freely than a parent type says"
        yield _said(here, counts, message, "stay inside the range of the parent", above)


def _said(here: Here, place: Node, message: str, help_: str, above: RequirementDef) -> Diagnostic:
    wrong = Diagnostic(rules.BAD_REFINEMENT, place.span, message, help_, ((above.node.key_span, "declared here"),))
    return wrong if here.major == "2" else wrong.as_warning()


def _narrower(kind: str, name: str | None, scope: Scope, above: str | None, scope_above: Scope) -> bool:
    """Whether a type is the other one or derives from it; the benefit of the doubt where one of them is not known."""
    raw = scope.lookup(kind, name) if name else None
    other = scope_above.lookup(kind, above) if above else None
    return raw is None or other is None or resolve(raw).derives(resolve(other))


def of_lists(type_: TypeDef, here: Here) -> Iterator[Diagnostic]:
    """2.0: a list of types that may stand somewhere names only what the parent's list allows."""
    if here.major == "1" or type_.parent is None:
        return
    for key, kinds in LISTS.items():
        own = type_.node.get(key)
        above: TypeDef | None = type_.parent
        while above is not None and above.node.get(key) is None:
            above = above.parent
        if own is None or above is None:
            continue
        allowed = names(above.node.get(key))
        for item in own.list:
            if item.text not in allowed and not _any_of(kinds, item.text, type_.scope, allowed, above.scope):
                yield Diagnostic(
                    rules.BAD_REFINEMENT,
                    item.span,
                    f"cannot add {item.text!r} to {key}: a parent type allows only {', '.join(allowed) or 'none'}",
                    "name types that the parent names, or derived from them",
                )


def _any_of(kinds: tuple[str, ...], name: str, scope: Scope, allowed: tuple[str, ...], scope_above: Scope) -> bool:
    raws = [raw for kind in kinds if (raw := scope.lookup(kind, name)) is not None]
    others = [raw for kind in kinds for other in allowed if (raw := scope_above.lookup(kind, other)) is not None]
    return not raws or any(r.kind == o.kind and resolve(r).derives(resolve(o)) for r in raws for o in others)


def of_interface(name: str, type_: TypeDef, node: Node, here: Here) -> Iterator[Diagnostic]:
    """An interface of a type beside the one of its parent."""
    above = type_.parent.interfaces.get(name) if type_.parent is not None else None
    own = type_.interfaces.get(name)
    named = node.get("type")
    if above is None or own is None or named is None or above.type is None or own.type is None:
        return
    if not own.type.derives(above.type):
        wrong = Diagnostic(
            rules.BAD_REFINEMENT,
            named.span,
            f"cannot make interface {name!r} a {own.type.name}: a parent type says {above.type.name}",
            f"use {above.type.name} or a type derived from it",
        )
        yield wrong if here.major == "2" else wrong.as_warning()
