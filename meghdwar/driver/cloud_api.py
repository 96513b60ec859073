"""An OpenStack cloud as its services answer requests: the one module that knows openstacksdk.

Plain requests and not the SDK's classes, because those change their names from release to release and the requests
do not; what the SDK does here is to log in, to find each service and to agree on its version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

ANSWER_S = 60.0


class CloudError(Exception):
    """The cloud did not do what was asked; the message says what, why and what to do.

    `retry` says whether asking again, unchanged, can help; `status` is that of HTTP, 0 without an answer.
    """

    def __init__(self, message: str, *, status: int = 0, retry: bool = False) -> None:
        super().__init__(message)
        self.status, self.retry = status, retry


class Silent(CloudError):
    """There was no answer, or none that says whether it was done: look again."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message, status=status, retry=True)


SERVICES: Mapping[str, str] = {  # the SDK's name -> the type in the catalogue
    "orchestration": "orchestration",
    "clustering": "clustering",
    "compute": "compute",
    "image": "image",
    "network": "network",
    "block_storage": "block-storage",
}


class Cloud:
    """One region of one cloud, as one user. Calls may come from several threads."""

    def __init__(self, connection: Any, name: str) -> None:
        self._connection, self.name = connection, name

    @classmethod
    def connect(cls, name: str | None = None, project: str = "") -> Cloud:
        """The cloud of that name in clouds.yaml, or that of the environment, in the project that it says or in the one
        of this id. Logs in at once."""
        try:
            import openstack
            from keystoneauth1 import exceptions as refused
            from openstack import exceptions
        except ImportError:
            raise CloudError("cannot reach a cloud without openstacksdk: pip install 'meghdwar[openstack]'") from None
        try:
            connection = openstack.connect(cloud=name, app_name="meghdwar")
            if project:
                connection = connection.connect_as_project({"id": project})
            connection.authorize()
        except (exceptions.ConfigException, refused.MissingRequiredOptions) as error:
            advice = "see openstack --os-cloud NAME token issue, and clouds.yaml or OS_CLOUD"
            raise CloudError(f"cannot find out which cloud {name or ''} is: {_first_line(error)}; {advice}") from None
        except (refused.Unauthorized, exceptions.SDKException, refused.ClientException) as error:
            if isinstance(error, refused.Unauthorized) or "HTTP 401" in str(error):
                why = "it does not take these credentials; check user, password, project and domain in clouds.yaml"
                if project:
                    user = connection.config.auth.get("username", "its user")
                    why = (
                        f"{user} has no role in the project {project}; an administrator gives it one: "
                        f"openstack role add --project {project} --user {user} member"
                    )
            else:
                why = f"{_first_line(error)}; check auth_url in clouds.yaml"
            raise CloudError(f"cannot log in at {connection.config.name}: {why}") from None
        return cls(connection, str(connection.config.name))

    @property
    def project(self) -> str:
        return str(self._connection.current_project_id)

    def has(self, service: str) -> bool:
        """Whether the catalogue of this region has the service."""
        from keystoneauth1.exceptions import EndpointNotFound

        session, config = self._connection.session, self._connection.config
        where = {"region_name": config.region_name, "interface": config.get_interface(service)}
        try:
            return session.get_endpoint(service_type=SERVICES[service], **where) is not None
        except EndpointNotFound:  # another region has it
            return False

    def ask(
        self,
        service: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        asked: str = "",
        missing: bool = False,
        **query: Any,
    ) -> dict[str, Any]:
        """What the service answers, {} for no content. With `missing`, {} too for what is not there.

        Raises CloudError, which begins with "cannot " and `asked`.
        """
        from keystoneauth1 import exceptions as refused
        from openstack import exceptions

        asked = asked or f"{method} {path} of {service}"
        more = {} if body is None else {"json": body}
        if query:
            more["params"] = query
        try:
            answer = getattr(self._connection, service).request(path, method, timeout=ANSWER_S, **more)
        except refused.EndpointNotFound:
            raise CloudError(f"cannot {asked}: {self.name} has no service {SERVICES[service]}") from None
        except (refused.ClientException, exceptions.SDKException) as error:
            why = f"no answer from {SERVICES[service]} of {self.name}: {_first_line(error)}"
            raise Silent(f"cannot {asked}: {why}") from None
        if answer.status_code == 404 and missing:
            return {}
        if answer.status_code >= 400:
            raise _refusal(answer, asked)
        found = _json(answer)
        location = answer.headers.get("Location", "")
        if service == "clustering" and "/actions/" in location:
            found["action"] = location.rsplit("/", 1)[-1]
        return found


def _json(answer: Any) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _refusal(answer: Any, asked: str) -> CloudError:
    """The message of an error, wherever this service puts it."""
    content = _json(answer)
    inner = content.get("error") or next((value for value in content.values() if isinstance(value, dict)), content)
    why = inner.get("message") if isinstance(inner, Mapping) else None
    why = str(why or answer.reason or answer.status_code).strip().rstrip(".")
    if answer.status_code >= 500:
        return Silent(f"cannot {asked}: {why}", status=answer.status_code)
    return CloudError(f"cannot {asked}: {why}", status=answer.status_code, retry=answer.status_code in (409, 429))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def wait(
    there: Callable[[], bool],
    what: str,
    timeout_s: float,
    pause_s: float = 0.5,
    longest_s: float = 3.0,
    grows: float = 1.3,
) -> None:
    """Asks until it is so, ever less often; a service may be silent meanwhile. Raises CloudError after `timeout_s`.

    Each pause is `grows` times as long as the one before: what took t is found out at most about (grows - 1) t late.
    """
    end = time.monotonic() + timeout_s
    while True:
        try:
            if there():
                return
            why = f"it was not done within {timeout_s:g} s"
        except Silent as error:
            why = str(error)
        if time.monotonic() > end:
            raise CloudError(f"cannot {what}: {why}", retry=True)
        time.sleep(pause_s)
        pause_s = min(pause_s * grows, longest_s)
