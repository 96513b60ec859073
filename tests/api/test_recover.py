"""What a crash can leave in the folder of packages is found by whoever looks next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from meghdwar.onboard.record import UPLOADING
from tests.api.conftest import Here


def test_files_that_no_package_refers_to_are_removed(here: Here) -> None:
    name, catalogue = here.onboard(), here.backend.catalogue
    store = catalogue.store
    (store.content / ("0" * 64)).write_bytes(b"published, and then the database was never told")
    (store.incoming / "of-nobody").write_bytes(b"half of a package")
    kept = catalogue.records.get(name).digest
    catalogue.recover()
    assert here.files() == sorted([f"content/{kept}", "lock"])


def test_what_somebody_works_on_is_left_alone(here: Here) -> None:
    catalogue = here.backend.catalogue
    record = catalogue.records.get(here.create())
    upload = catalogue.begin(record)
    assert catalogue.recover() == []
    assert here.show(record.id)["onboardingState"] == "UPLOADING"
    upload.close()
    assert here.show(record.id)["onboardingState"] == "CREATED"


def test_an_upload_that_nobody_works_on_ends(here: Here) -> None:
    records = here.backend.catalogue.records
    record = records.get(here.create())
    records.change(record, replace(record, onboarding_state=UPLOADING))
    here.backend.catalogue.recover()
    found = here.show(record.id)
    assert (found["onboardingState"], found["onboardingFailureDetails"]["status"]) == ("CREATED", 503)


def test_who_has_just_ended_with_a_package_is_waited_for(here: Here) -> None:
    catalogue = here.backend.catalogue
    record = catalogue.records.get(here.create())
    work = catalogue.store.work(record.id)
    assert work is not None
    with ThreadPoolExecutor() as pool:
        upload = pool.submit(catalogue.begin, record)
        with pytest.raises(TimeoutError):
            upload.result(timeout=0.05)
        work.close()
        upload.result(timeout=5).close()
