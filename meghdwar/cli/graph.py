"""Drawings as text for other tools: Mermaid and Graphviz."""

from __future__ import annotations

from meghdwar.cli.drawing import Box, Drawing

SHAPES = {  # kind -> Mermaid's brackets, Graphviz's shape
    "gateway": ("[[", "]]", "box3d"),
    "cloudlet": ("(", ")", "component"),
    "volume": ("[(", ")]", "cylinder"),
    "state files": ("[/", "/]", "folder"),
    "policy": ("{{", "}}", "hexagon"),
    "mobility": ("{{", "}}", "hexagon"),
    "receiver": (">", "]", "cds"),
    "block storage": ("[(", ")]", "cylinder"),
    "object storage": ("[(", ")]", "cylinder"),
    "network": ("([", "])", "ellipse"),
}
PLAIN = ("[", "]", "box")


def mermaid(drawing: Drawing) -> str:
    """A flowchart; paste it where Markdown is shown."""
    ids = {box.name: f"n{number}" for number, box in enumerate(drawing.boxes)}
    out = ["---", f"title: {_yaml(drawing.title)}", "---", "flowchart TD"]
    for cluster in [box for box in drawing.boxes if box.kind == "cluster"]:
        out.append(f'  subgraph {ids[cluster.name]}["{_entities(_text(cluster))}"]')
        out += [f"    {_mermaid_box(box, ids)}" for box in drawing.boxes if box.inside == cluster.name]
        out.append("  end")
    out += [f"  {_mermaid_box(box, ids)}" for box in drawing.boxes if not box.inside and box.kind != "cluster"]
    for line in drawing.lines:
        arrow = "-.->" if line.dashed else "-->"
        label = f'|"{_entities([line.label])}"|' if line.label else ""
        out.append(f"  {ids[line.start]} {arrow}{label} {ids[line.end]}")
    return "\n".join(out) + "\n"


def dot(drawing: Drawing) -> str:
    """A digraph: `dot -Tpng`."""
    ids = {box.name: f"n{number}" for number, box in enumerate(drawing.boxes)}
    clusters = {box.name: box for box in drawing.boxes if box.kind == "cluster"}
    out = ["digraph application {", f"  label={_quote([drawing.title])};", "  compound=true; node [shape=box];"]
    for cluster in clusters.values():
        members = [box for box in drawing.boxes if box.inside == cluster.name]
        out.append(f"  subgraph cluster_{ids[cluster.name]} {{")
        out.append(f"    label={_quote(_text(cluster))};")
        out.append(f"    {ids[cluster.name]} [shape=point, style=invis];")  # what lines to the cluster end at
        out += [f"    {_dot_box(box, ids)}" for box in members]
        out.append("  }")
    out += [f"  {_dot_box(box, ids)}" for box in drawing.boxes if not box.inside and box.kind != "cluster"]
    for line in drawing.lines:
        given = [f"label={_quote([line.label])}"] if line.label else []
        given += ["style=dashed"] if line.dashed else []
        given += [f"lhead=cluster_{ids[line.end]}"] if line.end in clusters else []
        out.append(f"  {ids[line.start]} -> {ids[line.end]}" + (f" [{', '.join(given)}];" if given else ";"))
    return "\n".join([*out, "}"]) + "\n"


def _text(box: Box) -> list[str]:
    return [box.name, ", ".join([box.kind, *box.details]), *box.became]


def _mermaid_box(box: Box, ids: dict[str, str]) -> str:
    opening, closing, _ = SHAPES.get(box.kind, PLAIN)
    return f'{ids[box.name]}{opening}"{_entities(_text(box))}"{closing}'


def _dot_box(box: Box, ids: dict[str, str]) -> str:
    return f"{ids[box.name]} [label={_quote(_text(box))}, shape={SHAPES.get(box.kind, PLAIN)[2]}];"


def _entities(lines: list[str]) -> str:
    """Any text inside Mermaid's quotes."""
    special = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;"}
    return "<br/>".join("".join(special.get(c, " " if c in "\n\r\t" else c) for c in line) for line in lines)


def _quote(lines: list[str]) -> str:
    text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines)
    return f'"{text}"'


def _yaml(text: str) -> str:
    import json

    return json.dumps(text)
