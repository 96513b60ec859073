"""What can be typed after mdw; nothing of the driver is imported for it, so that --help and TAB answer at once."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from meghdwar.cli.moments import past

if TYPE_CHECKING:
    from argparse import _SubParsersAction

EPILOG = """\
exit status: 0 done, 1 it was undone or problems were found, 2 it cannot be done and nothing was changed,
  3 it waits and can go on later, 4 another driver is at it, 70 a mistake of ours

examples:
  mdw gateway add edge_a --hypervisor local --endpoint /srv/edge_a
  mdw up out/arena.plan.yaml --images images
  mdw plan move arena --to edge_b          what it would do and cost; nothing is changed
  mdw move arena --to edge_b
  mdw sight anna --cell cell-3             a subscriber was seen: what follows her moves
  mdw status -f json
"""

STATUSES = "the exit status is that of mdw --help"


def parser() -> ArgumentParser:
    """The whole command line. Each command's function is named by `command`, see mdw.COMMANDS."""
    made = ArgumentParser(
        prog="mdw",
        description="Works the plans of mdw-compile: cloudlets come up, follow their subscribers, and go down.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    made.add_argument("--completion", action=Completion, choices=("bash", "zsh", "tcsh"),
                      help="print a completion script and end")  # fmt: skip
    made.add_argument("--version", action=Version, nargs=0, help="say which version this is")
    _common(made, top=True)
    commands = made.add_subparsers(metavar="COMMAND", dest="command", title="commands")
    _applications(commands)
    _moves(commands)
    _operations(commands)
    _gateways(commands)
    _sightings(commands)
    _packages(commands)
    _api(commands)
    return made


def _common(parser: ArgumentParser, *, top: bool = False) -> None:
    """What every command takes, before or after its name."""

    def default(value: object) -> object:
        return value if top else SUPPRESS

    group = parser.add_argument_group("for every command")
    memory = "sqlite:///PATH or postgresql://HOST/NAME (MEGHDWAR_DATABASE, or else one of your own)"
    group.add_argument("--database", metavar="URL", default=default(""), help=f"the driver's memory: a file, {memory}")
    group.add_argument("-f", "--format", choices=("table", "json", "yaml"), default=default("table"),
                       help="how what is found is printed (table)")  # fmt: skip
    group.add_argument("--log", choices=("text", "json"), default=default(None),
                       help="also log to the standard error, each line with its operation")  # fmt: skip
    group.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default=default("info"),
                       help="from which level on (info)")  # fmt: skip
    group.add_argument("-q", "--quiet", action="store_true", default=default(False), help="show no progress")
    group.add_argument("--colour", "--color", choices=("auto", "always", "never"), default=default("auto"),
                       help="auto: on a terminal, unless NO_COLOR is set")  # fmt: skip


def _command(
    commands: _SubParsersAction[ArgumentParser], name: str, help_: str, example: str, function: str = ""
) -> ArgumentParser:
    made = commands.add_parser(
        name,
        help=help_,
        description=help_[0].upper() + help_[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    made.set_defaults(run=function or name)
    _common(made)
    return made


# applications
def _applications(commands: _SubParsersAction[ArgumentParser]) -> None:
    up = _command(commands, "up", "bring an application up: every cloudlet that starts with it is built",
                  "mdw up out/arena.plan.yaml --images images --router table:/run/arena")  # fmt: skip
    up.add_argument("plan", metavar="PLAN", help="the NAME.plan.yaml of mdw-compile, with the other files beside it")
    _site(up)
    up.add_argument(
        "--input", metavar="K=V", action="append", default=[], help="the value of an input; may be given again"
    )
    up.add_argument("--input-file", metavar="K=FILE", action="append", default=[],
                    help="the value of an input is in this file: a certificate ...; may be given again")  # fmt: skip
    up.add_argument("--cloud", metavar="NAME", help="make the plan's stack in this cloud of clouds.yaml first "
                    "(OS_CLOUD, when the plan has gateways that a stack builds)")  # fmt: skip
    up.add_argument("--stack", metavar="NAME", help="what the stack is called (as the application)")

    adopt = _command(commands, "adopt", "take over a stack that somebody created from a plan, and complete it",
                     "mdw adopt arena out/arena.plan.yaml --cloud lab")  # fmt: skip
    adopt.add_argument("stack", metavar="STACK", help="its name")
    adopt.add_argument("plan", metavar="PLAN", nargs="?", default=".",
                       help="the plan that it was made from, or a folder that has it (here)")  # fmt: skip
    adopt.add_argument("--cloud", metavar="NAME", help="the cloud of clouds.yaml that has it (OS_CLOUD)")
    _site(adopt)

    status = _command(commands, "status", "say what is where, and what is being done", "mdw status arena --watch")
    status.add_argument("application", metavar="APPLICATION", nargs="?", help="only this one")
    status.add_argument("-w", "--watch", action="store_true", help="say it again every second, until Ctrl-C")

    down = _command(commands, "down", "take an application down: its cloudlets and their state are removed",
                    "mdw down arena")  # fmt: skip
    down.add_argument("application", metavar="APPLICATION")

    fsck = _command(commands, "fsck", "compare what is written down with what is really at the gateways",
                    "mdw fsck --mend")  # fmt: skip
    fsck.add_argument("application", metavar="APPLICATION", nargs="?", help="only this one")
    fsck.add_argument("--mend", action="store_true", help="do what needs no decision; the rest is told")
    fsck.add_argument("--discard", metavar="INSTANCE@GATEWAY", action="append", default=[],
                      help="with --mend: remove this copy, although it may write")  # fmt: skip
    fsck.add_argument("--adopt", metavar="INSTANCE@GATEWAY", action="append", default=[],
                      help="with --mend: this copy is the one that counts; others may write no more")  # fmt: skip


def _site(parser: ArgumentParser) -> None:
    """What the plan does not say of the place where an application comes up."""
    parser.add_argument("--images", metavar="DIR", help="the folder of the images, for gateways that lack them")
    parser.add_argument("--router", metavar="HOW", default="none",
                        help="how subscribers are sent to a cloudlet: none, table:FOLDER, iproute or "
                        "iproute:NAMESPACE (none)")  # fmt: skip


# moves
def _moves(commands: _SubParsersAction[ArgumentParser]) -> None:
    plan = _command(commands, "plan", "say what something would do and cost; nothing is changed",
                    "mdw plan move arena --to edge_b")  # fmt: skip
    kinds = plan.add_subparsers(metavar="WHAT", dest="what", required=True)
    _where(_command(kinds, "move", "say what a move would do and cost; nothing is changed",
                    "mdw plan move arena --to edge_b", "plan_move"))  # fmt: skip
    move = _command(
        commands, "move", "move an instance, state and all, to another gateway", "mdw move arena --to edge_b"
    )
    _where(move)
    move.add_argument("--reason", metavar="TEXT", default="", help="why, for whoever reads the journal")

    for name, what in (
        ("stop", "stop an instance where it is; its state stays"),
        ("start", "start an instance again that was stopped"),
        ("heal", "end whatever runs of an instance, and start it again where it is"),
    ):
        power = _command(commands, name, what, f"mdw {name} arena")
        power.add_argument("instance", metavar="INSTANCE", help="its name, or cloudlet, or cloudlet/subscriber")
        power.add_argument("--reason", metavar="TEXT", default="", help="why, for whoever reads the journal")


def _where(parser: ArgumentParser) -> None:
    parser.add_argument("instance", metavar="INSTANCE", help="its name, or cloudlet, or cloudlet/subscriber")
    parser.add_argument("--to", metavar="GATEWAY", required=True, help="where it goes")
    parser.add_argument("--strategy", choices=("cold", "precopy", "warm", "live", "files"), default="",
                        help="how (as its mobility policy says)")  # fmt: skip


# operations
def _operations(commands: _SubParsersAction[ArgumentParser]) -> None:
    history = _command(commands, "history", "list operations, newest first", "mdw history --instance arena --limit 5")
    history.add_argument("application", metavar="APPLICATION", nargs="?", help="only this one")
    history.add_argument("--instance", metavar="INSTANCE", help="only those of this instance")
    history.add_argument("--limit", metavar="N", type=_positive, default=20, help="at most so many (%(default)s)")

    show = _command(commands, "show", "say what an operation did, step by step", "mdw show m-20261122-7f3k9q")
    show.add_argument("operation", metavar="OPERATION")

    resume = _command(commands, "resume", "go on with what was left unfinished",
                      "mdw resume m-20261122-7f3k --source-is-fenced --by kim --because 'power cut'")  # fmt: skip
    resume.add_argument("operation", metavar="OPERATION", nargs="?", help="only this one; all that nobody works on")
    resume.add_argument("--wait", action="store_true", help="until the drivers that had it can be taken for dead")
    resume.add_argument("--source-is-fenced", action="store_true",
                        help="I vouch that the source can write no more: go on without it")  # fmt: skip
    resume.add_argument("--by", metavar="NAME", default="", help="who vouches (your login)")
    resume.add_argument("--because", metavar="TEXT", default="", help="how it is known")

    rollback = _command(
        commands, "rollback", "undo an operation that is not finished", "mdw rollback m-20261122-7f3k9q"
    )
    rollback.add_argument("operation", metavar="OPERATION")
    rollback.add_argument("--target-is-fenced", action="store_true",
                          help="I vouch that the target can write no more: go back without it")  # fmt: skip
    rollback.add_argument("--by", metavar="NAME", default="", help="who wants it (your login)")
    rollback.add_argument("--because", metavar="TEXT", default="", help="why")

    prune = _command(commands, "prune", "forget operations that ended long ago", "mdw prune --before 90d")
    prune.add_argument("--before", metavar="WHEN", type=past, required=True,
                       help="those that ended before: 2026-11-01, 2026-11-01T12:30Z, or an age: 90d")  # fmt: skip


# gateways
def _gateways(commands: _SubParsersAction[ArgumentParser]) -> None:
    gateway = _command(commands, "gateway", "make gateways known, look at them, forget them", "mdw gateway list")
    kinds = gateway.add_subparsers(metavar="WHAT", dest="what", required=True)
    add = _command(kinds, "add", "make a gateway known",
                   "mdw gateway add edge_a --hypervisor lxd --endpoint https://edge-a:8443 \\\n"
                   "    --client-certificate client.crt --client-key client.key      (shows the fingerprint to give)",
                   "gateway_add")  # fmt: skip
    add.add_argument("name", metavar="NAME", help="as the descriptor calls it")
    add.add_argument("--hypervisor", metavar="KIND", required=True, help="local, lxd or kvm")
    add.add_argument("--endpoint", metavar="E", required=True,
                     help="https://HOST:8443 or a socket (lxd), a libvirt URI (kvm), a folder (local)")  # fmt: skip
    add.add_argument("--certificate", metavar="FP", help="the SHA-256 fingerprint that it has to show")
    add.add_argument("--client-certificate", metavar="FILE", help="what we show")
    add.add_argument("--client-key", metavar="FILE", help="and its key")
    add.add_argument("--address", metavar="A", help="where traffic of its cloudlets is sent: the next hop")
    add.add_argument("--images", metavar="DIR", help="the folder of the images that it is given when it lacks them")
    add.add_argument("--option", metavar="K=V", action="append", default=[],
                     help="of this hypervisor: pool, parent ...; may be given again")  # fmt: skip
    add.add_argument("--timeout", metavar="S", type=_seconds, default=30.0, help="for one answer (%(default)s)")
    _command(kinds, "list", "list the gateways", "mdw gateway list -f json", "gateway_list")
    doctor = _command(kinds, "doctor", "look at everything that a move will need there; nothing is changed",
                      "mdw gateway doctor edge_a edge_b", "gateway_doctor")  # fmt: skip
    doctor.add_argument("name", metavar="NAME", nargs="*", help="only these")
    remove = _command(
        kinds, "remove", "forget a gateway where nothing is", "mdw gateway remove edge_a", "gateway_remove"
    )
    remove.add_argument("name", metavar="NAME")


# sightings
def _sightings(commands: _SubParsersAction[ArgumentParser]) -> None:
    sight = _command(commands, "sight", "say where a subscriber was seen; what follows moves",
                     "mdw sight anna --cell cell-3")  # fmt: skip
    sight.add_argument("subscriber", metavar="SUBSCRIBER")
    sight.add_argument("--cell", metavar="C", help="the radio cell")
    sight.add_argument("--latency", metavar="GATEWAY=MS", nargs="+", action="extend", default=[],
                       help="how far the gateways are")  # fmt: skip
    sight.add_argument("--application", metavar="NAME", help="only this one; all that are up")
    sight.add_argument("--at", metavar="T", type=float, help="when, in seconds since 1970 (now)")

    watch = _command(commands, "watch", "take sightings in, work what follows, and finish what other drivers left",
                     "mdw watch sightings.jsonl --speed 10 --metrics 9109")  # fmt: skip
    watch.add_argument("sightings", metavar="SIGHTINGS", nargs="?",
                       help="JSON lines, or - for the standard input; without, only what was left is done")  # fmt: skip
    watch.add_argument(
        "--speed", metavar="N", type=float, help="replay them so many times as fast as they were; 0: at once"
    )
    watch.add_argument("--strict", action="store_true", help="end at the first line that is no sighting")
    watch.add_argument("--application", metavar="NAME", help="only this one; all that are up")
    watch.add_argument("--workers", metavar="N", type=_positive, default=8, help="moves at once (%(default)s)")
    watch.add_argument(
        "--metrics", metavar="PORT", type=int, help="serve Prometheus metrics on this port of the loopback"
    )
    watch.add_argument(
        "--members", metavar="URL", default="", help="share the work with other drivers through this (MEGHDWAR_MEMBERS)"
    )


# packages
def _packages(commands: _SubParsersAction[ArgumentParser]) -> None:
    pack = _command(commands, "pack", "make a package of a folder, with a manifest and perhaps a signature",
                    "mdw pack vnf --sign provider.key --cert provider.pem")  # fmt: skip
    pack.add_argument("folder", metavar="DIR", help="the folder with the descriptor and all that belongs to it")
    pack.add_argument("-o", "--output", metavar="FILE", default="", help="the package (DIR.csar)")
    pack.add_argument("--sign", metavar="KEY", default="", help="sign with this private key (PEM)")
    pack.add_argument("--cert", metavar="CERT", default="",
                      help="its certificate, and those that vouch for it (PEM)")  # fmt: skip
    pack.add_argument("--released", metavar="TIME", default="",
                      help="when it was released, for a manifest that does not say (SOURCE_DATE_EPOCH)")  # fmt: skip
    check = _command(commands, "check", "say whether a package is sound, and what is in it; nothing is kept",
                     "mdw check vnf.csar --trust provider.pem")  # fmt: skip
    check.add_argument("package", metavar="PACKAGE", help="a CSAR, or a zip with a CSAR and its signature")
    check.add_argument("--trust", metavar="CERT", action="append", default=[],
                       help="it has to be signed by one whom this vouches for; may be given again")  # fmt: skip
    check.add_argument("--at", metavar="TIME", default="", help="the time that certificates count for (now)")
    onboard = _command(commands, "onboard", "take a package into the catalogue, once it was found to be sound",
                       "mdw onboard vnf.csar --trust provider.pem")  # fmt: skip
    onboard.add_argument("package", metavar="PACKAGE", help="a CSAR, or a zip with a CSAR and its signature")
    onboard.add_argument("--trust", metavar="CERT", action="append", default=[],
                         help="it has to be signed by one whom this vouches for; may be given again")  # fmt: skip
    onboard.add_argument("--user-data", metavar="K=V", action="append", default=[], help="what is noted with it")
    _catalogued(onboard)
    package = _command(commands, "package", "look at packages, enable, disable, delete and download them",
                       "mdw package list")  # fmt: skip
    kinds = package.add_subparsers(metavar="WHAT", dest="what", required=True)
    _catalogued(_command(kinds, "list", "list the packages", "mdw package list -f json", "package_list"))
    for name, help_ in (
        ("show", "say everything that is known of a package"),
        ("enable", "let new applications be made of a package"),
        ("disable", "let no new applications be made of a package"),
        ("delete", "delete a package that is disabled and not in use"),
        ("download", "write a package to a file, as it came in"),
    ):
        made = _command(kinds, name, help_, f"mdw package {name} b1bb0ce7", f"package_{name}")
        made.add_argument("package", metavar="PACKAGE", help="its id or its vnfd id, or how one of them begins")
        _catalogued(made)
        if name == "download":
            made.add_argument("-o", "--output", metavar="FILE", default="", help="the file, - is the standard output")


def _catalogued(parser: ArgumentParser) -> None:
    parser.add_argument("--project", metavar="NAME", default="default", help="whose packages (%(default)s)")
    parser.add_argument("--packages", metavar="DIR", default="",
                        help="the folder of the packages (MEGHDWAR_PACKAGES, or else one of your own)")  # fmt: skip


# the API
def _api(commands: _SubParsersAction[ArgumentParser]) -> None:
    serve = _command(commands, "serve", "serve the API on this machine", "mdw serve --listen 127.0.0.1:9890")
    serve.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:9890",
                       help="where; port 0 is any that is free, [::1]:9890 is IPv6 (%(default)s)")  # fmt: skip
    serve.add_argument("--config", metavar="FILE", default="", help="the settings: an INI file, section [api]")
    serve.add_argument("--auth", choices=("token", "none", "keystone"), default="",
                       help="who vouches for a caller: the file of tokens, nobody, or keystone (token)")  # fmt: skip
    serve.add_argument("--tls-cert", metavar="FILE", default="", help="serve https with this certificate (PEM)")
    serve.add_argument("--tls-key", metavar="FILE", default="", help="and its key (PEM)")
    serve.add_argument("--workers", metavar="N", type=_positive, default=1, help="processes (%(default)s)")
    serve.add_argument("--threads", metavar="N", type=_positive, default=16, help="of each process (%(default)s)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ArgumentTypeError("it has to be 1 or more")
    return number


def _seconds(text: str) -> float:
    amount = float(text)
    if not 0 < amount < 86400:
        raise ArgumentTypeError("it has to be more than 0")
    return amount


def pairs(given: list[str], what: str) -> dict[str, str]:
    """The K=V of an option that may be given again. Raises ValueError."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"cannot read the {what} {text!r}: it has to be NAME=VALUE")
        found[name] = value
    return found


class Version(Action):
    """Asks the installed package only when it is wanted."""

    def __call__(self, parser: ArgumentParser, *args: object) -> NoReturn:
        from importlib.metadata import version

        parser.exit(message=f"mdw {version('meghdwar')}\n")


# option or argument -> what shtab completes it with
FILES: Mapping[str, str] = {
    "plan": "FILE", "sightings": "FILE", "client_certificate": "FILE", "client_key": "FILE", "images": "DIRECTORY",
    "config": "FILE", "tls_cert": "FILE", "tls_key": "FILE", "trust": "FILE", "output": "FILE", "packages": "DIRECTORY",
}  # fmt: skip


class Completion(Action):
    """Written once by shtab, so that a TAB does not start Python."""

    def __call__(self, parser: ArgumentParser, namespace: Namespace, shell: object, *args: object) -> NoReturn:
        try:
            import shtab
        except ImportError:
            parser.exit(2, "mdw: cannot make a completion script: pip install 'meghdwar[completion]'\n")
        _complete(parser, shtab)
        print(shtab.complete(parser, str(shell)))
        parser.exit()


def _complete(parser: ArgumentParser, shtab: object) -> None:
    for action in parser._actions:
        if action.dest in FILES:
            action.complete = getattr(shtab, FILES[action.dest])  # type: ignore[attr-defined]
        for inner in (action.choices or {}).values() if isinstance(action.choices, dict) else ():
            _complete(inner, shtab)
