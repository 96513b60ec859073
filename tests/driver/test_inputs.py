"""Inputs of `mdw up` are held against what the stack says of its parameters."""

from __future__ import annotations

import pytest

from meghdwar.bundle import BundleError
from meghdwar.driver.inputs import check

DECLARED = {
    "lives": {"type": "number", "constraints": [{"range": {"min": 1, "max": 9}}]},
    "name": {"type": "string", "constraints": [{"length": {"max": 5}}, {"allowed_pattern": "[a-z]+"}]},
    "size": {"type": "string", "constraints": [{"allowed_values": ["S", "M"], "description": "S or M, please"}]},
    "fast": {"type": "boolean"},
    "more": {"type": "json"},
    "many": {"type": "comma_delimited_list"},
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"lives": 9},
        {"lives": 1.5},
        {"name": "anna", "size": "M"},
        {"fast": True},
        {"more": {"a": 1}},
        {"many": "a,b"},
    ],
)
def test_what_fits(given: dict[str, object]) -> None:
    check("x.plan.yaml", DECLARED, given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"live": 1}, "it has no input 'live'; did you mean 'lives'?"),
        ({"lives": "many"}, "the input lives is a number, and 'many' is none"),
        ({"lives": True}, "the input lives is a number, and True is none"),
        ({"lives": 10}, "the input lives is 10, and has to fit: range min 1, max 9"),
        ({"name": "annabel"}, "has to fit: length max 5"),
        ({"name": "Anna"}, r"has to fit: allowed pattern \[a-z\]\+"),
        ({"name": ["anna"]}, "the input name is a string"),
        ({"size": "L"}, "has to fit: S or M, please"),
        ({"fast": "yes"}, "the input fast is a boolean"),
        ({"more": "{"}, "the input more is a json"),
        ({"many": 3}, "the input many is a comma_delimited_list"),
        ({"lives": None}, "and None is none"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, object], says: str) -> None:
    with pytest.raises(BundleError, match=f"cannot use x.plan.yaml: .*{says.replace('?', '.')}"):
        check("x.plan.yaml", DECLARED, given)
