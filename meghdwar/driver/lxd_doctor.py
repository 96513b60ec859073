"""Looks at everything at an LXD that a move will need, changes nothing, and says what to do about what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

from meghdwar.driver.hypervisor import Finding, HypervisorError
from meghdwar.driver.lxd_api import Api, Data
from meghdwar.driver.lxd_volumes import TRUSTED, Volumes

ASKED = "examine it"
SKEW_MAX_S = 3.0
FREE_MIN_BYTES = 2 * 2**30
EXTENSIONS = ("storage_volume_state", "custom_volume_refresh", "container_nic_routed", "container_exec_recording")


def findings(api: Api, volumes: Volumes, parent: str, images: Sequence[str]) -> Iterator[Finding]:
    """One for each thing looked at. Never raises."""
    asked_at = time.time()
    try:
        server, headers = api.head(ASKED)
    except HypervisorError as error:
        yield Finding(
            "reachable", "bad", error.why, "see that LXD runs there, core.https_address, and the certificates"
        )
        return
    yield Finding("reachable", "good", f"{api.access.endpoint} answers")
    if api.access.certificate:
        yield Finding("certificate", "good", f"it shows the pinned one, {api.access.certificate[:16]}…")
    if server.get("auth") != "trusted":
        message = "it does not trust the driver's certificate"
        yield Finding("trusted", "bad", message, f"there: lxc config trust add {api.access.client_certificate}")
        return
    yield Finding("trusted", "good", "it trusts the driver")
    checks: Sequence[Callable[[], Iterator[Finding]]] = (
        lambda: _version(server),
        lambda: _clock(headers, asked_at),
        lambda: _reaches_others(api),
        lambda: _pool(volumes),
        lambda: _space(api, volumes),
        lambda: _parent(api, parent),
        lambda: _images(api, images),
    )
    for check in checks:
        try:
            yield from check()
        except HypervisorError as error:
            yield Finding("asking", "bad", error.why, "see LXD's log there")


def _version(server: Data) -> Iterator[Finding]:
    version = server["environment"]["server_version"]
    lacking = [name for name in EXTENSIONS if name not in server["api_extensions"]]
    if lacking:
        yield Finding("version", "bad", f"LXD {version} lacks {', '.join(lacking)}", "LXD 5.0 or newer is needed")
    else:
        yield Finding("version", "good", f"LXD {version}")


def _clock(headers: Mapping[str, str], asked_at: float) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return
    skew_s = max(asked_at - 1 - theirs, theirs - time.time(), 0.0)  # it says whole seconds
    if skew_s > SKEW_MAX_S:
        message = f"its clock is {skew_s:.0f} s off ours"
        yield Finding(
            "clock", "warning", message, "let both keep time by NTP: sightings and logs are put in order by it"
        )
    else:
        yield Finding("clock", "good", "its clock agrees with ours")


def _reaches_others(api: Api) -> Iterator[Finding]:
    if api.url:
        yield Finding("address", "good", f"other gateways copy from {api.url}")
    else:
        message = "it has no https address, so that others cannot copy from it"
        yield Finding("address", "warning", message, "there: lxc config set core.https_address :8443")


def _pool(volumes: Volumes) -> Iterator[Finding]:
    driver = volumes.driver(ASKED)
    if driver in TRUSTED:
        yield Finding("pool", "good", f"storage pool {volumes.pool} is of the kind {driver}")
        yield Finding("snapshots", "good", "copies send only what has changed")
    else:
        message = f"storage pool {volumes.pool} is of the kind {driver}, where a refreshed copy loses writes"
        yield Finding("pool", "bad", message, "name a pool on btrfs or zfs in the gateway's option pool")


def _space(api: Api, volumes: Volumes) -> Iterator[Finding]:
    space = api.get(f"storage-pools/{volumes.pool}/resources", ASKED)["space"]
    free = space["total"] - space.get("used", 0)
    said = f"{free / 2**30:.1f} GiB of {space['total'] / 2**30:.1f} GiB are free in storage pool {volumes.pool}"
    if free < FREE_MIN_BYTES:
        yield Finding("space", "warning", said, "a move needs room for the state twice: its copy and a snapshot")
    else:
        yield Finding("space", "good", said)


def _parent(api: Api, parent: str) -> Iterator[Finding]:
    if not parent:
        message = "cloudlets get no address, for no option parent names an interface"
        yield Finding("network", "warning", message, "give the gateway the option parent, such as parent=eth0")
    elif api.find(f"networks/{parent}", ASKED) is None:
        message = f"there is no interface {parent} for the addresses of cloudlets"
        yield Finding("network", "bad", message, "see ip link there, and the gateway's option parent")
    else:
        yield Finding("network", "good", f"cloudlets have their addresses behind {parent}")


def _images(api: Api, images: Sequence[str]) -> Iterator[Finding]:
    folder = api.access.images
    for image in images:
        if api.find(f"images/aliases/{image}", ASKED) is not None:
            yield Finding("image", "good", f"{image} is there")
        elif folder is not None and Path(folder, f"{image}.tar.gz").exists():
            yield Finding("image", "good", f"{image} is not there yet, and is brought from {folder}")
        else:
            help_ = f"put {image}.tar.gz into {folder or 'the folder of images'}, or import it there as {image}"
            yield Finding("image", "bad", f"there is no image {image}", help_)
