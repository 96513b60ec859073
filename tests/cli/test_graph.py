from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from meghdwar import model
from meghdwar.cli import drawing, graph, svg
from meghdwar.diagnostics import Span


def xml(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 (we wrote it)


def at(line: int) -> Span:
    return Span("a.yaml", line, 5)


NASTY = 'a "<b>" & #1; `c` \\n ]'
APPLICATION = model.Application(
    "arena & co",
    at(1),
    elements=(
        model.Gateway("edge_a", "lxd", at(10), zone="edge-1"),
        model.Gateway("edge_b", "lxd", at(20), endpoint=model.Parameter("where")),
        model.Cloudlet(
            "arena", "container", "img", at(30), host="edge_a", cluster="edges", state=(model.Mount("saves", "/data"),)
        ),
        model.Volume("saves", 100 * 2**20, at(40)),
        model.Cluster("edges", ("edge_a", "edge_b"), at(50)),
        model.Mobility("follow", ("arena",), at(60)),
        model.ClusterPolicy("grow", "scaling", "1.0", "edges", {}, at(70)),
        model.Receiver("grow_door", "edges", "grow", at(72)),
        model.Server("web", at(80)),
        model.BlockStorage(NASTY, at(90), size_bytes=10**9),
        model.Attachment("web_disk", "web", NASTY, at(95), location="/srv"),
    ),
)
MADE = [
    drawing.Made("edge_a_profile", "OS::Senlin::Profile", at(12), "its machine"),
    drawing.Made("saves", "OS::Cinder::Volume", at(40), "its state"),
]


@pytest.fixture
def picture() -> drawing.Drawing:
    return drawing.draw(APPLICATION, drawing.made_by_element(APPLICATION, MADE))


def test_a_resource_belongs_to_the_element_in_whose_lines_it_was_asked_for(picture: drawing.Drawing) -> None:
    became = {box.name: box.became for box in picture.boxes if box.became}
    assert became == {"edge_a": ("OS::Senlin::Profile edge_a_profile",), "saves": ("OS::Cinder::Volume saves",)}


def test_a_resource_of_another_file_belongs_to_nobody() -> None:
    stray = drawing.Made("x", "T", Span("z.yaml", 12, 1), "")
    assert drawing.made_by_element(APPLICATION, [stray]) == {}


def test_lines_say_who_needs_whom(picture: drawing.Drawing) -> None:
    found = {(line.start, line.end, line.label, line.dashed) for line in picture.lines}
    assert found == {
        ("arena", "edge_a", "starts at", False),
        ("arena", "saves", "/data", False),
        ("arena", "edge_b", "may move to", True),
        ("follow", "arena", "moves", False),
        ("grow", "edges", "", False),
        ("grow_door", "edges", "", False),
        ("web", NASTY, "/srv", False),
    }


def test_gateways_stand_inside_their_cluster(picture: drawing.Drawing) -> None:
    assert [box.name for box in picture.boxes if box.inside == "edges"] == ["edge_a", "edge_b"]


def test_mermaid_names_everything_and_no_text_breaks_out(picture: drawing.Drawing) -> None:
    text = graph.mermaid(picture)
    assert 'subgraph n4["edges<br/>cluster, 0 to any number"]' in text
    assert "n2 -.->" in text
    assert "a #quot;#lt;b#gt;#quot; #amp; #35;1; #96;c#96;" in text
    assert text.count('"') % 2 == 0


def test_dot_has_balanced_brackets_and_quotes(picture: drawing.Drawing) -> None:
    text = graph.dot(picture)
    assert text.replace('\\"', "").count('"') % 2 == 0
    assert text.count("{") == text.count("}")
    assert "lhead=cluster_n4" in text


def test_svg_is_xml_with_every_name_in_it(picture: drawing.Drawing) -> None:
    root = xml(svg.svg(picture))
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"edge_a", "edge_b", "arena", "saves", "web", NASTY} <= set(words)
    assert any(word and word.startswith("edges: cluster") for word in words)


def test_boxes_do_not_cover_each_other(picture: drawing.Drawing) -> None:
    root = xml(svg.svg(picture))
    boxes = [
        tuple(float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
        for rect in root.iter("{http://www.w3.org/2000/svg}rect")
        if rect.get("stroke") == "#555"
    ]
    assert len(boxes) == 9
    for number, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[number + 1 :]:
            apart = (
                x + width <= other_x
                or other_x + other_width <= x
                or y + height <= other_y
                or other_y + other_height <= y
            )
            assert apart


def test_a_circle_and_a_control_character_are_drawn() -> None:
    circle = drawing.Drawing(
        "c\x07",
        (drawing.Box("a", "server"), drawing.Box("b", "server"), drawing.Box("c", "cluster")),
        (drawing.Line("a", "b"), drawing.Line("b", "a"), drawing.Line("a", "c")),
    )
    xml(svg.svg(circle))


def test_an_empty_application_is_drawn() -> None:
    xml(svg.svg(drawing.Drawing("nothing")))
    assert graph.mermaid(drawing.Drawing("nothing")).startswith("---")


def test_the_same_drawing_gives_the_same_bytes(picture: drawing.Drawing) -> None:
    again = drawing.draw(APPLICATION, drawing.made_by_element(APPLICATION, MADE))
    assert svg.svg(picture) == svg.svg(again)
    assert graph.dot(picture) == graph.dot(again)
