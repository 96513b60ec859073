"""Small damage to descriptors: to the bytes of a file, or to the tree that it is."""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import yaml

PIECES = [
    *(b"\t \0 \xff \xc3 \x85 ' \" { } [ ] : - ? &a *a ! !!int <<: | > # % @ \r null ~ 1e999 .nan .. $".split(b" ")),
    *(b": ", b"- ", b"? ", b"\n", b"\n---\n", b"\xef\xbb\xbf", b"9" * 400, b"x" * 300, b"[" * 99, b"<<: *a"),
]

VALUES = [
    *yaml.safe_load("""
[
  null, true, 0, -1, 1.5, .nan, .inf, "", x, $value, $$x, .., "a.b:c/d", [], [[]], [null], {}, {"": {}}, {x: null},
  tosca.nodes.Root, tosca.nodes.Compute, tosca.capabilities.Node, tosca.datatypes.Credential, integer, map, version,
  4 GB, 1 s, [1, UNBOUNDED], {type: list}, {derived_from: x}, {a: {b: {c: [{d: [{}, []]}]}}}, {host: null},
  [{pattern: "("}, {in_range: [1, 0]}, {valid_values: 3}],
  {get_input: x}, {get_input: [x, 0, y]}, {get_property: [SELF, x]}, {get_property: []}, {get_artifact: [SELF, x]},
  {get_attribute: [SELF, host, x, 0]}, {concat: [{concat: [{get_input: []}]}]}, {token: [a, "", -1]}, {join: [[]]},
  {get_nodes_of_type: x}, {get_operation_output: [SELF, x]}, {$join: [[a], {$value: []}]}, {$: []}, {$node_index: []},
  {$get_property: [SELF, RELATIONSHIP, host, 0, TARGET, x]},
  {node: x, node_filter: {properties: [{x: {in_range: [2, 1]}}], capabilities: [{host: {properties: [{x: 1}]}}]}},
  [x, {x: {call_operation: a.b}}, {delegate: x}, {inline: x}, {set_state: x}],
  {and: [{or: []}, {not: {x: [{equal: 1}]}}]},
]"""),
    *(10**400, "x" * 5000, ["x"] * 300, "9" * 5000, "--5", "+", "1e999999", "٣", "0x", "0o9", "1_000", "-.inf"),
    *("1 " * 99, "4 GB GB", "-0 s", "1e999 s", "[1, 2]", "2020-13-45", "1.2.3.4-5-6", "\u2028", "\ud7ff", "%"),
]


def mutated(text: bytes, random: Random) -> bytes:
    """The text with a few small changes, of its bytes or of its tree."""
    changes = random.choice((1, 1, 1, 2, 4))
    tree = None if random.random() < 0.3 else _parsed(text)
    if tree is None:
        for _ in range(changes):
            text = _changed_bytes(text, random)
        return text
    for _ in range(changes):
        _change_tree(tree, random)
    return yaml.dump(tree, Dumper=_Plain, sort_keys=False).encode("utf-8", "surrogatepass")


def _changed_bytes(text: bytes, random: Random) -> bytes:
    start = random.randrange(len(text) + 1)
    end = min(len(text), start + random.choice((0, 1, 2, 8, 40, 400)))
    match random.randrange(5):
        case 0:
            return text[:start] + text[end:]
        case 1:
            return text[:end] + text[start:end] + text[end:]
        case 2:
            return text[:start] + random.choice(PIECES) + text[start:]
        case 3:
            return (
                text[:start]
                + bytes(byte ^ (1 << random.randrange(8)) for byte in text[start : start + 1])
                + text[start + 1 :]
            )
    lines = text.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _change_tree(tree: Any, random: Random) -> None:
    places = _places(tree)
    if not places:
        return
    holder, key = random.choice(places)
    other, other_key = random.choice(places)
    match random.randrange(7):
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = deepcopy(random.choice(VALUES))
        case 3:
            holder[key], other[other_key] = deepcopy(other[other_key]), deepcopy(holder[key])
        case 4:
            holder[key] = deepcopy(other[other_key])
        case 5 if isinstance(holder, dict):
            holder[str(other_key) if random.random() < 0.5 else key[1:] + "x"] = holder.pop(key)
        case _ if isinstance(holder, list):
            holder.insert(key, deepcopy(random.choice(VALUES)))
        case _:
            holder[str(other_key)] = deepcopy(random.choice(VALUES))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every map or list with each of its keys or indices."""
    found: list[tuple[Any, Any]] = []
    stack = [tree]
    while stack:
        item = stack.pop()
        for key in list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ():
            found.append((item, key))
            stack.append(item[key])
    return found


def _parsed(text: bytes) -> Any:
    """The tree with every scalar as its text; None when there is none."""
    try:
        return yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 - it builds nothing but texts
    except (yaml.YAMLError, ValueError):
        return None


class _Plain(yaml.CSafeDumper):
    """Writes texts without quotes where they can do without, so that numbers are numbers again, and shares nothing."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    if not (text and text[0].isalnum() and all(c.isalnum() or c in " ._/" for c in text) and text == text.strip()):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text)
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, text)


_Plain.add_representer(str, _text)
