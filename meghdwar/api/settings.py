"""What an operator may set of the API: one INI file, read by oslo.config, so that keystone's and the policy's sections
stand in it as in every other service's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_config import cfg

from meghdwar.driver.database import state_folder
from meghdwar.driver.operation import DriverError
from meghdwar.onboard.store import own_folder

AUTHS = ("token", "none", "keystone")
MIB = 2**20

OPTIONS = (
    cfg.StrOpt("database", default="", help="The driver's memory; as mdw --database."),
    cfg.StrOpt("content", default="", help="The folder of the packages; empty: beside the database of this user."),
    cfg.StrOpt("auth", default="token", choices=AUTHS, help="Who vouches for a caller."),
    cfg.StrOpt("tokens", default="", help="The file of the local tokens; empty: beside the database of this user."),
    cfg.ListOpt("trust", default=[], help="Certificates (PEM) whose signatures on packages are trusted."),
    cfg.StrOpt("endpoint", default="", help="Where clients find us, for links: https://edge.example; empty: as asked."),
    cfg.ListOpt("hosts", default=[], help="Hosts that we may ask, for packages and to notify: NAME or NAME:PORT."),
    cfg.ListOpt("private_hosts", default=[], help="Those of them that may be at an address that is not public."),
    cfg.IntOpt("package_mib_max", default=4096, min=1, help="The largest package that is taken in, in MiB."),
    cfg.IntOpt("fetch_s_max", default=600, min=1, help="The longest that a package may be fetched for, in seconds."),
    cfg.IntOpt("page_size", default=100, min=1, help="How many things a page of a list holds."),
    cfg.IntOpt("work", default=8, min=0, help="How many cloudlets each process works at once; 0: mdw watch does it."),
    cfg.ListOpt("clouds", default=[], help="Clouds of clouds.yaml where callers may have stacks."),
    cfg.StrOpt("router", default="none", help="How subscribers are sent to cloudlets; as mdw up --router."),
    cfg.StrOpt("images", default="", help="The folder of the images, for gateways that lack them."),
    cfg.StrOpt("audit_log", default="", help="The file for who did what; empty: the log."),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """What was set. `conf` is the whole file, for the libraries that have sections of their own in it."""

    database: str
    content: Path
    auth: str
    tokens: Path
    trust: tuple[Path, ...]
    endpoint: str
    hosts: tuple[str, ...]
    private_hosts: tuple[str, ...]
    package_bytes_max: int
    fetch_s_max: int
    page_size: int
    work: int
    clouds: tuple[str, ...]
    router: str
    images: Path | None
    audit_log: Path | None
    conf: Any


def read(path: str = "", **given: str) -> Settings:
    """The settings of a file, or else the defaults; `given` wins over both, unless it is empty.

    Raises DriverError for a file that cannot be read, or says what it may not say.
    """
    conf = cfg.ConfigOpts()
    conf.register_opts(OPTIONS, "api")
    if path and not os.access(path, os.R_OK):
        raise DriverError(f"cannot read the settings {path}: there is no such file, or it may not be read")
    try:
        conf([], project="meghdwar", default_config_files=[path] if path else [], default_config_dirs=[])
        for name, value in given.items():
            if value:
                conf.set_override(name, value, "api")
        return _settings(conf)
    except (cfg.Error, ValueError) as error:
        raise DriverError(f"cannot read the settings {path}: {error}") from None


def _settings(conf: Any) -> Settings:
    api = conf.api
    return Settings(
        database=api.database,
        content=Path(api.content) if api.content else own_folder(),
        auth=api.auth,
        tokens=Path(api.tokens) if api.tokens else state_folder() / "tokens",
        trust=tuple(map(Path, api.trust)),
        endpoint=api.endpoint.rstrip("/"),
        hosts=tuple(api.hosts),
        private_hosts=tuple(api.private_hosts),
        package_bytes_max=api.package_mib_max * MIB,
        fetch_s_max=api.fetch_s_max,
        page_size=api.page_size,
        work=api.work,
        clouds=tuple(api.clouds),
        router=api.router,
        images=Path(api.images) if api.images else None,
        audit_log=Path(api.audit_log) if api.audit_log else None,
        conf=conf,
    )
