"""openstack edge move and openstack edge operation: what is done to cloudlets: begun, followed, undone."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from meghdwar.osc.client import edge
from meghdwar.osc.v1.printed import Rows, one, rows

STATUSES = ("running", "waiting", "completed", "compensated")


def followed(client: Any, operation: Mapping[str, Any], wait: bool) -> Mapping[str, Any]:
    """The operation as it is, or with `wait` as it ended. Raises CommandError when it was undone."""
    if not wait:
        return operation
    for kind, data in client.events("operations", operation["id"]):
        if kind == "ended":
            operation = {key: value for key, value in data.items() if key != "steps"}
    if operation["status"] == "compensated":
        raise exceptions.CommandError(f"{operation['id']} was undone: {operation['error']}")
    return operation


class Move(command.ShowOne):
    """Move a cloudlet, with its state, to another gateway

    (example: openstack edge move create arena --to edge_b --wait)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--to", metavar="<gateway>", required=True, help="Where it goes")
        parser.add_argument("--strategy", choices=("cold", "precopy", "warm", "live", "files"), help="How")
        parser.add_argument("--reason", metavar="<text>", help="Why, for whoever reads the journal")
        parser.add_argument("--idempotency-key", metavar="<key>", help="Asked for again with it, it is done once")
        parser.add_argument("--wait", action="store_true", help="Until it is done")
        parser.add_argument("cloudlet", metavar="<cloudlet>", help="Its id or name")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        body = {"cloudlet": client.cloudlet(parsed_args.cloudlet), "gateway": parsed_args.to}
        body |= {key: getattr(parsed_args, key) for key in ("strategy", "reason") if getattr(parsed_args, key)}
        headers = {"Idempotency_Key": parsed_args.idempotency_key} if parsed_args.idempotency_key else {}
        return one(followed(client, client.ask("POST", "/v1/moves", body, **headers), parsed_args.wait))


class _Room:
    """Which of the two rooms of the API a command is about."""

    room = "operations"


class List(_Room, command.Lister):
    """List operations, the newest first

    (example: openstack edge operation list)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--application", metavar="<application>", help="Only those of this one (name or id)")
        parser.add_argument("--cloudlet", metavar="<cloudlet>", help="Only those of this one (id)")
        parser.add_argument("--status", choices=STATUSES, help="Only those")
        parser.add_argument("--all-projects", action="store_true", help="Those of every project (admin)")
        return parser

    def take_action(self, parsed_args: Namespace) -> Rows:
        client = edge(self)
        found = client.every(
            self.room,
            application=client.application(parsed_args.application) if parsed_args.application else None,
            cloudlet=parsed_args.cloudlet,
            status=parsed_args.status,
            all_projects="true" if parsed_args.all_projects else None,
        )
        return rows(found, "id", "kind", "cloudlet", "source", "target", "status", "gap_s", "created_at")


class ListMoves(List):
    """List moves, the newest first

    (example: openstack edge move list)
    """

    room = "moves"


class Show(_Room, command.ShowOne):
    """Show an operation, step by step

    (example: openstack edge operation show ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> Any:
        return one(edge(self).one(self.room, parsed_args.operation))


class ShowMove(Show):
    """Show a move, step by step

    (example: openstack edge move show ID)
    """

    room = "moves"


class Watch(_Room, command.Command):
    """Follow an operation, step by step, until it has ended

    (example: openstack edge operation watch ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> int:
        for kind, data in edge(self).events(self.room, parsed_args.operation):
            print(_line(kind, data), flush=True)
            if kind == "ended" and data["status"] != "completed":
                return 1
        return 0


class WatchMove(Watch):
    """Follow a move, step by step, until it has ended

    (example: openstack edge move watch ID)
    """

    room = "moves"


def _line(kind: str, data: Mapping[str, Any]) -> str:
    if kind == "step":
        why = data["detail"].get("error")
        return f"{data['at']} {data['step']} {data['phase']}" + (f": {why}" if why else "")
    said = f": {data['error']}" if data["error"] else ""
    gap = f", nobody was served for {data['gap_s']} s" if data.get("gap_s") is not None else ""
    return f"{data['cloudlet']} {data['kind']} {data['status']}{said}{gap}"


class _Turn(command.ShowOne):
    way = ""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("--because", metavar="<text>", default="", help="Why")
        parser.add_argument("--fenced", action="store_true", help=f"I vouch that the {self.side} can write no more")
        parser.add_argument("--wait", action="store_true", help="Until it has ended")
        return parser

    side = ""

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        body: dict[str, Any] = {"because": parsed_args.because}
        if parsed_args.fenced:
            body["fenced"] = True
        turned = client.ask("POST", f"/v1/operations/{parsed_args.operation}/{self.way}", body)
        if parsed_args.wait:
            for kind, data in client.events("operations", turned["id"]):
                print(_line(kind, data), file=sys.stderr)
            turned = client.one("operations", turned["id"])
        return one(turned)


class Resume(_Turn):
    """Go on with an operation that waits

    (example: openstack edge move resume ID --fenced --because 'power cut')
    """

    way, side = "resume", "source"


class Rollback(_Turn):
    """Undo an operation that is not past its point of no return

    (example: openstack edge move rollback ID)
    """

    way, side = "rollback", "target"


def _which(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("operation", metavar="<id>", help="Its id")
    return parser
