"""What a caller may see: what belongs to the project; what is another's is not there. Lists come in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request

from meghdwar.api.auth import caller, may
from meghdwar.api.backend import backend
from meghdwar.api.problems import Problem
from meghdwar.api.v1.contract import Asked
from meghdwar.driver.inventory import DEFAULT_PROJECT, ApplicationRecord, GatewayRecord, InstanceRecord, Unknown
from meghdwar.driver.operation import Operation
from meghdwar.driver.stacks import NOVA

T = TypeVar("T")
ALL_PROJECTS = "edge:all_projects"
GATEWAY_DETAILS = "edge:gateways_details"


def application_id(project: str, name: str) -> str:
    """The name that no two projects share; those of the machine's own project are called as mdw calls them."""
    if project == DEFAULT_PROJECT:
        return name
    digest = sha256("\0".join((project, name)).encode()).hexdigest()
    return f"{name}-{digest[:12]}"


# one of them
def application(name: str) -> ApplicationRecord:
    """Raises Problem 404."""
    try:
        found = backend().driver.inventory.application(name)
    except Unknown:
        raise _nothing("application", name) from None
    if not _ours(found):
        raise _nothing("application", name)
    return found


def gateway(name: str) -> GatewayRecord:
    found = next((each for each in gateways() if each.name == name), None)
    if found is None:
        raise _nothing("gateway", name)
    return found


def cloudlet(name: str) -> InstanceRecord:
    found = backend().driver.inventory.find_instance(name)
    if found is None or found.instance.application not in {each.name for each in _one(found.instance.application)}:
        raise _nothing("cloudlet", name)
    return found


def operation(name: str, kind: str | None = None) -> Operation:
    """What was done to applications that are no more is seen by nobody but admins."""
    what = kind or "operation"
    try:
        found = backend().driver.journal.operation(name)
    except Unknown:
        raise _nothing(what, name) from None
    seen = bool(_one(found.application)) or may(ALL_PROJECTS)
    if not seen or kind not in (None, found.kind):
        raise _nothing(what, name)
    return found


def _one(name: str) -> Sequence[ApplicationRecord]:
    """The application of that id, if the caller may see it."""
    try:
        found = backend().driver.inventory.application(name)
    except Unknown:
        return ()
    return (found,) if _ours(found) else ()


def _ours(record: ApplicationRecord) -> bool:
    return record.project == caller().project or may(ALL_PROJECTS)


def _nothing(what: str, name: str) -> Problem:
    return Problem(404, f"cannot find the {what} {name!r}: this project has none of that id")


# many of them
def applications(asked: Asked) -> dict[str, ApplicationRecord]:
    """Those of the project, or of all, by id."""
    project = None if everything(asked) else caller().project
    return {each.name: each for each in backend().driver.inventory.applications(project)}


def names(asked: Asked) -> list[str] | None:
    """The ids of the applications whose things are listed: those of the project, or the one of them that is asked for;
    None for all of all projects."""
    wanted, everywhere = asked.given.get("application"), everything(asked)
    if everywhere:
        return None if wanted is None else [wanted]
    return [each for each in backend().driver.inventory.application_names(caller().project) if wanted in (None, each)]


def everything(asked: Asked) -> bool:
    """Whether all projects are asked for; raises Problem 403."""
    asked_for = bool(asked.given.get("all_projects"))
    if asked_for and not may(ALL_PROJECTS):
        raise Problem(403, f"cannot look at all projects: the policy asks for {ALL_PROJECTS}")
    return asked_for


def gateways() -> list[GatewayRecord]:
    """Those that stand are everybody's, the servers of a stack the project's."""
    inventory = backend().driver.inventory
    found = inventory.gateways()
    if may(GATEWAY_DETAILS) or all(each.access.hypervisor != NOVA for each in found):
        return found
    ours = {each.stack for each in inventory.applications(caller().project)}
    return [each for each in found if each.access.hypervisor != NOVA or each.access.endpoint in ours]


def limit(asked: Asked) -> int:
    return int(asked.given.get("limit", backend().settings.page_size))


def page(
    asked: Asked,
    name: str,
    found: Iterable[T],
    id_of: Callable[[T], str],
    shown: Callable[[Sequence[T]], Sequence[Any]],
) -> Response:
    """A page of what is sorted by its id; `shown` is given all of the page at once."""
    after, most = asked.given.get("marker", ""), limit(asked)
    rest = list(islice((each for each in found if id_of(each) > after), most + 1))
    here = rest[:most]
    return answer(name, shown(here), id_of(here[-1]) if len(rest) > most else None)


def answer(name: str, items: Sequence[Any], marker: str | None) -> Response:
    """A page, with the way to the next one after `marker`."""
    response = jsonify({name: items})
    if marker is not None:
        query = {**request.args.to_dict(), "marker": marker}
        response.headers["Link"] = f'<{request.base_url}?{urlencode(query)}>; rel="next"'
    return response
