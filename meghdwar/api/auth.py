"""Who is calling: by a local token, by keystone, or nobody asks; and what they may do, by oslo.policy."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock

from flask import Request, g, request
from oslo_policy import policy

from meghdwar.api.problems import Problem
from meghdwar.api.settings import Settings
from meghdwar.driver.inventory import DEFAULT_PROJECT
from meghdwar.driver.operation import DriverError

LOG = logging.getLogger(__name__)
DECIDED_S = 2.0  # so long a decision stands, also when the policy file changes
SILENT = "meghdwar.keystone_silent"  # in the environment of a request whose token keystone could not be asked about
CHALLENGES = {"token": "Bearer", "none": "Bearer", "keystone": "Keystone"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request, and the project that it is about. Nothing of other projects is shown or changed."""

    user: str
    project: str
    roles: frozenset[str]


Authenticator = Callable[[Request], Caller | None]

# What a rule of the policy asks for, unless the operator's policy file says otherwise. An admin is an operator, and an
# operator is a reader.
ROLES: Mapping[str, str] = {
    "admin": "role:admin",
    "operator": "rule:admin or role:operator or role:member",
    "reader": "rule:operator or role:reader",
    "anybody": "@",
}


def caller() -> Caller:
    """Who sent the request that is being answered."""
    found = g.get("caller")
    if found is None:
        raise Problem(
            401, "cannot tell who is calling: send an X-Auth-Token that is valid", headers=g.get("challenge", {})
        )
    return found  # type: ignore[no-any-return]


def may(rule: str) -> bool:
    """Whether whoever sent the request that is being answered passes a rule of the policy."""
    return bool(g.gatekeeper.may(rule))


class Gatekeeper:
    """Sees every request first: who sends it, and whether the rule of its endpoint lets them. An endpoint without a
    rule is closed to all."""

    def __init__(self, settings: Settings, rules: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self._authenticate = AUTHENTICATORS[settings.auth](settings)
        self._challenge = {"WWW-Authenticate": CHALLENGES[settings.auth]}
        self._rules = rules
        self._enforcer = policy.Enforcer(settings.conf)
        for name, check in {**ROLES, **defaults}.items():
            self._enforcer.register_default(policy.RuleDefault(name, check))
        self._enforcer.load_rules()
        self._decided = lru_cache(1024)(self._decide)  # each takes as long as all the rest of a small request

    def admit(self) -> None:
        """Raises Problem 401 or 403. Urls that there are not go by: they are answered with 404 or 405."""
        if request.endpoint is None:
            return
        g.challenge, g.gatekeeper = self._challenge, self
        g.caller = self._authenticate(request)
        rule = self._rules.get(request.endpoint)
        if rule is None or not self.may(rule):
            found = caller()  # nobody in particular is asked for a token first
            raise Problem(403, f"{found.user} may not do that: the policy asks for {rule or 'nobody'}")

    def may(self, rule: str) -> bool:
        """Whether the caller passes a rule of the policy."""
        return self._decided(rule, g.caller, int(time.monotonic() / DECIDED_S))

    def _decide(self, rule: str, found: Caller | None, _: int) -> bool:
        if found is None:
            return bool(self._enforcer.enforce(rule, {}, {"roles": []}))
        credentials = {"roles": sorted(found.roles), "project_id": found.project, "user_id": found.user}
        return bool(self._enforcer.enforce(rule, {"project_id": found.project}, credentials))


# nobody asks
def _anybody(settings: Settings) -> Authenticator:
    known = Caller("anybody", DEFAULT_PROJECT, frozenset({"admin"}))
    return lambda request: known


# local tokens
class Tokens:
    """A file with a line for each token: TOKEN PROJECT ROLE[,ROLE...] USER. It is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._seen: tuple[int, int, int] | None = None
        self._known: Mapping[bytes, Caller] = {}
        self._read()

    def __call__(self, request: Request) -> Caller | None:
        token = request.headers.get("X-Auth-Token", "")
        kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if not token and kind.lower() == "bearer":
            token = bearer.strip()
        if not token:
            return None
        try:
            known = self._read()
        except DriverError as error:
            LOG.error("%s", error)
            raise Problem(503, "cannot tell who is calling: the tokens cannot be read; the log says why") from None
        return known.get(_digest(token))  # how long it takes to find a digest says nothing of the token

    def _read(self) -> Mapping[bytes, Caller]:
        with self._lock:
            try:
                found = self._path.stat()
                seen = (found.st_mtime_ns, found.st_size, found.st_ino)
                if seen != self._seen:
                    self._known = _parsed(self._path, found)
                    self._seen = seen
            except OSError as error:
                raise DriverError(f"cannot read the tokens {self._path}: {error.strerror}") from None
            return self._known


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _parsed(path: Path, found: os.stat_result) -> Mapping[bytes, Caller]:
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise DriverError(f"cannot use the tokens {path}: others may read them; chmod 600 {path}")
    known = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match line.split():
            case [token, project, roles, user] if len(token) >= 16:
                known[_digest(token)] = Caller(user, project, frozenset(roles.split(",")))
            case _:
                shape = "a line has to be TOKEN PROJECT ROLE,ROLE USER, the token of 16 letters or more"
                raise DriverError(f"cannot read the tokens {path}:{number}: {shape}")
    return known


def make_tokens(path: Path) -> bool:
    """Makes the file with one token, of an admin, when it is not there; whether it made it. Raises DriverError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(f"# TOKEN PROJECT ROLE,ROLE USER\n{token_urlsafe(32)} {DEFAULT_PROJECT} admin local\n")
    except FileExistsError:
        return False
    except OSError as error:
        raise DriverError(f"cannot make the tokens {path}: {error.strerror}") from None
    return True


def _local(settings: Settings) -> Authenticator:
    make_tokens(settings.tokens)
    return Tokens(settings.tokens)


# keystone
def _keystone(settings: Settings) -> Authenticator:
    """By the headers that keystonemiddleware puts in; it takes out those that a client sent."""

    def known(request: Request) -> Caller | None:
        given = request.headers
        if SILENT in request.environ:
            why = "cannot tell who is calling: keystone cannot be asked now; the log says why"
            raise Problem(503, why, headers={"Retry-After": "5"})
        if given.get("X-Identity-Status") != "Confirmed":
            return None
        project = given.get("X-Project-Id", "")
        if not project:
            raise Problem(403, "cannot tell the project: ask keystone for a token that is scoped to one")
        roles = frozenset(role.strip().lower() for role in given.get("X-Roles", "").split(",") if role.strip())
        return Caller(given.get("X-User-Id", ""), project, roles)

    return known


AUTHENTICATORS: Mapping[str, Callable[[Settings], Authenticator]] = {
    "token": _local,
    "none": _anybody,
    "keystone": _keystone,
}
