"""How packages and subscriptions are shown (SOL005, 9.5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from meghdwar.onboard.record import ONBOARDED, PackageRecord, Subscription

COMPLEX = ("checksum", "softwareImages", "additionalArtifacts", "userDefinedData", "onboardingFailureDetails")
ALWAYS = ("id", "onboardingState", "operationalState", "usageState", "_links")
SIMPLE = ("vnfdId", "vnfProvider", "vnfProductName", "vnfSoftwareVersion", "vnfdVersion", "signingCertificate")
ATTRIBUTES = (*ALWAYS, *SIMPLE, *COMPLEX)


def package(record: PackageRecord, root: str, *, whole: bool = True) -> dict[str, Any]:
    """VnfPkgInfo; `root` is the url of vnf_packages. Unless it is `whole`, complex attributes may be left out."""
    shown: dict[str, Any] = {"id": record.id}
    found = record.found
    if record.onboarding_state == ONBOARDED and found is not None:
        shown["vnfdId"] = found.vnfd_id
        shown["vnfProvider"] = found.provider
        shown["vnfProductName"] = found.product_name
        shown["vnfSoftwareVersion"] = found.software_version
        shown["vnfdVersion"] = found.vnfd_version
        shown["checksum"] = {"algorithm": "SHA-256", "hash": record.digest}
        if whole and found.images:
            shown["softwareImages"] = [_image(each, record) for each in found.images]
        if whole and found.artifacts:
            shown["additionalArtifacts"] = [_artifact(each) for each in found.artifacts]
    shown["onboardingState"] = record.onboarding_state
    shown["operationalState"] = record.operational_state
    shown["usageState"] = "IN_USE" if record.in_use else "NOT_IN_USE"
    if record.user_data:
        shown["userDefinedData"] = record.user_data
    if record.failure is not None:
        shown["onboardingFailureDetails"] = record.failure
    shown["_links"] = _links(record, f"{root}/{record.id}")
    return shown


def _image(found: Mapping[str, Any], record: PackageRecord) -> dict[str, Any]:
    """VnfPackageSoftwareImageInfo; sizes in bytes, and the provider of the product where the image has none."""
    made = datetime.fromtimestamp(record.created_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    shown: dict[str, Any] = {
        "id": found["id"],
        "name": found["name"],
        "provider": found["provider"] or (record.found.provider if record.found is not None else ""),
        "version": found["version"],
        "checksum": {"algorithm": found["algorithm"], "hash": found["checksum"]},
        "isEncrypted": False,
        "containerFormat": found["container_format"],
        "diskFormat": found["disk_format"],
        "createdAt": made,
        "minDisk": found["min_disk"],
        "minRam": found["min_ram"],
        "size": found["size"],
        "imageUri" if "://" in found["path"] else "imagePath": found["path"],
    }
    return {name: value for name, value in shown.items() if value != ""}


def _artifact(found: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        "artifactPath": found["path"],
        "checksum": {"algorithm": found["algorithm"], "hash": found["checksum"]},
    }
    metadata = dict(found["metadata"])
    if found.get("non_mano_set"):
        metadata["nonManoArtifactSetId"] = found["non_mano_set"]
    return {**shown, **({"metadata": metadata} if metadata else {})}


def _links(record: PackageRecord, url: str) -> dict[str, Any]:
    links = {"self": {"href": url}, "packageContent": {"href": f"{url}/package_content"}}
    if record.onboarding_state == ONBOARDED:
        links["vnfd"] = {"href": f"{url}/vnfd"}
    return links


def subscription(found: Subscription, root: str) -> dict[str, Any]:
    """PkgmSubscription: never with what authenticates us there."""
    shown: dict[str, Any] = {"id": found.id}
    if found.filter:
        shown["filter"] = found.filter
    shown["callbackUri"] = found.callback
    shown["_links"] = {"self": {"href": f"{root}/{found.id}"}}
    return shown
