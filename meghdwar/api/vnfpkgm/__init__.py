"""/vnfpkgm/v1: package management as SOL005 and SOL003 have it, for clients that know nothing of Meghdwar."""

from __future__ import annotations

from meghdwar.api.area import Area
from meghdwar.api.vnfpkgm import content, packages, subscriptions
from meghdwar.api.vnfpkgm.blueprint import blueprint

READ, WRITE = "packages:read", "packages:write"

AREA = Area(
    blueprint,
    rules={
        "versions": "anybody",
        packages.create.__name__: WRITE,
        packages.list_.__name__: READ,
        packages.show.__name__: READ,
        packages.modify.__name__: WRITE,
        packages.delete.__name__: WRITE,
        content.upload.__name__: WRITE,
        content.upload_from_uri.__name__: WRITE,
        content.download.__name__: READ,
        content.vnfd.__name__: READ,
        content.artifact.__name__: READ,
        subscriptions.subscribe.__name__: WRITE,
        subscriptions.subscriptions.__name__: READ,
        subscriptions.subscription.__name__: READ,
        subscriptions.unsubscribe.__name__: WRITE,
    },
    defaults={READ: "rule:reader", WRITE: "rule:operator"},
)
