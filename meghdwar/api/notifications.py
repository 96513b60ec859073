"""What subscribers are told: the body of a notification, how we say who we are, and when it is tried again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from meghdwar.api import outbound
from meghdwar.api.problems import Problem
from meghdwar.onboard import wishes
from meghdwar.onboard.record import Event, Subscription
from meghdwar.onboard.records import Body, Records

LOG = logging.getLogger(__name__)
TRIES_MAX = 12
WAIT_S, WAIT_MAX_S = 2.0, 3600.0
TAKEN_S = 60.0  # what was taken up to be sent is not taken up by another process for so long
FILTER = ("notificationTypes", "vnfProductsFromProviders", "vnfdId", "vnfPkgId", "operationalState", "usageState")


def body_of(endpoint: str) -> Body:
    """How a notification is written; `endpoint` is where we are found."""

    def body(event: Event, subscription: Subscription) -> str:
        package, root = event.package, f"{endpoint}/vnfpkgm/v1"
        told = {
            "id": str(uuid4()),
            "notificationType": wishes.kind(event),
            "subscriptionId": subscription.id,
            "timeStamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "vnfPkgId": package.id,
            **({"vnfdId": package.found.vnfd_id} if package.found is not None else {}),
            **wishes.change(event),
            "_links": {
                "vnfPackage": {"href": f"{root}/vnf_packages/{package.id}"},
                "subscription": {"href": f"{root}/subscriptions/{subscription.id}"},
            },
        }
        return json.dumps(told)

    return body


def send_due(records: Records, hosts: outbound.Hosts, going: Callable[[], bool]) -> int:
    """Sends what is due now; how many were tried. What does not arrive is tried again, more and more rarely."""
    tried = 0
    for name, body, tries, subscription in records.due(TAKEN_S):
        if not going():
            break
        tried += 1
        said = {"Content-Type": "application/json", **headers(subscription)}
        try:
            status = outbound.send("POST", subscription.callback, hosts, body.encode(), said)
            why = "" if 200 <= status < 300 else f"it answers {status}"
        except outbound.Refused as error:
            why = str(error)
        if not why:
            records.told(name)
        elif tries >= TRIES_MAX:
            LOG.warning("cannot notify subscription %s, and gives up after %s tries: %s", subscription.id, tries, why)
            records.told(name)
        else:
            records.later(name, min(WAIT_S * 2**tries, WAIT_MAX_S))
    return tried


def headers(subscription: Subscription) -> Mapping[str, str]:
    basic = subscription.authentication.get("paramsBasic")
    return outbound.Basic(basic["userName"], basic["password"]).headers() if basic else {}


# what was asked for
def checked_authentication(given: Any) -> Mapping[str, Any]:
    """Raises Problem unless it is of the one kind that we do."""
    if given == {}:
        return {}
    if not isinstance(given, dict) or given.get("authType") != ["BASIC"]:
        raise Problem(422, 'cannot authenticate like that: authType has to be ["BASIC"]')
    basic = given.get("paramsBasic")
    if not isinstance(basic, dict) or not all(isinstance(basic.get(name), str) for name in ("userName", "password")):
        raise Problem(400, "cannot authenticate: paramsBasic has to have userName and password")
    return {"paramsBasic": {name: basic[name] for name in ("userName", "password")}}


def checked_filter(given: Any) -> Mapping[str, Any]:
    """Raises Problem 400 for what is no PkgmNotificationsFilter."""
    if not isinstance(given, dict):
        raise Problem(400, "cannot read filter: it has to be an object")
    for name, value in given.items():
        if name not in FILTER:
            raise Problem(400, f"cannot filter by {name!r}: there are {', '.join(FILTER)}")
        products = name == "vnfProductsFromProviders"
        if not (_are_products(value) if products else _are_texts(value)):
            raise Problem(
                400, f"cannot read filter/{name}: it has to be a list of {'products' if products else 'texts'}"
            )
    return given


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_products(value: Any) -> bool:
    return _are(
        value, "vnfProvider", "vnfProducts", lambda product: _are(product, "vnfProductName", "versions", _are_versions)
    )


def _are_versions(value: Any) -> bool:
    return _are(value, "vnfSoftwareVersion", "vnfdVersions", _are_texts)


def _are(value: Any, name: str, inner: str, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and isinstance(each.get(name), str) and (inner not in each or fits(each[inner]))
        for each in value
    )
