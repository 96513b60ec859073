"""How the client of OpenStack finds us: the service `edge`, in the catalogue of keystone or where an option says."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from osc_lib import utils

DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_edge_api_version"
API_NAME = "edge"
API_VERSIONS = {"1": "meghdwar.osc.client.Client"}


def make_client(instance: Any) -> Any:
    """A client for the session and endpoint that the options of `openstack` say."""
    made = utils.get_client_class(API_NAME, instance._api_version[API_NAME], API_VERSIONS)
    endpoint = getattr(instance._cli_options, "os_edge_endpoint", "") or instance.get_endpoint_for_service_type(
        API_NAME, region_name=instance.region_name, interface=instance.interface
    )
    return made(instance.session, endpoint)


def build_option_parser(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument(
        "--os-edge-api-version",
        metavar="<edge-api-version>",
        default=utils.env("OS_EDGE_API_VERSION", default=DEFAULT_API_VERSION),
        help="Version of the edge API, default=1 (Env: OS_EDGE_API_VERSION)",
    )
    parser.add_argument(
        "--os-edge-endpoint",
        metavar="<edge-endpoint>",
        default=utils.env("OS_EDGE_ENDPOINT"),
        help="Where the edge API is, when the catalogue does not say (Env: OS_EDGE_ENDPOINT)",
    )
    return parser
