"""Every error says first what cannot be done: "cannot ...", with no full stop at the end.

The messages are read where they are written, so that those of rare problems count too; a name stands for all that is
assigned to it, and a parameter for all that callers pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import meghdwar.compiler.rules
import meghdwar.onboard.rules
from meghdwar.diagnostics import Rule

ROOT = Path(__file__).parents[1] / "meghdwar"
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(ROOT.rglob("*.py"))}
RULES = {
    f"rules.{name}": rule
    for module in (meghdwar.compiler.rules, meghdwar.onboard.rules)
    for name, rule in vars(module).items()
    if isinstance(rule, Rule)
}
WARNED = {"the key {} stands here twice: the first one is empty and does not count"}  # an error made a warning later on
Function = ast.FunctionDef | ast.AsyncFunctionDef


def diagnostics() -> Iterator[tuple[Path, Function, ast.Call]]:
    """Every Diagnostic(...) that may be an error, and the innermost function that it stands in."""
    for path, tree in MODULES.items():
        warned = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "as_warning"
        ]
        around: dict[ast.Call, Function] = {}
        for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
            around.update((node, function) for node in ast.walk(function) if isinstance(node, ast.Call))
        for call, function in around.items():
            rule = RULES.get(ast.unparse(call.args[0])) if call.args else None
            is_error = (rule is None or rule.severity == "error") and call not in warned
            if ast.unparse(call.func) == "Diagnostic" and is_error:
                yield path, function, call


def argument(call: ast.Call, name: str, index: int) -> ast.expr:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    return named[name] if name in named else call.args[index]


def texts(value: ast.expr, function: Function, tree: ast.Module) -> Iterator[str]:
    """All that a message may be; what is put into it is {}, and a message that is only passed on is left out."""
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from texts(one, function, tree)
            yield from texts(other, function, tree)
        case ast.BinOp(left=left, right=right):
            for begin in texts(left, function, tree):
                yield from (begin + end for end in texts(right, function, tree))
        case ast.Attribute(attr="message"):
            pass
        case ast.Name(id=name):
            found = [*_given(name, function, tree)]
            assert found, f"nothing is known of {name} in {function.name}"
            for written, inside in found:
                yield from texts(written, inside, tree)
        case _:
            pytest.fail(f"cannot read the message {ast.unparse(value)} in {function.name}")


def _given(name: str, function: Function, tree: ast.Module) -> Iterator[tuple[ast.expr, Function]]:
    """What is assigned to a name in a function, or passed for it by callers in the same module."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from ((value, function) for value in _assigned(target, node.value, name))
    parameters = [parameter.arg for parameter in function.args.args if parameter.arg not in ("self", "cls")]
    if name in parameters:
        for caller in (node for node in ast.walk(tree) if isinstance(node, Function)):
            for node in ast.walk(caller):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == function.name:
                    passed = RULES.get(ast.unparse(argument(node, "rule", 0))) if "rule" in parameters else None
                    if passed is not None and passed.severity != "error":
                        continue
                    yield argument(node, name, parameters.index(name)), caller


def _assigned(target: ast.expr, value: ast.expr, name: str) -> Iterator[ast.expr]:
    match target, value:
        case ast.Name(id=id_), _ if id_ == name:
            yield value
        case ast.Tuple(elts=targets), ast.Tuple(elts=values):
            for one, its in zip(targets, values, strict=True):
                yield from _assigned(one, its, name)


PLACES = {f"{path.relative_to(ROOT)}:{call.lineno}": (path, function, call) for path, function, call in diagnostics()}


def test_the_messages_are_found() -> None:
    assert len(PLACES) > 200


@pytest.mark.parametrize("place", PLACES)
def test_an_error_says_what_cannot_be_done(place: str) -> None:
    path, function, call = PLACES[place]
    found = {*texts(argument(call, "message", 2), function, MODULES[path])} - WARNED
    assert [text for text in found if not text.startswith("cannot ") or text.endswith(".")] == []
