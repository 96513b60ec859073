"""Projects, users and a region of one test in a cloud's Keystone; `close` takes all of it away again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import openstack

ADMIN = "lab-admin"


@dataclass(frozen=True, slots=True)
class Person:
    """A user and the project that she works for. `cloud` is her name in the clouds.yaml of the test."""

    cloud: str
    project: str
    login: dict[str, str]

    def token(self) -> str:
        """A new one."""
        return str(openstack.connect(**self._config()).auth_token)

    def entry(self, region: str) -> dict[str, Any]:
        return {"auth": self.login, "region_name": region, "identity_api_version": "3"}

    def _config(self) -> dict[str, Any]:
        return {"auth": self.login, "load_yaml_config": False, "load_envvars": False}


class Tenants:
    """`region` is one of the test's own: what is in the catalogue there nobody else finds."""

    def __init__(self) -> None:
        self.admin = openstack.connect(cloud=ADMIN)
        self._made: list[Callable[[], object]] = []
        self._suffix = token_hex(3)
        self.region = f"mdw-{self._suffix}"
        self._roles = {role.name: role for role in self.admin.identity.roles()}
        for role in ("member", "reader", "service"):
            if role not in self._roles:
                raise RuntimeError(f"cannot test with this Keystone: it has no role {role}")

    def close(self) -> None:
        """In the opposite order; what fails is raised when the rest is gone."""
        errors = []
        while self._made:
            try:
                self._made.pop()()
            except Exception as error:
                errors.append(error)
        self.admin.close()
        if errors:
            raise ExceptionGroup("cannot take the tenants away", errors)

    def project(self, name: str) -> str:
        """The id of a new project."""
        made = self.admin.identity.create_project(name=f"{name}-{self._suffix}", domain_id="default")
        self._made.append(lambda: self.admin.identity.delete_project(made))
        return str(made.id)

    def find_project(self, name: str) -> str:
        return str(self.admin.identity.find_project(name, ignore_missing=False).id)

    def person(self, name: str, project: str, *roles: str) -> Person:
        """A new user who has the roles in the project."""
        password = token_urlsafe(16)
        login = {"auth_url": self.admin.config.auth["auth_url"], "username": f"{name}-{self._suffix}"}
        made = self.admin.identity.create_user(name=login["username"], password=password, domain_id="default")
        self._made.append(lambda: self.admin.identity.delete_user(made))
        for role in roles:
            self.grant(made.id, project, role)
        login |= {"password": password, "project_id": project, "user_domain_id": "default"}
        return Person(name, project, login)

    def grant(self, user: str, project: str, role: str) -> None:
        """It goes with the user."""
        self.admin.identity.assign_project_role_to_user(project, user, self._roles[role])

    def id_of(self, person: Person) -> str:
        return str(self.admin.identity.find_user(person.login["username"], ignore_missing=False).id)

    def catalogue(self, type_: str, url: str) -> None:
        """A service of that type, in the region of the test."""
        identity = self.admin.identity
        if not any(each.id == self.region for each in identity.regions()):
            identity.create_region(id=self.region)
            self._made.append(lambda: identity.delete_region(self.region))
        service = identity.create_service(name=f"{type_}-{self._suffix}", type=type_)
        self._made.append(lambda: identity.delete_service(service))
        identity.create_endpoint(service_id=service.id, interface="public", url=url, region_id=self.region)

    def revoke(self, token: str) -> None:
        answer = self.admin.identity.delete("/auth/tokens", headers={"X-Subject-Token": token})
        assert answer.status_code == 204, answer.text

    def entries(self, *people: Person) -> dict[str, Any]:
        """Of a clouds.yaml; they find what the catalogue has for the region of the test."""
        return {each.cloud: each.entry(self.region) for each in people}

    def clouds(self, folder: Path, entries: dict[str, Any]) -> Path:
        path = folder / "clouds.yaml"
        path.write_text(json.dumps({"clouds": entries}))
        return path
