"""The edge of an application as its rules and the targets ask about it, worked out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from meghdwar.model import Cloudlet, Cluster, ClusterPolicy, Element, Gateway, Mobility, Mount, StateFiles, Volume


@dataclass(frozen=True, slots=True)
class Site:
    """Elements by name; the cluster of a gateway, the keeper of a state, the policies of a cluster."""

    gateways: Mapping[str, Gateway]
    clusters: Mapping[str, Cluster]
    cloudlets: Mapping[str, Cloudlet]
    volumes: Mapping[str, Volume]
    files: Mapping[str, StateFiles]
    mobilities: tuple[Mobility, ...]
    cluster_of: Mapping[str, Cluster]
    keeper: Mapping[str, Cloudlet]
    policies: Mapping[str, tuple[ClusterPolicy, ...]]

    @classmethod
    def of(cls, elements: Iterable[Element]) -> Site:
        every = list(elements)
        clusters = {e.name: e for e in every if isinstance(e, Cluster)}
        cloudlets = {e.name: e for e in every if isinstance(e, Cloudlet)}
        policies: dict[str, list[ClusterPolicy]] = {}
        for element in every:
            if isinstance(element, ClusterPolicy):
                policies.setdefault(element.cluster, []).append(element)
        return cls(
            gateways={e.name: e for e in every if isinstance(e, Gateway)},
            clusters=clusters,
            cloudlets=cloudlets,
            volumes={e.name: e for e in every if isinstance(e, Volume)},
            files={e.name: e for e in every if isinstance(e, StateFiles)},
            mobilities=tuple(e for e in every if isinstance(e, Mobility)),
            cluster_of={name: cluster for cluster in clusters.values() for name in cluster.gateways},
            keeper={mount.state: cloudlet for cloudlet in cloudlets.values() for mount in cloudlet.state},
            policies={name: tuple(found) for name, found in policies.items()},
        )

    def members(self, cluster: Cluster) -> list[Gateway]:
        return [self.gateways[name] for name in cluster.gateways if name in self.gateways]

    def reach(self, cloudlet: Cloudlet) -> list[Gateway]:
        """The gateways where a cloudlet may be."""
        cluster = self.clusters.get(cloudlet.cluster or "")
        if cluster is not None:
            return self.members(cluster)
        host = self.gateways.get(cloudlet.host or "")
        return [] if host is None else [host]

    def is_built(self, cluster: Cluster) -> bool:
        """Whether the stack builds every gateway of a cluster."""
        return not any(gateway.stands for gateway in self.members(cluster))

    def has_volume(self, name: str) -> bool:
        """Whether a volume can be the stack's: of one cloudlet for all, between gateways that the stack builds."""
        keeper = self.keeper.get(name)
        if name not in self.volumes or keeper is None or keeper.instances != "shared":
            return False
        reach = self.reach(keeper)
        return bool(reach) and not any(gateway.stands for gateway in reach)

    def volumes_of(self, cloudlet: Cloudlet) -> list[Mount]:
        """The mounts of a cloudlet whose volumes are the stack's."""
        return [mount for mount in cloudlet.state if self.has_volume(mount.state)]
