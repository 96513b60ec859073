"""What the lab is told: it is asked here because a mistake costs minutes when the lab itself finds it."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest
import yaml

from tests.lab import packages, settings
from tests.lab.place import CLOUDS, HEATS, Place, choose, find

PLACE = Place(Path("/somewhere/lab"), 42)


def parsed(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.read_string(text)
    return parser


def test_each_heat_is_apart_from_the_others() -> None:
    read = [parsed(settings.ini(settings.heat(PLACE, heat))) for heat in HEATS.values()]
    for section, key in (("DEFAULT", "transport_url"), ("database", "connection"), ("heat_api", "bind_port")):
        assert len({each[section][key] for each in read}) == len(HEATS)
    assert len({heat.region for heat in HEATS.values()}) == len(HEATS)
    assert [bool(each["DEFAULT"].get("plugin_dirs")) for each in read] == [heat.plugin for heat in HEATS.values()]


def test_a_trustee_is_of_no_project() -> None:
    assert not [key for key in settings.heat(PLACE, HEATS["heat"])["trustee"] if key.startswith("project_")]


def test_only_those_that_steer_know_the_database_of_nova() -> None:
    assert "database" in settings.nova(PLACE, "lab")
    assert "database" not in settings.nova(PLACE, "edge-1")


def test_every_heat_is_a_cloud() -> None:
    clouds = yaml.safe_load(settings.clouds(PLACE))["clouds"]
    assert set(clouds) == {*CLOUDS.values(), "lab-admin"}
    assert {clouds[CLOUDS[name]]["region_name"] for name in HEATS} == {heat.region for heat in HEATS.values()}
    assert clouds["lab"]["auth"]["auth_url"] == "http://10.42.0.2:5000/v3"


@pytest.mark.skipif(not shutil.which("ip"), reason="there is no command ip: apt-get install iproute2")
def test_a_place_is_found_again(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    chosen = choose(tmp_path)
    assert find(tmp_path) == chosen
    assert choose(tmp_path) == chosen
    assert len(chosen.device) <= 15  # longer names of devices are refused by the kernel


def test_what_is_missing_is_of_the_list() -> None:
    assert set(packages.missing()) <= set(packages.PACKAGES)
