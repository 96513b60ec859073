"""openstack edge application: brought up from a plan or a package, looked at, taken down."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from meghdwar import bundle as bundles
from meghdwar.osc.client import LOOK_S, Client, edge
from meghdwar.osc.v1.printed import Rows, one, pairs, rows


class Create(command.ShowOne):
    """Bring an application up, from a plan of mdw-compile or from an onboarded package

    (example: openstack edge application create --package ID --input lives=5 --wait shop)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument("--plan", metavar="<file>", help="The NAME.plan.yaml, with the other files beside it")
        source.add_argument("--package", metavar="<package>", help="The id of an enabled package")
        parser.add_argument("--cloud", metavar="<cloud>", help="Have a stack there, a cloud of the server; else none")
        parser.add_argument("--input", metavar="<name=value>", action="append", default=[], help="May be repeated")
        parser.add_argument("--wait", action="store_true", help="Until it is up")
        parser.add_argument("name", metavar="<name>", nargs="?", help="As it is to be called; else as the plan says")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        body: dict[str, Any] = {"inputs": pairs(parsed_args.input)}
        body |= {key: getattr(parsed_args, key) for key in ("name", "cloud") if getattr(parsed_args, key)}
        body |= {"package": parsed_args.package} if parsed_args.package else _plan(parsed_args.plan)
        made = client.ask("POST", "/v1/applications", body)
        if parsed_args.wait:
            made = _built(client, made)
        if parsed_args.wait and made["status"] != "up":
            raise exceptions.CommandError(f"{made['name']} is not up: it is {made['status']}; see edge operation list")
        return one(made)


def _built(client: Client, made: Mapping[str, Any]) -> Mapping[str, Any]:
    """The application once nobody builds it any more. What keeps it from coming up is said: the server tries again."""
    said = ""
    while made["status"] == "building":
        if made["error"] != said and (said := made["error"]):
            print(f"tried again: {said}", file=sys.stderr)
        time.sleep(LOOK_S)
        made = client.one("applications", made["id"])
    return made


def _plan(path: str) -> dict[str, Any]:
    try:
        bundle = bundles.read(Path(path))
        files = {name: data.decode() for name, data in bundles.to_files(bundle).items()}
    except (bundles.BundleError, UnicodeDecodeError) as error:
        raise exceptions.CommandError(str(error)) from None
    return {"plan": bundle.plan_file, "files": files}


class List(command.Lister):
    """List applications

    (example: openstack edge application list --name shop)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--name", metavar="<name>", help="Only this one")
        parser.add_argument("--all-projects", action="store_true", default=None, help="Those of every project (admin)")
        return parser

    def take_action(self, parsed_args: Namespace) -> Rows:
        everything = "true" if parsed_args.all_projects else None
        found = edge(self).every("applications", name=parsed_args.name, all_projects=everything)
        return rows(found, "id", "name", "status", "cloudlets", "error")


class Show(command.ShowOne):
    """Show an application

    (example: openstack edge application show shop)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("application", metavar="<application>", help="Its name or id")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        return one(client.one("applications", client.application(parsed_args.application)))


class Delete(command.Command):
    """Terminate an application: its cloudlets and their state are removed

    (example: openstack edge application delete --wait shop)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("application", metavar="<application>", nargs="+", help="Its name or id")
        parser.add_argument("--wait", action="store_true", help="Until it is gone")
        return parser

    def take_action(self, parsed_args: Namespace) -> None:
        client = edge(self)
        found = [client.application(name) for name in parsed_args.application]
        for id_ in found:
            client.ask("DELETE", f"/v1/applications/{id_}")
        for id_ in found if parsed_args.wait else ():
            client.until_gone("applications", id_)
