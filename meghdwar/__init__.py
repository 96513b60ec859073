"""Meghdwar, the Edge Cloud Gateway: stateful cloudlets that follow their subscribers."""

__version__ = "0.1.0.dev0"
