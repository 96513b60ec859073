"""The catalogue's records on each database: what was seen has to be so still, and subscribers are told with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from meghdwar.driver import database
from meghdwar.driver.inventory import Taken, Unknown
from meghdwar.onboard.record import CREATED, ONBOARDED, ONBOARDING, PROCESSING, UPLOADING, Found, Subscription
from meghdwar.onboard.records import AlreadyThere, Records
from tests.driver.conftest import server, url

__all__ = ["server", "url"]


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = database.open(url)
    yield Records(opened, lambda event, subscription: f"{event.kind} {event.package.id}")
    opened.close()


def test_a_package_goes_its_way_and_subscribers_are_told(records: Records) -> None:
    subscription = records.subscribe(Subscription("s1", "here", "http://x/", {"vnfdId": ["a"]}))
    with pytest.raises(AlreadyThere, match="s1"):
        records.subscribe(Subscription("s2", "here", "http://x/", {"vnfdId": ["a"]}))
    record = records.add("here", {"a": "b"})
    assert records.get(record.id, "here") == record
    with pytest.raises(Unknown):
        records.get(record.id, "there")
    for state in (UPLOADING, PROCESSING):
        record = records.change(record, replace(record, onboarding_state=state))
    assert records.unfinished() == [record]
    done = replace(record, onboarding_state=ONBOARDED, digest="d", size=3, found=Found("a", artifacts=({"path": "x"},)))
    assert records.change(record, done, ONBOARDING) == done
    assert records.is_referred_to("d")
    assert [each[1:] for each in records.due(60)] == [(f"{ONBOARDING} {record.id}", 1, subscription)]
    assert records.due(60) == []  # somebody is at it
    with pytest.raises(Taken, match="it is ONBOARDED"):
        records.change(record, replace(record, onboarding_state=CREATED))


def test_a_vnfd_is_onboarded_once_in_a_project(records: Records) -> None:
    def onboarded(project: str) -> None:
        record = records.add(project, {})
        records.change(record, replace(record, onboarding_state=ONBOARDED, found=Found("same")), taken="twice")

    onboarded("here")
    onboarded("there")
    with pytest.raises(Taken, match="twice"):
        onboarded("here")


def test_what_is_used_stays(records: Records) -> None:
    record = records.add("here", {})
    records.use(record, "arena")
    records.use(record, "arena")
    assert records.get(record.id).in_use
    with pytest.raises(Taken, match="in use"):
        records.remove(record, "")
    records.unuse("arena")
    records.remove(record, "")
    with pytest.raises(Unknown):
        records.remove(record, "")


def test_pages_have_all_once_and_in_order(records: Records) -> None:
    made = [records.add("here", {"n": n}) for n in range(5)]
    records.add("there", {})
    first = records.page("here", None, 2)
    rest = records.page("here", (first[-1].created_at, first[-1].id), 10)
    assert [*first, *rest] == sorted(made, key=lambda record: (record.created_at, record.id))
