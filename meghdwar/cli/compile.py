"""mdw-compile: a TOSCA descriptor becomes a Heat stack, its environment and the driver's plan.

What is heavy is imported where it is needed, because most runs want an answer at once.
"""

from __future__ import annotations

import gc
import os
import sys
from argparse import Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from meghdwar.bundle import Bundle
    from meghdwar.compiler import Result
    from meghdwar.model import Application

OK, ERRORS, USAGE, OURS = 0, 1, 2, 70
TARGETS = ("senlin", "static", "asg")
RELEASES = (
    "zed", "2023.1", "2023.2", "2024.1", "2024.2", "2025.1", "2025.2", "2026.1", "2026.2", "plugin",
)  # fmt: skip
DRAWINGS = (".mmd", ".dot", ".svg")

DESCRIPTION = "Compiles a TOSCA descriptor (a file, a CSAR or a zip) to a Heat stack with Senlin."
EPILOG = """\
exit status: 0 it worked, 1 the descriptor has errors, 2 the command was not understood, 70 a mistake of ours

examples:
  mdw-compile arena.tosca.yaml                 writes arena.hot.yaml, arena.env.yaml and arena.plan.yaml
  mdw-compile --check -f sarif arena.csar      only checks, for a code scanner
  mdw-compile -o out arena.zip                 a signed package: its signature is checked as well
  mdw-compile --target static -o - web.yaml    a stack without Senlin, to the standard output
  mdw-compile --input flavor=m1.small --graph arena.svg arena.tosca.yaml
"""


class UsageError(Exception):
    """The command cannot be done as it was given; the message says why."""


def parser() -> ArgumentParser:
    """The options. Shell completion reads them from here as well."""
    made = ArgumentParser(
        prog="mdw-compile", description=DESCRIPTION, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("template", metavar="TEMPLATE", help="the descriptor: a YAML file, a CSAR or a zip")
    add(
        "-o",
        "--output",
        metavar="DIR",
        default=".",
        help="folder to write into, or - for the standard output (%(default)s)",
    )
    add("--target", choices=TARGETS, default="senlin", help="what the stack is made of (%(default)s)")
    add("--heat", choices=RELEASES, default="2024.1", metavar="RELEASE",
        help="the OpenStack release of the cloud's Heat: %(choices)s (%(default)s)")  # fmt: skip
    add("--input", action="append", default=[], metavar="K=V", help="the value of an input; may be given again")
    add("--inputs", metavar="FILE", help="a YAML map of inputs; --input wins over it")
    add("--check", action="store_true", help="only say what is wrong; write nothing")
    add("--skip-unmapped", action="store_true", help="leave out types that have no mapping, with a warning")
    add("-f", "--format", choices=("text", "json", "sarif"), default="text", help="how problems are told (%(default)s)")
    add(
        "--graph",
        metavar="FILE",
        help="also draw it: .mmd (Mermaid), .dot (Graphviz) or .svg; - is Mermaid to the standard output",
    )
    add("--explain", metavar="NAME", help="say which lines made which resource and why; write nothing")
    add("--second-opinion", action="store_true", help="compare with tosca-parser and heat-translator; write nothing")
    add("--colour", "--color", choices=("auto", "always", "never"), default="auto",
        help="auto: on a terminal, unless NO_COLOR is set (%(default)s)")  # fmt: skip
    add("--completion", action=Completion, choices=("bash", "zsh", "tcsh"), help="print a completion script and end")
    add("--version", action=Version, nargs=0, help="say which version this is")
    return made


class Version(Action):
    """Asks the installed package only when it is wanted."""

    def __call__(self, parser: ArgumentParser, *args: object) -> NoReturn:
        from importlib.metadata import version

        parser.exit(message=f"mdw-compile {version('meghdwar')}\n")


class Completion(Action):
    """Written once by shtab, so that a TAB does not start Python."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, shell: object, *args: object) -> NoReturn:
        try:
            import shtab
        except ImportError:
            parser.exit(USAGE, "mdw-compile: cannot make a completion script: pip install 'meghdwar[completion]'\n")
        for action in parser._actions:
            if action.dest in ("template", "inputs", "graph"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.dest == "output":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        print(shtab.complete(parser, str(shell)))
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the command line asks for and returns the exit status."""
    options = parser().parse_args(argv)
    collecting = gc.isenabled()
    gc.disable()  # the process ends soon, and looking for garbage while modules load costs a tenth of its time
    try:
        return run(options)
    except UsageError as error:
        print(f"mdw-compile: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that closing it says nothing more
        return OK
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("MEGHDWAR_TRACEBACK"):
            raise
        where = _innermost(error)
        print(
            f"mdw-compile: cannot compile {options.template}: a mistake of ours ({type(error).__name__} at {where}); "
            "please report it with the file; MEGHDWAR_TRACEBACK=1 shows more",
            file=sys.stderr,
        )
        return OURS
    finally:
        gc.freeze()  # nor is there any need to look through it all at the end
        if collecting:
            gc.enable()


def _innermost(error: Exception) -> str:
    """The place in the code where an exception came from."""
    here = error.__traceback__
    while here is not None and here.tb_next is not None:
        here = here.tb_next
    return f"{os.path.basename(here.tb_frame.f_code.co_filename)}:{here.tb_lineno}" if here is not None else "?"


def run(options: Namespace) -> int:
    if not os.path.exists(options.template):
        raise UsageError(f"cannot read {options.template}: there is no such file")
    if options.graph not in (None, "-") and not options.graph.endswith(DRAWINGS):
        raise UsageError(f"cannot draw {options.graph}: the name has to end in {', '.join(DRAWINGS)}")
    if options.format == "sarif" and (options.explain or options.second_opinion):
        raise UsageError("cannot tell this in SARIF: use -f text or -f json")
    inputs = given_inputs(options)
    if options.second_opinion:
        from meghdwar.cli import second_opinion

        as_json = options.format == "json"
        return second_opinion.run(options.template, inputs, target=options.target, heat=options.heat, as_json=as_json)
    result = compiled(options, inputs)
    bad = any(diagnostic.is_error for diagnostic in result.diagnostics)
    if options.explain and not bad:
        from meghdwar.cli import explain

        return explain.run(options.explain, result, as_json=options.format == "json")
    tell(options, result)
    if bad:
        return ERRORS
    if options.graph and result.application is not None:
        draw(options.graph, result, result.application)
    if result.bundle is not None and options.graph != "-":
        write(options, result.bundle)
    elif options.check and options.format == "text" and not result.diagnostics:
        print(f"{options.template}: no errors", file=sys.stderr)
    return OK


def compiled(options: Namespace, inputs: Mapping[str, object]) -> Result:
    from functools import partial

    from meghdwar.compiler import check_file, check_location, compile_file, compile_location, rules

    work, work_inside = (check_file, check_location) if options.check else (compile_file, compile_location)
    given: dict[str, Any] = {
        "target": options.target, "heat": options.heat, "inputs": inputs, "skip_unmapped": options.skip_unmapped,
    }  # fmt: skip
    result = work(options.template, **given)
    if [diagnostic.rule for diagnostic in result.diagnostics] == [rules.NO_ENTRY]:
        try:
            from meghdwar.cli import signed
        except ImportError:  # whoever only compiles has nothing that checks signatures
            return result
        return signed.inside(options.template, partial(work_inside, **given)) or result
    return result


# inputs
def given_inputs(options: Namespace) -> dict[str, object]:
    """The values of --inputs and --input; the latter win."""
    values: dict[str, object] = {}
    if options.inputs:
        values.update(inputs_file(options.inputs))
    for given in options.input:
        name, equals, text = given.partition("=")
        if not equals or not name:
            raise UsageError(f"cannot read the input {given!r}: it has to be NAME=VALUE")
        values[name] = scalar(name, text)
    return values


def inputs_file(path: str) -> Mapping[str, object]:
    """The values of a file; they keep their places, so that a wrong one is shown where it stands."""
    from meghdwar.compiler import source

    try:
        with open(path, "rb") as file:
            node, problems = source.read(file.read(), path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {reason(error)}") from None
    for problem in problems:
        if problem.is_error:
            raise UsageError(f"cannot read the inputs: {problem.span}: {problem.message}")
    if node is None or not node.is_map:
        raise UsageError(f"cannot read the inputs: {path} has to be a map of names and values")
    return node.map


def scalar(name: str, text: str) -> object:
    """A value from the command line: YAML, so that 3, true, [a, b] and {a: b} are what they look like."""
    from meghdwar.compiler import source

    node, problems = source.read(text, f"--input {name}")
    return text if node is None or problems else node  # a node keeps 1.10 as it is written


# what it says
def tell(options: Namespace, result: Result) -> None:
    """Problems: for people to the standard error, for programs to the standard output."""
    from meghdwar import render

    if options.format == "text":
        if result.diagnostics:
            sys.stderr.write(render.text(result.diagnostics, result.sources, color=coloured(options, sys.stderr)))
            print(f"{options.template}: {render.summary(result.diagnostics)}", file=sys.stderr)
        return
    as_data = {"json": render.as_json, "sarif": render.as_sarif}[options.format]
    stream = sys.stderr if options.output == "-" or options.graph == "-" else sys.stdout
    stream.write(as_data(result.diagnostics))


def coloured(options: Namespace, stream: TextIO) -> bool:
    if options.colour != "auto":
        return bool(options.colour == "always")
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# what it writes
def write(options: Namespace, bundle: Bundle) -> None:
    """The files into the folder, and what to type next."""
    from pathlib import Path

    from meghdwar import bundle as bundles

    if options.output == "-":
        show(bundles.to_files(bundle))
        return
    try:
        paths = bundles.write(bundle, Path(options.output))
    except OSError as error:
        raise UsageError(f"cannot write into {options.output}: {reason(error)}") from None
    if options.format != "text":
        return
    for path in paths:
        print(f"wrote {path}")
    print()
    print(create_line(options.output, bundle))
    for line in [*bundle.advice(), *wanted(bundle)]:
        print(f"  {line}")


def wanted(bundle: Bundle) -> list[str]:
    """What to add for parameters of the stack that have no value anywhere: only the cloud's user knows them."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    head = bundle.files[bundle.template].partition(b"\nresources:")[0]
    parameters = yaml.load(head, Loader=loader).get("parameters") or {}  # noqa: S506 - a safe one
    given = yaml.load(bundle.files[bundle.environment], Loader=loader).get("parameters") or {}  # noqa: S506
    missing = [name for name, schema in parameters.items() if "default" not in schema and name not in given]
    return [f"add --parameter {name}=VALUE: {parameters[name].get('description', 'an input')}" for name in missing]


def show(files: Mapping[str, bytes]) -> None:
    """All the files as one stream of YAML documents; what is not YAML, such as a script, is left out."""
    shown = {name: data for name, data in files.items() if name.endswith((".yaml", ".yml"))}
    for number, (name, data) in enumerate(shown.items()):
        sys.stdout.write(f"{'---' + chr(10) if number else ''}# {name}\n{data.decode()}")


def create_line(folder: str, bundle: Bundle) -> str:
    import shlex

    command = bundle.command()
    return command if folder == "." else f"(cd {shlex.quote(folder)} && {command})"


def draw(path: str, result: Result, application: Application) -> None:
    from meghdwar.cli import drawing, explain, graph, svg

    writers: Mapping[str, Callable[[drawing.Drawing], str]] = {
        ".mmd": graph.mermaid,
        ".dot": graph.dot,
        ".svg": svg.svg,
    }
    made = drawing.made_by_element(application, explain.made(result), explain.shown_names(result.sources))
    picture = drawing.draw(application, made)
    if path == "-":
        sys.stdout.write(graph.mermaid(picture))
        return
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(writers[os.path.splitext(path)[1]](picture))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {reason(error)}") from None


if __name__ == "__main__":
    sys.exit(main())
