"""HOT as data: values, parameters, names, and text that every YAML reader understands alike."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meghdwar.compiler.targets import hot
from meghdwar.compiler.targets.hot import Stack, Values, declare, emit, parameter_names, protect
from meghdwar.diagnostics import Span
from meghdwar.model import Attribute, Constraint, Input, Join, Parameter, Token

AT = Span("a.yaml", 3, 5)
TRAPS = [
    "yes", "No", "on", "OFF", "y", "true", "null", "~", "", "012", "1e3", "0x1F", "0o17", "1_000", "2001-01-01",
    "1:30", "12:30:45", ".5", "+1", "-", "- a", "a: b", "a #b", "#a", "{a}", "[a]", "*a", "&a", "!a", "%a", "@a", "`a",
    "'a'", '"a"', " a", "a ", "a\nb", "a\n", "\na", "  a\nb\n\n", "a \nb", "\ta", "a\tb", "<<", "=", "---", "...",
    "--- a", "?", "? a", ":", "\x07", "\u2028", "é", "😀", "2018-08-31", "10.50.0.80", ".inf", ".NaN", "0b11", "1,000",
    "190:20:30", "#cloud-config\na: 1\n",
]  # fmt: skip


def values(*inputs: Input) -> Values:
    return Values.of(inputs, lambda attribute: {"get_attr": [attribute.element, *attribute.path]})


@pytest.mark.parametrize("text", TRAPS)
def test_text_stays_text(text: str) -> None:
    written = emit({"a": text, text: "b", "list": [text, {text: text}]})
    expected = {"a": text, text: "b", "list": [text, {text: text}]}
    assert yaml.load(written, yaml.CSafeLoader) == expected
    assert yaml.load(written, yaml.SafeLoader) == expected


_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_DATA)
def test_everything_reads_back(data: hot.Data) -> None:
    assert yaml.load(emit({"a": data}), yaml.CSafeLoader) == {"a": data}


def test_the_text_is_for_people() -> None:
    written = emit({"b": {"type": "OS::Nova::Server", "x": [1, 2.5, True, None]}, "a": "#!/bin/sh\necho 1\n", "e": {}})
    assert written == (
        "b:\n  type: OS::Nova::Server\n  x:\n  - 1\n  - 2.5\n  - true\n  - null\na: |\n  #!/bin/sh\n  echo 1\ne: {}\n"
    )


def test_values() -> None:
    v = values(
        Input("flavor", "string", AT), Input("n", "integer", AT), Input("tags", "list", AT), Input("m-m", "map", AT)
    )
    assert v(Parameter("flavor")) == {"get_param": "flavor"}
    assert v(Parameter("m-m", ("a", 0))) == {"get_param": ["m_m", "a", 0]}
    assert v({"a": (1, Parameter("n"))}) == {"a": [1, {"get_param": "n"}]}
    assert v(Attribute("web", ("networks", "x"))) == {"get_attr": ["web", "networks", "x"]}


def test_joins_become_as_little_as_possible() -> None:
    v = values(Input("s", "string", AT), Input("n", "integer", AT), Input("tags", "list", AT))
    assert v(Join(("a", 1, True))) == "a1true"
    assert v(Join(("http://", "h", ":", Parameter("s"), "/"))) == {
        "list_join": ["", ["http://h:", {"get_param": "s"}, "/"]]
    }
    assert v(Join((Parameter("s"),))) == {"get_param": "s"}
    assert v(Join(("a", Parameter("tags"), "b"), ",")) == {"list_join": [",", ["a"], {"get_param": "tags"}, ["b"]]}
    number = {"str_replace": {"template": "value", "params": {"value": {"get_param": "n"}}}}
    assert v(Join(("p", Parameter("n")))) == {"list_join": ["", ["p", number]]}


def test_tokens() -> None:
    v = values(Input("s", "string", AT))
    assert v(Token("a:b:c", ":", 1)) == "b"
    assert v(Token(Parameter("s"), ":", 1)) == {"str_split": [":", {"get_param": "s"}, 1]}


def test_a_plain_map_is_never_a_function_call() -> None:
    assert protect({"a": 1}) == {"a": 1}
    assert protect({"get_file": 1, "b": 2}) == {"get_file": 1, "b": 2}
    assert values()({"x": {"get_file": "/etc/passwd"}}) == {
        "x": {"map_replace": [{"get_file_": "/etc/passwd"}, {"keys": {"get_file_": "get_file"}}]}
    }


def test_names_do_not_collide() -> None:
    assert parameter_names(["a-b", "a_b", "a b", "c"]) == {"a-b": "a_b_2", "a_b": "a_b", "a b": "a_b_3", "c": "c"}
    assert hot.resource_names(["a/b", "a_b"]) == {"a/b": "a_b_2", "a_b": "a_b"}
    stack = Stack("s", reserved=frozenset({"x"}))
    stack.resource("y", "OS::Heat::None", {}, AT, "")
    assert (stack.unused("x"), stack.unused("y"), stack.unused("z")) == ("x_2", "y_2", "z")


def declared(*inputs: Input) -> dict[str, dict[str, hot.Data]]:
    stack = Stack("s")
    declare(stack, inputs, parameter_names(i.name for i in inputs))
    return stack.parameters


def test_inputs_become_parameters() -> None:
    assert declared(
        Input("a", "string", AT, description="An a.", constraints=(Constraint("pattern", "[a-z]+"),), secret=True),
        Input(
            "b", "integer", AT, default=2, constraints=(Constraint("in_range", (1, 4)), Constraint("greater_than", 0))
        ),
        Input("c", "float", AT, unit="GiB", constraints=(Constraint("greater_than", 0.5),)),
        Input("d", "list", AT, default=("x", "y")),
        Input("e", "list", AT, default=(1, 2)),
        Input("f", "map", AT, required=False),
        Input("g-h", "boolean", AT, default=False),
        Input("i", "string", AT, constraints=(Constraint("valid_values", ("a", "b")),)),
        Input("j", "integer", AT, constraints=(Constraint("in_range", (1, "UNBOUNDED")),)),
    ) == {
        "a": {"type": "string", "description": "An a.", "hidden": True, "constraints": [{"allowed_pattern": "[a-z]+"}]},
        "b": {"type": "number", "default": 2, "constraints": [{"range": {"min": 1, "max": 4}}, {"range": {"min": 1}}]},
        "c": {"type": "number", "description": "In GiB. It has to be greater than 0.5."},
        "d": {"type": "comma_delimited_list", "default": ["x", "y"]},
        "e": {"type": "json", "default": [1, 2]},
        "f": {"type": "json", "default": {}},
        "g_h": {"type": "boolean", "label": "g-h", "default": False},
        "i": {"type": "string", "constraints": [{"allowed_values": ["a", "b"]}]},
        "j": {"type": "number", "constraints": [{"range": {"min": 1}}]},
    }


def test_a_stack_in_order() -> None:
    stack = Stack("s", "What it is.")
    stack.resource("b", "OS::Heat::None", {"x": 1, "y": None}, AT, "b was asked for", depends_on=["a", "a"])
    stack.resource("a", "OS::Heat::None", {}, AT, "b needs it")
    stack.parameter("p", "string", default="x")
    stack.output("o", {"get_resource": "b"}, "The b.")
    assert list(stack.data()) == ["heat_template_version", "description", "parameters", "resources", "outputs"]
    assert stack.data()["resources"] == {
        "b": {"type": "OS::Heat::None", "depends_on": ["a"], "properties": {"x": 1}},
        "a": {"type": "OS::Heat::None"},
    }
    assert stack.origins["b"] == (AT, "b was asked for")
