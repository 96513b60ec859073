"""openstack edge cloudlet: what runs of applications, built, stopped, started, healed and deleted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from osc_lib.command import command

from meghdwar.osc.client import edge
from meghdwar.osc.v1.operation import followed
from meghdwar.osc.v1.printed import Rows, one, rows


class List(command.Lister):
    """List cloudlets

    (example: openstack edge cloudlet list --application shop)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--application", metavar="<application>", help="Only those of this one (name or id)")
        parser.add_argument("--gateway", metavar="<gateway>", help="Only those there")
        parser.add_argument("--subscriber", metavar="<subscriber>", help="Only hers")
        parser.add_argument("--all-projects", action="store_true", help="Those of every project (admin)")
        return parser

    def take_action(self, parsed_args: Namespace) -> Rows:
        client = edge(self)
        found = client.every(
            "cloudlets",
            application=client.application(parsed_args.application) if parsed_args.application else None,
            gateway=parsed_args.gateway,
            subscriber=parsed_args.subscriber,
            all_projects="true" if parsed_args.all_projects else None,
        )
        return rows(found, "id", "cloudlet", "subscriber", "gateway", "status")


class Show(command.ShowOne):
    """Show a cloudlet

    (example: openstack edge cloudlet show shop/arena)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        return one(client.one("cloudlets", client.cloudlet(parsed_args.cloudlet)))


class Build(command.ShowOne):
    """Build a cloudlet of an application

    (example: openstack edge cloudlet build --application shop --subscriber anna --wait arena)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--application", metavar="<application>", required=True, help="Its name or id")
        parser.add_argument("--subscriber", metavar="<subscriber>", help="Whose it is, where each has one of her own")
        parser.add_argument("--gateway", metavar="<gateway>", help="Where; else where the descriptor says")
        parser.add_argument("--wait", action="store_true", help="Until it is done")
        parser.add_argument("cloudlet", metavar="<cloudlet>", help="As the descriptor calls it")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        body = {"application": client.application(parsed_args.application), "cloudlet": parsed_args.cloudlet}
        body |= {key: getattr(parsed_args, key) for key in ("subscriber", "gateway") if getattr(parsed_args, key)}
        return one(followed(client, client.ask("POST", "/v1/cloudlets", body), parsed_args.wait))


class _Act(command.ShowOne):
    method, act = "POST", ""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("--wait", action="store_true", help="Until it is done")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client = edge(self)
        id_ = client.cloudlet(parsed_args.cloudlet)
        return one(followed(client, client.ask(self.method, f"/v1/cloudlets/{id_}{self.act}"), parsed_args.wait))


class Stop(_Act):
    """Stop a cloudlet where it is; its state stays

    (example: openstack edge cloudlet stop --wait arena)
    """

    act = "/stop"


class Start(_Act):
    """Start a cloudlet that was stopped

    (example: openstack edge cloudlet start arena)
    """

    act = "/start"


class Heal(_Act):
    """End whatever runs of a cloudlet, and start it again where it is

    (example: openstack edge cloudlet heal --wait arena)
    """

    act = "/heal"


class Delete(_Act):
    """Remove a cloudlet, with its state

    (example: openstack edge cloudlet delete shop/arena/anna)
    """

    method = "DELETE"


def _which(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "cloudlet", metavar="<cloudlet>", help="Its id, or [<application>/]<cloudlet>[/<subscriber>] while that is one"
    )
    return parser
