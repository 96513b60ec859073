"""The tables of the database, as the newest migration leaves them; a test holds the two against each other.

Values that only we read (an instance, how a gateway is reached, what a step found out) are JSON text. Times are
seconds since 1970 by the clock of the database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData(naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s", "pk": "%(table_name)s_pk"})

gateways = Table(
    "gateways",
    metadata,
    Column("name", Text, primary_key=True),
    Column("access", Text, nullable=False),
    Column("added_at", Float, nullable=False),
)

applications = Table(
    "applications",
    metadata,
    Column("name", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("router", Text, nullable=False),
    Column("images", Text),
    Column("parameters", Text, nullable=False),
    Column("stack", Text),
    Column("project", Text, nullable=False, server_default="default"),
    Column("title", Text, nullable=False, server_default=""),
)

# What a server was asked to do with a whole application, until it is done.
tasks = Table(
    "tasks",
    metadata,
    Column("application", Text, primary_key=True),
    Column("act", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("asked_at", Float, nullable=False),
)

# Policies that Heat forgets when it deletes a stack, written down before it does.
leavings = Table(
    "leavings",
    metadata,
    Column("application", Text, nullable=False),
    Column("policy", Text, nullable=False),
    PrimaryKeyConstraint("application", "policy"),
)

instances = Table(
    "instances",
    metadata,
    Column("name", Text, primary_key=True),
    Column("application", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("gateway", Text),
    Column("stopped", Boolean, nullable=False, server_default=false()),
    Index("instances_application", "application", "name"),
    Index("instances_gateway", "gateway"),
)

# Who may change an instance. A row outlives its instance, so that the epoch grows over terminate and build as well.
claims = Table(
    "claims",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", Float),
    sqlite_with_rowid=False,
)

NOT_ENDED = text("ended_at IS NULL")

operations = Table(
    "operations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("application", Text, nullable=False),
    Column("instance", Text, nullable=False),
    Column("source", Text),
    Column("target", Text),
    Column("strategy", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("fenced", Text),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Index("operations_one_per_instance", "instance", unique=True, sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED),
    Index("operations_to", "target", sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED),
    Index("operations_instance", "instance", "created_at"),
    Index("operations_application", "application", "created_at"),
    Index("operations_created_at", "created_at"),
    Index("operations_ended_at", "ended_at"),
)

entries = Table(
    "entries",
    metadata,
    Column("operation", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("step", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    PrimaryKeyConstraint("operation", "seq"),
    sqlite_with_rowid=False,
)

subscribers = Table(
    "subscribers",
    metadata,
    Column("application", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("application", "name"),
    sqlite_with_rowid=False,
)

# Packages: what is known of each is JSON text, its bytes are in a folder, by digest.
ONBOARDED = text("onboarding_state = 'ONBOARDED'")

packages = Table(
    "packages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("onboarding_state", Text, nullable=False),
    Column("operational_state", Text, nullable=False),
    Column("user_data", Text, nullable=False),
    Column("vnfd_id", Text),
    Column("digest", Text),
    Column("size", BigInteger),
    Column("found", Text),
    Column("failure", Text),
    Column("created_at", Float, nullable=False),
    Index("packages_project", "project", "created_at", "id"),
    Index("packages_digest", "digest"),
    Index("packages_state", "onboarding_state"),
    Index("packages_one_vnfd", "project", "vnfd_id", unique=True, sqlite_where=ONBOARDED, postgresql_where=ONBOARDED),
)

package_uses = Table(
    "package_uses",
    metadata,
    Column("package", Text, nullable=False),
    Column("application", Text, nullable=False),
    PrimaryKeyConstraint("package", "application"),
    sqlite_with_rowid=False,
)

package_subscriptions = Table(
    "package_subscriptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("callback", Text, nullable=False),
    Column("filter", Text, nullable=False),
    Column("authentication", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("package_subscriptions_project", "project", "created_at", "id"),
)

# What subscribers are still to be told, written down together with what happened.
package_notifications = Table(
    "package_notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subscription", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
    Index("package_notifications_due_at", "due_at"),
    Index("package_notifications_subscription", "subscription"),
)


class now(FunctionElement[float]):  # noqa: N801 - it is a function in SQL
    """Seconds since 1970 at this moment, not at the beginning of the transaction, by the clock of the database."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _sqlite(element: now, compiler: Any, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _postgresql(element: now, compiler: Any, **_: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
