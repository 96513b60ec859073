"""Addresses where ETSI publishes types: descriptors import them from there, and nothing is fetched while compiling."""

from __future__ import annotations

import re

_SOL001 = r"https://forge\.etsi\.org/(?:rep|gitlab)/nfv/SOL001/raw/"
_MEC037 = r"https://forge\.etsi\.org/(?:rep|gitlab)/mec/gs037-pkg-format/raw/"
_PACKAGED = (  # the first that fits counts
    (_SOL001 + r"v?2\.[0-6]\.\d+/etsi_nfv_sol001_vnfd_types\.yaml", "etsi_nfv_sol001_vnfd_types.yaml"),
    (_SOL001 + r"v?[2-9]\.\d+\.\d+/etsi_nfv_sol001_vnfd_types\.yaml", "etsi_nfv_sol001_vnfd_types_2_7.yaml"),
    (_SOL001 + r"v?[2-9]\.\d+\.\d+/etsi_nfv_sol001_common_types\.yaml", "etsi_nfv_sol001_common_types.yaml"),
    (_MEC037 + r"v?\d+\.\d+\.\d+/MecAppDTypes\.yaml", "MecAppDTypes.yaml"),
)


def packaged(address: str) -> str | None:
    """The packaged file that has the types of an address; None for one that is not known."""
    return next((file for pattern, file in _PACKAGED if re.fullmatch(pattern, address)), None)
