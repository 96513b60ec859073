"""Which scalable servers the cluster manager takes: those that are nothing else, where there is one."""

from __future__ import annotations

import pytest

from meghdwar.compiler.targets.bare import settled
from meghdwar.model import (
    Application,
    Attachment,
    Attribute,
    BlockStorage,
    Element,
    FloatingAddress,
    Output,
    Port,
    SecurityRule,
    Server,
    ServerScaling,
)
from tests.compiler.test_lower_standard import AT

SCALING = ServerScaling("group", ("vdu",), AT, 1, 3, 1, cluster_if_bare=True)
PLAIN = Port("cp", AT, server="vdu")


def clustered(*elements: Element, heat: str = "2024.1", scaling: ServerScaling = SCALING, **more: object) -> bool:
    application = Application("t", AT, elements=(Server("vdu", AT), *elements, scaling), **more)  # type: ignore[arg-type]
    (found,) = settled(application, heat).each(ServerScaling)
    return found.clustered


def test_servers_with_plain_ports_go_to_the_cluster_manager() -> None:
    assert clustered(PLAIN)


def test_a_heat_without_a_cluster_manager_keeps_them() -> None:
    assert not clustered(PLAIN, heat="2024.2")
    assert clustered(PLAIN, heat="plugin")


def test_a_number_that_never_changes_needs_no_cluster() -> None:
    assert not clustered(PLAIN, scaling=ServerScaling("group", ("vdu",), AT, 2, 2, 2, cluster_if_bare=True))


@pytest.mark.parametrize(
    "more",
    [
        Port("cp", AT, server="vdu", rules=(SecurityRule("ingress", "ipv4", "tcp", 80, 80),)),
        Port("cp", AT, server="vdu", vnic_type="direct"),
        Attachment("disk_at_vdu", "vdu", "disk", AT),
        FloatingAddress("outside", AT, server="vdu"),
    ],
    ids=["rules", "vnic type", "volume", "floating address"],
)
def test_what_a_cluster_cannot_give_them_stays_with_the_stack(more: Element) -> None:
    assert not clustered(BlockStorage("disk", AT, size_bytes=2**30), more)


def test_so_do_servers_that_somebody_asks_for_an_attribute() -> None:
    assert not clustered(PLAIN, outputs=(Output("ip", AT, Attribute("cp", ("ip_address",))),))
