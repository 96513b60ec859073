"""Keystone vouches for callers: its middleware stands before the application, and says in headers who they are."""

from __future__ import annotations

import logging
from typing import Any

from keystonemiddleware import auth_token
from keystonemiddleware.auth_token import ksa_exceptions, ksm_exceptions

from meghdwar.api.auth import SILENT
from meghdwar.api.settings import Settings
from meghdwar.driver.operation import DriverError

LOG = logging.getLogger(__name__)
SECTION = "keystone_authtoken"
SILENCES = (
    ksa_exceptions.ConnectFailure,
    ksa_exceptions.DiscoveryFailure,
    ksa_exceptions.RequestTimeout,
    ksm_exceptions.ServiceError,  # Keystone is out of order, or does not take our own credentials
)


class Vouching(auth_token.AuthProtocol):  # type: ignore[misc]
    """As keystonemiddleware has it, but that a Keystone that cannot be asked is not taken for a token that is wrong."""

    def process_request(self, request: Any) -> Any:
        try:
            return super().process_request(request)
        except (ksa_exceptions.ClientException, ksm_exceptions.ServiceError) as error:
            LOG.error("cannot ask keystone: %s", error)
            request.environ[SILENT] = True
            return None

    def fetch_token(self, token: str, **given: Any) -> Any:
        try:
            return super().fetch_token(token, **given)
        except ksm_exceptions.InvalidToken as error:
            if isinstance(error.__context__, SILENCES):  # told apart nowhere else, once decisions are ours
                raise error.__context__ from None
            raise


def middleware(settings: Settings, app: Any = None) -> Vouching:
    """Puts Keystone before a WSGI application. Raises DriverError when the settings do not say how to ask it."""
    try:
        made = Vouching(app, {"oslo_config_config": settings.conf, "delay_auth_decision": True})
    except ksa_exceptions.ClientException as error:
        raise DriverError(f"cannot use auth keystone: [{SECTION}]: {error}") from None
    if not settings.conf[SECTION].auth_type:
        raise DriverError(
            f"cannot use auth keystone: [{SECTION}] does not say how to ask it: give auth_type, auth_url and the rest "
            "in the file of --config"
        )
    return made
