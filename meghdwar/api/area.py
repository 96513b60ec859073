"""A part of the API: its urls, and for each the rule of the policy that lets somebody in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import Blueprint


@dataclass(frozen=True, slots=True)
class Area:
    """`rules` is view function -> rule; `defaults` is rule -> what it asks for, unless a policy file says otherwise."""

    blueprint: Blueprint
    rules: Mapping[str, str]
    defaults: Mapping[str, str] = field(default_factory=dict)
