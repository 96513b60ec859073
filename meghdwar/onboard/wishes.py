"""What a subscriber wants to be told of (PkgmNotificationsFilter of SOL005). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meghdwar.onboard.record import ONBOARDING, PKG_DELETE, Event

ONBOARDING_NOTIFICATION, CHANGE_NOTIFICATION = "VnfPackageOnboardingNotification", "VnfPackageChangeNotification"


def kind(event: Event) -> str:
    return ONBOARDING_NOTIFICATION if event.kind == ONBOARDING else CHANGE_NOTIFICATION


def wanted(filter_: Mapping[str, Any], event: Event) -> bool:
    """Everything that the filter names has to fit; what it does not name fits always."""
    package, found = event.package, event.package.found
    said: Mapping[str, str] = {
        "notificationTypes": kind(event),
        "vnfdId": "" if found is None else found.vnfd_id,
        "vnfPkgId": package.id,
        "operationalState": package.operational_state,
        "usageState": "IN_USE" if package.in_use else "NOT_IN_USE",
    }
    if any(name in filter_ and value not in filter_[name] for name, value in said.items()):
        return False
    products = filter_.get("vnfProductsFromProviders")
    return products is None or any(_of_provider(each, event) for each in products)


def _of_provider(wished: Mapping[str, Any], event: Event) -> bool:
    found = event.package.found
    if found is None or wished.get("vnfProvider") != found.provider:
        return False
    return _any(wished.get("vnfProducts"), lambda product: _of_product(product, event))


def _of_product(wished: Mapping[str, Any], event: Event) -> bool:
    found = event.package.found
    if found is None or wished.get("vnfProductName") != found.product_name:
        return False
    return _any(wished.get("versions"), lambda version: _of_version(version, event))


def _of_version(wished: Mapping[str, Any], event: Event) -> bool:
    found = event.package.found
    if found is None or wished.get("vnfSoftwareVersion") != found.software_version:
        return False
    versions: Sequence[str] | None = wished.get("vnfdVersions")
    return not versions or found.vnfd_version in versions


def _any(wishes: Sequence[Any] | None, fits: Any) -> bool:
    return not wishes or any(fits(each) for each in wishes)


def change(event: Event) -> Mapping[str, str]:
    """What a change notification says beyond what all say."""
    if event.kind == ONBOARDING:
        return {}
    state = {"operationalState": event.package.operational_state} if event.kind != PKG_DELETE else {}
    return {"changeType": event.kind, **state}
