"""What has to hold for each gateway: that it can be built or reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meghdwar.compiler import rules
from meghdwar.compiler.lower.edge_rules.view import Edge
from meghdwar.diagnostics import Diagnostic
from meghdwar.model import Gateway, Value


def built_or_standing(edge: Edge) -> Iterator[Diagnostic]:
    """A gateway without an endpoint is built from a flavor and an image; one with an endpoint is left alone."""
    for gateway in edge.site.gateways.values():
        given = [key for key in ("flavor", "image") if getattr(gateway, key) is not None]
        if not gateway.stands and len(given) < 2:
            missing = " and ".join(key for key in ("flavor", "image") if key not in given)
            yield Diagnostic(
                rules.NOTHING_TO_BUILD_FROM,
                gateway.origin,
                f"cannot build {gateway.name!r}: it has no {missing}",
                "give it flavor and image, or the endpoint at which it stands already",
            )
        if gateway.stands:
            for key in ("flavor", "image", "key_name"):
                if getattr(gateway, key) is not None:
                    yield Diagnostic(
                        rules.NOT_BUILT,
                        edge.place(gateway.name, key),
                        f"{key} of {gateway.name!r} counts for nothing: it stands already",
                        "leave it out, or leave the endpoint out so that the stack builds the gateway",
                    )
        elif gateway.certificate is not None:
            yield Diagnostic(
                rules.NOT_BUILT,
                edge.place(gateway.name, "certificate"),
                f"the certificate of {gateway.name!r} counts for nothing: it is made when the stack builds the gateway",
                "leave it out, or name the endpoint at which the gateway stands",
            )


SCHEMES: Mapping[str, tuple[str, ...]] = {
    "lxd": ("https",),
    "kvm": ("qemu+tls", "qemu+ssh", "qemu+unix", "qemu+tcp", "qemu"),
    "local": ("local", "file"),
}


_EXAMPLES = {
    "lxd": "https://edge-b.example:8443",
    "kvm": "qemu+tls://edge-b.example/system",
    "local": "local:edge_b or file:///srv/edge-b",
}


def endpoints(edge: Edge) -> Iterator[Diagnostic]:
    """An endpoint speaks the language of the hypervisor, and no two gateways are the same host."""
    seen: dict[Value, Gateway] = {}
    for gateway in edge.site.gateways.values():
        endpoint = gateway.endpoint
        if not isinstance(endpoint, str):
            continue
        span = edge.place(gateway.name, "endpoint")
        wanted = SCHEMES.get(gateway.hypervisor, ())
        scheme, colon, rest = endpoint.partition(":")
        path = gateway.hypervisor == "local" and endpoint.startswith("/")
        if wanted and not path and (scheme not in wanted or not colon or not rest.strip("/")):
            yield Diagnostic(
                rules.ENDPOINT_DOES_NOT_FIT,
                span,
                f"cannot reach {gateway.hypervisor} on {gateway.name!r} at {endpoint!r}",
                f"write it as {_EXAMPLES[gateway.hypervisor]}",
            )
        if endpoint.rstrip("/") in seen:
            other = seen[endpoint.rstrip("/")]
            yield Diagnostic(
                rules.ONE_HOST_TWICE,
                span,
                f"cannot reach {gateway.name!r} at {endpoint}: {other.name!r} is there",
                "give it an endpoint of its own: one gateway is one host with one hypervisor",
                ((edge.place(other.name, "endpoint"), f"{other.name} is here"),),
            )
        seen.setdefault(endpoint.rstrip("/"), gateway)


def networks(edge: Edge) -> Iterator[Diagnostic]:
    """A machine without a network cannot be reached by the driver."""
    for gateway in edge.site.gateways.values():
        if not gateway.stands and not gateway.networks and None not in (gateway.flavor, gateway.image):
            yield Diagnostic(
                rules.NO_NETWORK,
                gateway.origin,
                f"{gateway.name!r} is built without a network: the driver could not reach it",
                "name one in networks",
            )
