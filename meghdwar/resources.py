"""The data files that travel with the package: TOSCA types and templates."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable


def tosca() -> Traversable:
    """The folder of normative types, `meghdwar.yaml` and the examples."""
    return files("meghdwar.tosca")


def templates() -> Traversable:
    """The folder of jinja2 templates: cloud-init, LXD, libvirt."""
    return files("meghdwar.templates")
