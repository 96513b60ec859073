"""Drawings as pictures: layers from top to bottom, no other program needed."""

from __future__ import annotations

from dataclasses import dataclass

from meghdwar.cli.drawing import Box, Drawing

LETTER, ROW, PAD, GAP, LAYER_GAP = 7.0, 16, 10, 24, 64
ROW_WIDTH_MAX = 1800
COLOURS = {
    "gateway": "#d7e8fa", "cloudlet": "#dff3dc", "volume": "#fdeccf", "state files": "#fdeccf", "policy": "#efe0f7",
    "mobility": "#efe0f7", "receiver": "#f7dfe3", "server": "#d7e8fa", "block storage": "#fdeccf",
}  # fmt: skip


@dataclass(slots=True)
class Place:
    """Where a box is drawn."""

    box: Box
    text: list[str]
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def svg(drawing: Drawing) -> str:
    """A whole SVG file. The same drawing gives the same picture."""
    clusters = {box.name: box for box in drawing.boxes if box.kind == "cluster"}
    places = {box.name: _place(box) for box in drawing.boxes if box.kind not in ("cluster",)}
    rows = _rows(drawing, places)
    width, height = _arrange(rows, drawing)
    frames = {name: _frame(box, [p for p in places.values() if p.box.inside == name]) for name, box in clusters.items()}
    loose = [frame for frame in frames.values() if frame.y < 0]  # a cluster that holds no gateway
    for number, frame in enumerate(loose):
        frame.x, frame.y = PAD + number * (frame.width + GAP), height
    height += 60 if loose else 0
    width = max([width, *(f.x + f.width + PAD for f in frames.values()), len(drawing.title) * LETTER + 2 * PAD])
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif" font-size="12">',
        f"<title>{_xml(drawing.title)}</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for frame in frames.values():
        out.append(_rectangle(frame, "#f6f8fa", "#9aa7b5", dashed=True))
        out += [_words(line, frame.x + PAD, frame.y + ROW * (n + 1), "start") for n, line in enumerate(frame.text)]
    ends = {**places, **frames}
    for line in drawing.lines:
        start, end = ends.get(line.start), ends.get(line.end)
        if start is not None and end is not None:
            out += _line(start, end, line.label, line.dashed)
    for place in places.values():
        out.append(_rectangle(place, COLOURS.get(place.box.kind, "#eee"), "#555"))
        for number, text in enumerate(place.text):
            weight = ' font-weight="bold"' if number == 0 else ""
            out.append(_words(text, place.middle, place.y + PAD + ROW * (number + 0.75), "middle", weight))
    return "\n".join([*out, "</svg>"]) + "\n"


def _place(box: Box) -> Place:
    text = [box.name, ", ".join([box.kind, *box.details]), *box.became[:6]]
    if len(box.became) > 6:
        text.append(f"and {len(box.became) - 6} more")
    text = [line if len(line) <= 60 else line[:57] + "..." for line in text]
    return Place(box, text, max(len(line) for line in text) * LETTER + 2 * PAD, len(text) * ROW + 2 * PAD)


def _rows(drawing: Drawing, places: dict[str, Place]) -> list[list[Place]]:
    """Layers: a box stands below everything that has a line to it; circles are cut where they are met."""
    below: dict[str, list[str]] = {name: [] for name in places}
    above = dict.fromkeys(places, 0)
    for line in drawing.lines:
        for end in [line.end] if line.end in places else []:
            if line.start in places and not line.dashed:
                below[line.start].append(end)
                above[end] += 1
    layer = dict.fromkeys(places, 0)
    waiting = [name for name in places if above[name] == 0]
    seen = set()
    for name in waiting:  # grows while it is walked
        seen.add(name)
        for end in below[name]:
            layer[end] = max(layer[end], layer[name] + 1)
            above[end] -= 1
            if above[end] == 0:
                waiting.append(end)
    gateways = [name for name, place in places.items() if place.box.inside]
    deepest = max((layer[name] for name in gateways), default=0)
    for name in gateways:  # the gateways of a cluster stand side by side
        layer[name] = deepest
    last = max(layer.values(), default=0)
    for name in places:
        if name not in seen:
            layer[name] = last + 1
    layers: dict[int, list[Place]] = {}
    for name, place in places.items():
        layers.setdefault(layer[name], []).append(place)
    return [row for depth in sorted(layers) for row in _folded(sorted(layers[depth], key=lambda p: p.box.inside))]


def _folded(members: list[Place]) -> list[list[Place]]:
    """A layer that would be too wide goes on in further rows."""
    rows: list[list[Place]] = []
    used = 0.0
    for place in members:
        if not rows or used + place.width > ROW_WIDTH_MAX:
            rows.append([])
            used = 0.0
        rows[-1].append(place)
        used += place.width + GAP
    return rows


def _arrange(rows: list[list[Place]], drawing: Drawing) -> tuple[float, float]:
    """Gives each box its place and returns the size of the picture."""
    widths = [sum(p.width for p in row) + GAP * (len(row) - 1) for row in rows]
    width = max(widths, default=0.0) + 4 * PAD
    y = float(PAD + ROW)
    for row, used in zip(rows, widths, strict=True):
        y += ROW * 3 if any(place.box.inside for place in row) else 0  # room for the cluster's words
        x = (width - used) / 2
        for place in row:
            place.x, place.y = x, y
            x += place.width + GAP
        y += max(place.height for place in row) + LAYER_GAP
    return width, y - LAYER_GAP + 3 * PAD if rows else 60.0


def _frame(box: Box, members: list[Place]) -> Place:
    itself = [each for each in box.became if each.endswith(f" {box.name}")]
    text = [", ".join([f"{box.name}: {box.kind}", *box.details]), *(itself or box.became)[:1]]
    least = max(len(line) for line in text) * LETTER + 2 * PAD
    if not members:
        return Place(box, text, least, ROW * 2 + PAD, 0, -1)
    left = min(p.x for p in members) - PAD
    right = max(max(p.x + p.width for p in members) + PAD, left + least)
    top = min(p.y for p in members) - ROW * len(text) - PAD
    bottom = max(p.y + p.height for p in members) + PAD
    return Place(box, text, right - left, bottom - top, left, top)


def _line(start: Place, end: Place, label: str, dashed: bool) -> list[str]:
    if start.y + start.height <= end.y:
        y1, y2 = start.y + start.height, end.y
    elif end.y + end.height <= start.y:
        y1, y2 = start.y, end.y + end.height
    else:
        y1, y2 = start.y + start.height / 2, end.y + end.height / 2
    x1, x2 = start.middle, end.middle
    if end.box.kind == "cluster":
        x2 = min(max(x1, end.x + PAD), end.x + end.width - PAD)
    bend = (y1 + y2) / 2
    style = ' stroke-dasharray="5 4"' if dashed else ""
    path = f"M{x1:.1f} {y1:.1f}C{x1:.1f} {bend:.1f} {x2:.1f} {bend:.1f} {x2:.1f} {y2:.1f}"
    out = [f'<path d="{path}" fill="none" stroke="#555"{style} marker-end="url(#tip)"/>']
    if label:
        out.append(_words(label, (x1 + x2) / 2 + 4, bend - 2, "start", ' fill="#555" font-size="11"'))
    return out


def _rectangle(place: Place, fill: str, stroke: str, dashed: bool = False) -> str:
    size = f'x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
    style = ' stroke-dasharray="6 3"' if dashed else ""
    return f'<rect {size} rx="5" fill="{fill}" stroke="{stroke}"{style}/>'


def _words(text: str, x: float, y: float, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{_xml(text)}</text>'


def _xml(text: str) -> str:
    """Text in XML 1.0, which cannot hold control characters at all."""
    special = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
    return "".join(special.get(c, c) if c >= " " and c not in "\ufffe\uffff" else " " for c in text)
