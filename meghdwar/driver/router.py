"""Sends a subscriber's traffic to the gateway where the cloudlet is now; a site says how it is done there."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from meghdwar.driver.hypervisor import HypervisorError
from meghdwar.driver.instance import Instance


class Router(Protocol):
    """Asking again for what is already so changes nothing. A router that cannot raises HypervisorError."""

    def point(self, instance: Instance, gateway: str, address: str | None, endpoint: str) -> None:
        """From now on its traffic goes to the gateway: to `endpoint`, or to its own address by way of `address`."""
        ...

    def withdraw(self, instance: Instance) -> None:
        """Its traffic goes nowhere."""
        ...

    def shown(self, instance: Instance) -> str | None:
        """Where its traffic goes now: a gateway's name or address; None when that is not known, or nowhere."""
        ...


class Nowhere:
    """The network finds its way by itself (the gateways announce the address), or nobody comes from outside."""

    def point(self, instance: Instance, gateway: str, address: str | None, endpoint: str) -> None:
        return

    def withdraw(self, instance: Instance) -> None:
        return

    def shown(self, instance: Instance) -> str | None:
        return None


class Table:
    """A folder with one JSON file per instance, replaced whole: {"gateway": ..., "endpoint": "host:port"}.

    A proxy, or a client on the same machine, reads it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def point(self, instance: Instance, gateway: str, address: str | None, endpoint: str) -> None:
        path = self._folder / f"{instance.name}.json"
        waiting = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            waiting.write_text(json.dumps({"gateway": gateway, "endpoint": endpoint}) + "\n", encoding="utf-8")
            os.replace(waiting, path)
        except OSError as error:
            raise HypervisorError(
                gateway, f"route {instance.name}", f"{error.filename}: {error.strerror}", retry=True
            ) from None

    def withdraw(self, instance: Instance) -> None:
        try:
            (self._folder / f"{instance.name}.json").unlink(missing_ok=True)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}"
            raise HypervisorError("the router", f"withdraw {instance.name}", why, retry=True) from None

    def shown(self, instance: Instance) -> str | None:
        try:
            return str(json.loads((self._folder / f"{instance.name}.json").read_bytes())["gateway"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


class Iproute:
    """A host route to the instance's own address by way of the gateway, in this network namespace or in a named one."""

    def __init__(self, namespace: str) -> None:
        self._ip = ["ip", "-n", namespace] if namespace else ["ip"]

    def point(self, instance: Instance, gateway: str, address: str | None, endpoint: str) -> None:
        if instance.address is None:
            return
        if address is None:
            why = "nobody knows its address; give it with mdw gateway add --address"
            raise HypervisorError(gateway, f"route {instance.name}", why)
        self._run(gateway, instance, ["route", "replace", _host(instance.address), "via", address])

    def withdraw(self, instance: Instance) -> None:
        if instance.address is not None and self._route(instance):
            self._run("the router", instance, ["route", "del", _host(instance.address)])

    def shown(self, instance: Instance) -> str | None:
        try:
            words = self._route(instance)
        except HypervisorError:
            return None
        return words[words.index("via") + 1] if "via" in words[:-1] else None

    def _route(self, instance: Instance) -> list[str]:
        if instance.address is None:
            return []
        return self._run("the router", instance, ["route", "show", _host(instance.address)]).split()

    def _run(self, gateway: str, instance: Instance, arguments: list[str]) -> str:
        asked = f"route {instance.name}"
        try:
            done = subprocess.run([*self._ip, *arguments], capture_output=True, text=True, timeout=10)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HypervisorError(gateway, asked, str(error), retry=True) from None
        if done.returncode:
            raise HypervisorError(gateway, asked, done.stderr.strip() or "ip route failed", retry=True)
        return done.stdout


def _host(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"


# how a site is routed -> what does it, given the text after the colon
ROUTERS: Mapping[str, Callable[[str], Router]] = {
    "none": lambda _: Nowhere(),
    "table": Table,  # table:FOLDER
    "iproute": Iproute,  # iproute or iproute:NAMESPACE
}


def make(text: str) -> Router:
    """The router of such a text, as `mdw up --router` takes it. Raises ValueError for one that there is not."""
    kind, _, rest = text.partition(":")
    if kind not in ROUTERS or (kind == "table" and not rest):
        known = "none, table:FOLDER, iproute or iproute:NAMESPACE"
        raise ValueError(f"cannot route by {text!r}: it has to be {known}")
    return ROUTERS[kind](rest)


def said(text: str, instance: Instance, gateway: str) -> str:
    """What pointing the router at a gateway does, for people."""
    kind, _, rest = text.partition(":")
    if kind == "table":
        return f"the table {rest}/{instance.name}.json names {gateway}"
    if kind == "iproute" and instance.address is not None:
        return f"a route to {_host(instance.address)} by way of {gateway}" + (f", in {rest}" if rest else "")
    return (
        f"nothing is routed here; where gateways announce addresses by themselves, {gateway} is reached as soon as it "
        "runs there, before it is sure that it stays"
    )
