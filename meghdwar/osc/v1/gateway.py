"""openstack edge gateway and openstack edge sighting: the hosts at the edge, and where subscribers were seen."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from meghdwar.osc.client import edge
from meghdwar.osc.v1.printed import Rows, one, pairs, rows


class List(command.Lister):
    """List gateways

    (example: openstack edge gateway list)
    """

    def take_action(self, parsed_args: Namespace) -> Rows:
        return rows(edge(self).every("gateways"), "name", "hypervisor", "endpoint", "cloudlets")


class Show(command.ShowOne):
    """Show a gateway

    (example: openstack edge gateway show edge_a)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> Any:
        return one(edge(self).one("gateways", parsed_args.gateway))


class Create(command.ShowOne):
    """Make a gateway known (admin)

    (example: openstack edge gateway create edge_a --hypervisor local --endpoint /srv/edge_a)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("--hypervisor", choices=("local", "lxd", "kvm"), required=True, help="What runs there")
        parser.add_argument("--endpoint", metavar="<endpoint>", required=True, help="How it is reached")
        parser.add_argument("--certificate", metavar="<fingerprint>", help="The SHA-256 that it has to show")
        parser.add_argument("--client-certificate", metavar="<path>", help="A file of the server")
        parser.add_argument("--client-key", metavar="<path>", help="A file of the server")
        parser.add_argument("--address", metavar="<address>", help="The next hop for its cloudlets")
        parser.add_argument("--images", metavar="<path>", help="A folder of the server")
        parser.add_argument("--option", metavar="<name=value>", action="append", default=[], help="May be repeated")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        names = (
            "hypervisor", "endpoint", "certificate", "client_certificate", "client_key", "address", "images",
        )  # fmt: skip
        body = {name: getattr(parsed_args, name) for name in names if getattr(parsed_args, name)}
        options = {name: str(value) for name, value in pairs(parsed_args.option).items()}
        body |= {"name": parsed_args.gateway} | ({"options": options} if options else {})
        return one(edge(self).ask("POST", "/v1/gateways", body))


class Delete(command.Command):
    """Forget a gateway where nothing is (admin)

    (example: openstack edge gateway delete edge_a)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> None:
        edge(self).ask("DELETE", f"/v1/gateways/{parsed_args.gateway}")


class Check(command.Lister):
    """Look at everything that a move needs at a gateway; nothing is changed (admin)

    (example: openstack edge gateway check edge_a)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> Rows:
        found = edge(self).ask("GET", f"/v1/gateways/{parsed_args.gateway}/findings")["findings"]
        return rows(found, "check", "level", "message", "help")


class Sight(command.Lister):
    """Say where a subscriber was seen; her cloudlets follow

    (example: openstack edge sighting create anna --cell cell-3)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--cell", metavar="<cell>", help="The radio cell")
        parser.add_argument("--latency", metavar="<gateway=ms>", action="append", default=[], help="May be repeated")
        parser.add_argument("--application", metavar="<application>", help="Only this one (name or id)")
        parser.add_argument("subscriber", metavar="<subscriber>", help="Who was seen")
        return parser

    def take_action(self, parsed_args: Namespace) -> Rows:
        client = edge(self)
        body: dict[str, Any] = {"subscriber": parsed_args.subscriber}
        if parsed_args.cell:
            body["cell"] = parsed_args.cell
        if parsed_args.latency:
            body["latencies_ms"] = pairs(parsed_args.latency)
        if not (parsed_args.cell or parsed_args.latency):
            raise exceptions.CommandError("cannot take the sighting in: say --cell or --latency")
        if parsed_args.application:
            body["application"] = client.application(parsed_args.application)
        found = client.ask("POST", "/v1/sightings", body)["followed"]
        return rows(found, "cloudlet", "gateway", "wanted", "reason", "dropped", "note")


def _which(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("gateway", metavar="<gateway>", help="Its name")
    return parser
