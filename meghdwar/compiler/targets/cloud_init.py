"""What a machine does at its first start to become a gateway: the hypervisor installed and opened to the driver."""

from __future__ import annotations

from collections.abc import Mapping

from meghdwar.compiler.targets.hot import Data

CERTIFICATE = "driver_certificate"
AUTHORITY = "driver_ca"
_INDENT = 6  # of the certificate in the templates

PARAMETERS: Mapping[str, str] = {"lxd": CERTIFICATE, "kvm": AUTHORITY}
"""The parameter with which each hypervisor knows the driver."""

DESCRIPTIONS: Mapping[str, str] = {
    CERTIFICATE: "The driver's client certificate (PEM, the public part only): who shows it may use the gateways.",
    AUTHORITY: "The certificate of the authority (PEM) whose clients may use the gateways.",
}
_SETTINGS: Mapping[str, Mapping[str, object]] = {
    "lxd": {"certificate": CERTIFICATE.upper(), "port": 8443, "pool": "btrfs"},
    "kvm": {"authority": AUTHORITY.upper(), "port": 16514},
}


def script(hypervisor: str) -> str:
    """The user data of a gateway; where it knows the driver's certificate, it has the parameter's name in capitals."""
    import yaml
    from jinja2 import Environment, StrictUndefined

    from meghdwar.resources import templates

    source = templates().joinpath("cloud-init", f"{hypervisor}.yaml.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    text = environment.from_string(source).render(_SETTINGS[hypervisor])
    document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    if not isinstance(document, dict) or PARAMETERS[hypervisor].upper() not in text:
        raise ValueError(f"cannot use the cloud-init template for {hypervisor}: it makes no cloud-config")
    return text


def config(hypervisor: str, certificate: Data) -> Data:
    """The user data as Heat puts it together: the certificate's lines indented as the template wants them."""
    lines: Data = {"list_join": ["\n" + " " * _INDENT, {"str_split": ["\n", certificate]}]}
    return {"str_replace": {"template": script(hypervisor), "params": {PARAMETERS[hypervisor].upper(): lines}}}
