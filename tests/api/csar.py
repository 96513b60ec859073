"""Small packages that are sound: a VNF of SOL001, with a manifest, an image and a script."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping

VNFD = """\
tosca_definitions_version: tosca_simple_yaml_1_3
description: a VNF for tests
imports: [etsi_nfv_sol001_vnfd_types.yaml{more}]
node_types:
  tests.VNF:
    derived_from: tosca.nodes.nfv.VNF
topology_template:
  node_templates:
    vnf:
      type: tests.VNF
      properties:
        descriptor_id: {vnfd_id}
        descriptor_version: '1.0'
        provider: {provider}
        product_name: {product}
        software_version: '2.0'
        vnfm_info: [meghdwar]
        flavour_id: simple
        flavour_description: simple
{wrong}"""
META = """\
TOSCA-Meta-File-Version: 1.0
CSAR-Version: 1.1
Created-By: tests
Entry-Definitions: Definitions/vnfd.yaml
ETSI-Entry-Manifest: vnf.mf
"""
MOMENT = (2026, 1, 1, 0, 0, 0)
ARTIFACTS: Mapping[str, bytes] = {
    "Scripts/start.sh": b"#!/bin/sh\necho ready\n",
    "Files/notes.txt": "Grüße\n".encode(),
    "Files/image.bin": bytes(range(256)) * 64,
    "Files/inner.zip": b"PK\x05\x06" + bytes(18),
}
MORE = "tosca_definitions_version: tosca_simple_yaml_1_3\ndescription: nothing yet\n"


def csar(
    vnfd_id: str = "b1bb0ce7-ebca-4fa7-95ed-4840d70a1177",
    *,
    provider: str = "Acme",
    product: str = "Tiny",
    several: bool = False,
    wrong: str = "",
    size: int = 0,
    artifacts: Mapping[str, bytes] = ARTIFACTS,
) -> bytes:
    """`several` descriptors, something `wrong` at the end of the main one, or an artifact of a `size` more."""
    given = {"more": ", more.yaml" if several else "", "vnfd_id": vnfd_id, "provider": provider, "product": product}
    files = {"Definitions/vnfd.yaml": VNFD.format(**given, wrong=wrong).encode(), **artifacts}
    if several:
        files["Definitions/more.yaml"] = MORE.encode()
    if size:
        files["Files/filling.bin"] = hashlib.shake_128(vnfd_id.encode()).digest(size)
    listed = {"TOSCA-Metadata/TOSCA.meta": META.encode(), **files, "vnf.mf": manifest(files).encode()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in listed.items():
            file.writestr(zipfile.ZipInfo(name, MOMENT), data, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def manifest(files: Mapping[str, bytes]) -> str:
    lines = ["metadata:", "  vnf_product_name: Tiny", "  vnf_provider_id: Acme", "  vnf_package_version: '1.0'"]
    lines += ["  vnf_release_date_time: 2026-01-01T00:00:00Z", ""]
    for name, data in files.items():
        lines += [f"Source: {name}", "Algorithm: SHA-256", f"Hash: {hashlib.sha256(data).hexdigest()}", ""]
    return "\n".join(lines)
