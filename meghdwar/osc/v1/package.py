"""openstack edge package: onboarded, looked at, enabled, downloaded, deleted."""

from __future__ import annotations

import shutil
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osc_lib import exceptions
from osc_lib.command import command

from meghdwar.osc.client import LOOK_S, edge
from meghdwar.osc.v1.printed import Rows, one, rows

PACKAGES = "/vnfpkgm/v1/vnf_packages"


class Onboard(command.ShowOne):
    """Onboard a package: it is uploaded, checked and kept

    (example: openstack edge package onboard arena.csar)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("--enable", action="store_true", help="So that applications can be made from it")
        parser.add_argument("file", metavar="<file>", help="The package (CSAR)")
        return parser

    def take_action(self, parsed_args: Namespace) -> Any:
        client, path = edge(self), Path(parsed_args.file)
        if not path.is_file():
            raise exceptions.CommandError(f"cannot read {path}: there is no such file")
        made = client.ask("POST", PACKAGES, {})
        with open(path, "rb") as file:
            client.answer(
                "PUT",
                f"{PACKAGES}/{made['id']}/package_content",
                data=file,
                headers={"Content-Type": "application/zip"},
            )
        found = client.ask("GET", f"{PACKAGES}/{made['id']}")
        while found["onboardingState"] in ("UPLOADING", "PROCESSING"):
            time.sleep(LOOK_S)
            found = client.ask("GET", f"{PACKAGES}/{made['id']}")
        if found["onboardingState"] != "ONBOARDED":
            client.ask("DELETE", f"{PACKAGES}/{made['id']}")
            why = found.get("onboardingFailureDetails", {}).get("detail", "nobody knows why")
            raise exceptions.CommandError(f"cannot onboard {path}: {why}")
        if parsed_args.enable:
            _set(client, made["id"], "ENABLED")
            found = client.ask("GET", f"{PACKAGES}/{made['id']}")
        return one(_shown(found))


class List(command.Lister):
    """List packages

    (example: openstack edge package list)
    """

    def take_action(self, parsed_args: Namespace) -> Rows:
        client, path, found = edge(self), PACKAGES, []
        while path:
            response = client.answer("GET", path, whole=True)
            found += response.json()
            following = response.links.get("next", {}).get("url", "")
            path = following[following.index("/vnfpkgm/") :] if following else ""
        return rows(map(_shown, found), "id", "product", "version", "onboarding", "operational", "usage")


class Show(command.ShowOne):
    """Show a package

    (example: openstack edge package show ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> Any:
        return one(_shown(edge(self).ask("GET", f"{PACKAGES}/{parsed_args.package}")))


class Set(command.Command):
    """Enable or disable a package

    (example: openstack edge package set --disable ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--enable", dest="state", action="store_const", const="ENABLED", help="It may be used")
        which.add_argument("--disable", dest="state", action="store_const", const="DISABLED", help="It may not")
        return parser

    def take_action(self, parsed_args: Namespace) -> None:
        _set(edge(self), parsed_args.package, parsed_args.state)


class Delete(command.Command):
    """Delete a package that is disabled and not used

    (example: openstack edge package delete ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return _which(super().get_parser(prog_name))

    def take_action(self, parsed_args: Namespace) -> None:
        edge(self).ask("DELETE", f"{PACKAGES}/{parsed_args.package}")


class Download(command.Command):
    """Download a package, as it was uploaded

    (example: openstack edge package download --file arena.csar ID)
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _which(super().get_parser(prog_name))
        parser.add_argument("--file", metavar="<file>", help="Where to; else the standard output")
        return parser

    def take_action(self, parsed_args: Namespace) -> None:
        response = edge(self).answer(
            "GET", f"{PACKAGES}/{parsed_args.package}/package_content", whole=True, stream=True,
            headers={"Accept": "application/zip"},
        )  # fmt: skip
        if parsed_args.file is None:
            shutil.copyfileobj(response.raw, sys.stdout.buffer)
            return
        with open(parsed_args.file, "xb") as file:
            shutil.copyfileobj(response.raw, file)


def _set(client: Any, package: str, state: str) -> None:
    client.answer(
        "PATCH", f"{PACKAGES}/{package}", json={"operationalState": state},
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": found["id"],
        "product": found.get("vnfProductName"),
        "version": found.get("vnfSoftwareVersion"),
        "descriptor": found.get("vnfdId"),
        "onboarding": found["onboardingState"],
        "operational": found["operationalState"],
        "usage": found["usageState"],
        "failure": found.get("onboardingFailureDetails", {}).get("detail"),
    }


def _which(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("package", metavar="<package>", help="Its id")
    return parser
