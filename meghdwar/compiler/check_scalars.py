"""The scalar types that a descriptor of 2.0 defines: their units, their prefixes and what they are counted in.

Source: TOSCA 2.0, section 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from meghdwar.compiler import rules, scalars, values
from meghdwar.compiler.service import Here
from meghdwar.compiler.types import Schema, TypeDef, primitive, resolve
from meghdwar.diagnostics import Diagnostic, nearest


def _data_type(type_: TypeDef, here: Here) -> Iterator[Diagnostic]:
    """2.0: the type of the numbers in a scalar type."""
    for key in ("data_type", "data_value_type"):
        named = type_.node.get(key)
        if named is not None and primitive(named.text, here.scope) not in ("integer", "float"):
            raw = here.scope.lookup("data", named.text)
            if raw is None or resolve(raw).base not in ("integer", "float", ""):
                yield Diagnostic(
                    rules.BAD_REFINEMENT,
                    named.span,
                    f"cannot count in {named.text!r}: a scalar is made of integers or floats",
                    "write integer or float",
                )


def check(type_: TypeDef, here: Here) -> Iterator[Diagnostic]:
    """Each unit says how many of the canonical one it is, and one of them is that one."""
    yield from _data_type(type_, here)
    node = type_.node
    if type_.base != "scalar":
        for key in ("units", "prefixes", "canonical_unit", "data_type"):
            if key in node.map and type_.base:
                yield Diagnostic(
                    rules.BAD_REFINEMENT,
                    node.map[key].key_span,
                    f"cannot give {key} to a data type that is a {type_.base}",
                    "derive it from scalar",
                )
        return
    sound = True
    for key in ("units", "unit_symbol_map", "prefixes"):
        for unit, factor in node.section(key).items():
            if type(factor.scalar) not in (int, float):
                sound = False
                yield Diagnostic(
                    rules.WRONG_SHAPE,
                    factor.span if not factor.is_null else factor.key_span,
                    f"cannot measure with {unit!r}: it has to say a number",
                    "write how many of the canonical unit it is",
                )
            elif type_.counted_in is not None and key != "unit_symbol_map":
                yield from values.check(factor, type_.counted_in, here)
    counted = node.get("data_type")
    above = type_.parent.counted_in if type_.parent is not None else None
    if counted is not None and type_.parent is not None and type_.parent.units and counted.text != _counted(above):
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            counted.span,
            f"cannot count in {counted.text!r}: {type_.parent.name} counts in {_counted(above)}",
            "leave the data_type out",
        )
    if sound:
        yield from _units(type_)


def _counted(schema: Schema | None) -> str:
    return schema.type_name if schema is not None else "float"


def _units(type_: TypeDef) -> Iterator[Diagnostic]:
    """2.0: a scalar type has units, prefixes only for a single one, and one of all is the canonical one."""
    node, units_ = type_.node, type_.units or {}
    if not units_:
        yield Diagnostic(
            rules.MISSING_KEY,
            type_.raw.node.key_span,
            f"cannot measure in {type_.name!r}: it has no units",
            "add `units: {UNIT: 1}`",
        )
        return
    if "unit_symbol_map" in node.map:
        return  # what drafts call it, with rules of their own
    factors: dict[str, int | float] = {
        name: item.scalar for name, item in units_.items() if isinstance(item.scalar, (int, float))
    }
    if "prefixes" in node.map and len(units_) > 1:
        yield Diagnostic(
            rules.BAD_REFINEMENT,
            node.map["prefixes"].key_span,
            f"cannot put prefixes before {len(units_)} units: it would not be clear what each means",
            "keep one unit, or write out the prefixed ones",
        )
        return
    for key, found in (("units", factors), ("prefixes", {n: item.scalar for n, item in type_.prefixes.items()})):
        if key in node.map and 1 not in found.values():
            yield Diagnostic(
                rules.BAD_UNIT,
                node.map[key].key_span,
                f"cannot tell what {key} are multiples of: none of them is 1",
                "add the unit itself: `UNIT: 1`" if key == "units" else 'add the one for no prefix: `"": 1`',
            )
            return
    known = scalars.prefixed(factors, type_)
    canonical = node.get("canonical_unit")
    if canonical is not None and canonical.text not in known:
        yield Diagnostic(
            rules.BAD_UNIT, canonical.span, f"cannot find unit {canonical.text!r}", nearest(canonical.text, known)
        )
    elif canonical is not None and known[canonical.text] != 1:
        yield Diagnostic(
            rules.BAD_UNIT,
            canonical.span,
            f"cannot have {canonical.text!r} as the canonical unit: it is {known[canonical.text]} of another",
            "name the unit that is 1",
        )
    elif canonical is None and "units" in node.map and [*factors.values()].count(1) > 1:
        names_ = ", ".join(name for name, factor in factors.items() if factor == 1)
        if not type_.setting("canonical_unit"):
            yield Diagnostic(
                rules.MISSING_KEY,
                node.map["units"].key_span,
                f"cannot tell which of {names_} is the canonical unit of {type_.name!r}",
                "add `canonical_unit: UNIT`",
            )
