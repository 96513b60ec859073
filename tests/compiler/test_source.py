"""Reading YAML: every value keeps its place, every problem has one, and no input is a crash."""

from __future__ import annotations

import gc
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from meghdwar.compiler import source
from meghdwar.compiler.source import Node, read


def good(text: bytes | str) -> Node:
    node, problems = read(text, "f.yaml")
    assert problems == []
    assert node is not None
    return node


def bad(text: bytes | str) -> list[str]:
    return [f"{p.rule.code} {p.span.line}:{p.span.column} {p.message}" for p in read(text, "f.yaml")[1]]


def places(node: Node) -> dict[str, tuple[int, int, int]]:
    return {key: (at.key_span.line, at.key_span.column, at.span.column) for key, at in node.map.items()}


# what it holds
@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, 2, 3.5, true, null, ~]\nc: {d: e, f: {g: []}}\n",
        "- |\n  lit\n  eral\n- >-\n  fold\n  ed\n- 'single ''quoted'''\n- \"double \\n\"\n- plain words\n",
        "a: &x {b: 1, c: 2}\nd: *x\ne:\n  <<: *x\n  c: 3\nf: {<<: [*x, {g: 4}], b: 5}\n",
        "? long key\n: value\n'quoted': !!str 12\nn: !!int '3'\nf: !!float 3\n",
        "%YAML 1.1\n---\n# comment\na:   # more\n  - - 1\n    - 2\n  -\n    b:\n...\n",
        "\ufeffa: \u00e9\u4e2d\U0001f600\n",
        "just text",
        "[-1, +2, 1.5e+3, -.inf, 0x1F, .5]",
    ],
)
def test_data_is_what_other_readers_read(text: str) -> None:
    assert good(text).data() == yaml.load(text, Loader=yaml.CSafeLoader)


@pytest.mark.parametrize("name", ["meghdwar.yaml", "examples/arena.tosca.yaml"])
def test_own_documents_are_what_other_readers_read(name: str) -> None:
    text = files("meghdwar.tosca").joinpath(name).read_text(encoding="utf-8")
    assert good(text).data() == yaml.load(text, Loader=yaml.CSafeLoader)


def test_scalars_follow_yaml_1_2() -> None:
    text = "[yes, no, on, off, 010, 0o10, 1_000, 12:30:45, 2020-01-01, '1', True, Null]"
    expected = ["yes", "no", "on", "off", 10, 8, "1_000", "12:30:45", "2020-01-01", "1", True, None]
    assert good(text).data() == expected


def test_keys_are_text() -> None:
    assert good("1: a\ntrue: b\n1.0: c\n'': d").data() == {"1": "a", "true": "b", "1.0": "c", "": "d"}


def test_utf_16_is_read() -> None:
    assert good("a: \u00e9".encode("utf-16")).data() == {"a": "\u00e9"}


# where it is
def test_every_value_knows_its_place_and_the_place_of_its_key() -> None:
    node = good("a: 1\n  # comment\nb:\n  - x\n  - {c:  yy}\n'd' : \"z\"\n")
    assert places(node) == {"a": (1, 1, 4), "b": (3, 1, 3), "d": (6, 1, 7)}
    first, second = node.map["b"].list
    assert (str(first.span), str(first.key_span)) == ("f.yaml:4:5", "f.yaml:4:5")
    assert str(second.span) == "f.yaml:5:5"
    assert places(second) == {"c": (5, 6, 10)}
    assert (second.map["c"].span.length, node.map["d"].span.length) == (2, 3)


def test_an_item_of_a_list_has_no_key() -> None:
    for text in (
        "- {a: 1}\n- x\n",
        "- a: 1\n- x\n",
        "- {a: [1]}\n- {b: {}}\n- [c]\n",
        "- &a {b: c}\n- *a\n- ? [d]\n  : e\n",
    ):
        node, _ = read(text, "f.yaml")
        assert node is not None
        assert all(item.key_span == item.span for item in node.list)


def test_an_alias_keeps_the_place_of_its_value_and_has_a_key_of_its_own() -> None:
    node = good("a: &x {b: 1}\nc: *x\n")
    assert places(node) == {"a": (1, 1, 4), "c": (2, 1, 4)}
    assert str(node.map["c"].span) == "f.yaml:1:4"
    assert node.map["c"].value is node.map["a"].value


def test_columns_beyond_what_a_place_holds_do_not_spoil_the_line() -> None:
    node = good("a: [" + "x, " * 400_000 + "y]")
    assert node.map["a"].list[-1].span.line == 1


# what is wrong with it
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("a: 1\nb: 2\na: 3\n", ["MDW002 3:1 cannot have the key 'a' twice in one map"]),
        ("x: {a: 1, a: {b: 1}}\n", ["MDW002 1:11 cannot have the key 'a' twice in one map"]),
        ("x: &x {}\ny: {<<: *x, <<: *x}\n", ["MDW002 2:13 cannot have the key '<<' twice in one map"]),
        ("", ["MDW003 1:1 cannot find anything in this file"]),
        ("# only words\n", ["MDW003 1:1 cannot find anything in this file"]),
        ("---\n", ["MDW003 1:1 cannot find anything in this document"]),
        ("a: 1\n---\nb: 1\n", ["MDW004 2:1 cannot read a second document in one file"]),
        ("~: 1\n", ["MDW005 1:1 cannot use ~ as a key"]),
        ("{a: 1, ? : 1}\n", ["MDW005 1:10 cannot use nothing as a key"]),
        ("[a, [b]]: 1\nc: 2\n", ["MDW005 1:1 cannot use this list as a key"]),
        ("name: {{ jinja }}\n", ["MDW005 1:8 cannot use a map as a key"]),
        ("a: !Ref x\n", ["MDW006 1:4 cannot use the tag !Ref here"]),
        ("a: !!python/object:os.system x\n", ["MDW006 1:4 cannot use the tag !!python/object:os.system here"]),
        ("a: !!int x\n", ["MDW006 1:4 cannot read 'x' as !!int"]),
        ("a: !!seq {}\n", ["MDW006 1:4 cannot use the tag !!seq here"]),
        ("a: *nowhere\n", ["MDW007 1:4 cannot find the anchor &nowhere before this alias"]),
        ("a: &a\n  b: *a\n", ["MDW007 2:6 cannot use the alias *a inside the value that it stands for"]),
        ("a: {<<: 1}\n", ["MDW010 1:9 cannot merge this integer: '<<' takes a map or a list of maps"]),
        ("a: {<<: [{b: 1}, c]}\n", ["MDW010 1:18 cannot merge this string: '<<' takes a map or a list of maps"]),
        ("a: x\x07\n", ["MDW009 1:5 cannot have the control character U+0007 in YAML"]),
        ("a: 1\nb: \0\n", ["MDW009 2:4 cannot have the control character U+0000 in YAML"]),
        (b"a: 1\nb: \xe9t\xe9\n", ["MDW009 2:4 cannot read the byte 0xe9 as UTF-8"]),
        ("a: \ud800\n", ["MDW009 1:4 cannot read the byte 0xed as UTF-8"]),
    ],
)
def test_a_problem_has_its_place(text: bytes | str, problems: list[str]) -> None:
    assert bad(text) == problems


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a:\n\tb: 1\n", "2:1", "cannot read a tab used as indentation"),
        ("a: |\n\tb\n", "2:1", "cannot read a tab used as indentation"),
        ("a: 1\n  b: 2\n", "2:3", "cannot have a key here: the line before it is a value already"),
        ("a: b: c\n", "1:5", "cannot have a second ': ' in one line"),
        ("a:\n  b: 1\n c: 2\n", "3:2", "cannot place this line: its indentation fits no map above it"),
        ("- a\nb: c\n", "2:1", "cannot place this line: it is no item of the list above it"),
        ("a: [1, 2\n", "1:4", "cannot find the ']' that closes this"),
        ("a: {b: 1\nc: 2\n", "1:4", "cannot find the '}' that closes this"),
        ("a: [b {c]\n", "1:7", "cannot find ',' or ']' here"),
        ("a: {, b}\n", "1:5", "cannot have ',' here"),
        ("a: 'b\nc: d\n", "1:4", "cannot find the closing quote"),
        ("a: 'b' c\n", "1:8", "cannot have more text after the closing quote"),
        ("a: @b\n", "1:4", "cannot start a value with '@'"),
        ('a: "\\q"\n', "1:5", "cannot read the escape \\q in double quotes"),
        ("a: 1\nb\n", "2:1", "cannot find ': ' after this key"),
        ("a: {b: 1}}\n", "1:10", "cannot have '}' here"),
        ("a: !u!x 1\n", "1:4", "cannot read this tag"),
        ("%FOO bar\n---\na: 1\n", "1:5", "cannot read this: found unknown directive name"),
    ],
)
def test_bad_yaml_is_said_in_words(text: str, place: str, message: str) -> None:
    node, (problem,) = read(text, "f.yaml")
    assert node is None
    assert problem.rule.code == "MDW001"
    assert f"{problem.span.line}:{problem.span.column}" == place
    assert problem.message.startswith(message)
    assert problem.help


def test_all_problems_of_a_file_come_at_once_and_the_rest_is_kept() -> None:
    node, problems = read("a: 1\na: 2\n[[x]]: {y: 1, y: 2}\nb: *no\nc: !no d\ne: f\n", "f.yaml")
    assert [p.rule.code for p in problems] == ["MDW002", "MDW005", "MDW002", "MDW007", "MDW006"]
    assert node is not None
    assert node.data() == {"a": 1, "b": None, "c": "d", "e": "f"}


def test_a_list_of_names_may_be_a_key_as_requirement_mappings_have_it() -> None:
    node, problems = read("[ service, UNBOUNDED ]: [a, b]\n", "f.yaml")
    assert node is not None
    assert (node.data(), problems) == ({"[service, UNBOUNDED]": ["a", "b"]}, [])


def test_a_duplicate_points_at_the_first() -> None:
    (problem,) = read("a: 1\nb: {cc: 1, cc: 2}\n", "f.yaml")[1]
    assert [(str(span), words) for span, words in problem.related] == [("f.yaml:2:5", "first written here")]
    assert problem.related[0][0].length == problem.span.length == 2


# what asks for too much
def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert bad("\n".join(lines))[0].startswith("MDW008")


def test_a_merge_bomb_is_refused() -> None:
    lines = ["a: &a {" + ", ".join(f"k{i}: 1" for i in range(1000)) + "}", "b:", *["- <<: *a"] * 1000]
    assert bad("\n".join(lines))[0].startswith("MDW008")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{a: " * 100_000, "- " * 50_000, "? " * 50_000, "a:\n" + " - - " * 40_000]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert bad(text)[-1].startswith("MDW008")


def test_depth_by_aliases_is_refused() -> None:
    deep = "[" * 40 + "x" + "]" * 40
    assert bad(f"a: &a {deep}\nb: {'[' * 40}*a{']' * 40}\n")[0].startswith("MDW008")


def test_the_deepest_allowed_is_read() -> None:
    node = good("[" * source.DEPTH_MAX + "]" * source.DEPTH_MAX)
    assert sum(1 for _ in node.walk()) == source.DEPTH_MAX


def test_many_tag_directives_are_refused() -> None:
    text = "".join(f"%TAG !e{i}! tag:e{i}:\n" for i in range(100_000)) + "---\na: 1\n"
    assert bad(text) == ["MDW008 1:1 cannot read so many %TAG directives"]


def test_thousands_of_problems_end() -> None:
    assert len(bad("a: 1\n" * 50_000)) <= 1001


def test_garbage_collection_is_left_as_it_was() -> None:
    read("a: [", "f.yaml")
    assert gc.isenabled()
    gc.disable()
    try:
        read("a: 1", "f.yaml")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_library_reads_every_own_yaml_file(request: pytest.FixtureRequest) -> None:
    for path in (Path(str(request.config.rootpath)) / "tosca").rglob("*.yaml"):
        assert read(path.read_bytes(), path.name)[1] == []
