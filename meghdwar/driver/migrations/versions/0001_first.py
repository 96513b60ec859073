"""The first tables."""

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, PrimaryKeyConstraint, Text, text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOT_ENDED = text("ended_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "gateways",
        Column("name", Text, nullable=False),
        Column("access", Text, nullable=False),
        Column("added_at", Float, nullable=False),
        PrimaryKeyConstraint("name", name="gateways_pk"),
    )
    op.create_table(
        "applications",
        Column("name", Text, nullable=False),
        Column("digest", Text, nullable=False),
        Column("identity", Text, nullable=False),
        Column("plan", Text, nullable=False),
        Column("router", Text, nullable=False),
        Column("images", Text),
        Column("parameters", Text, nullable=False),
        Column("stack", Text),
        PrimaryKeyConstraint("name", name="applications_pk"),
    )
    op.create_table(
        "instances",
        Column("name", Text, nullable=False),
        Column("application", Text, nullable=False),
        Column("instance", Text, nullable=False),
        Column("gateway", Text),
        PrimaryKeyConstraint("name", name="instances_pk"),
    )
    op.create_index("instances_application", "instances", ["application", "name"])
    op.create_index("instances_gateway", "instances", ["gateway"])
    op.create_table(
        "claims",
        Column("instance", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("owner", Text),
        Column("lease_until", Float),
        PrimaryKeyConstraint("instance", name="claims_pk"),
        sqlite_with_rowid=False,
    )
    _operations()
    op.create_table(
        "entries",
        Column("operation", Text, nullable=False),
        Column("seq", Integer, nullable=False),
        Column("step", Text, nullable=False),
        Column("phase", Text, nullable=False),
        Column("detail", Text, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("at", Float, nullable=False),
        PrimaryKeyConstraint("operation", "seq", name="entries_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscribers",
        Column("application", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("seen_at", Float, nullable=False),
        Column("state", Text, nullable=False),
        PrimaryKeyConstraint("application", "name", name="subscribers_pk"),
        sqlite_with_rowid=False,
    )


def _operations() -> None:
    op.create_table(
        "operations",
        Column("id", Text, nullable=False),
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
        PrimaryKeyConstraint("id", name="operations_pk"),
    )
    for name, columns, unique in (
        ("operations_one_per_instance", ["instance"], True),
        ("operations_to", ["target"], False),
    ):
        op.create_index(name, "operations", columns, unique=unique, sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED)
    op.create_index("operations_instance", "operations", ["instance", "created_at"])
    op.create_index("operations_application", "operations", ["application", "created_at"])
    op.create_index("operations_created_at", "operations", ["created_at"])
    op.create_index("operations_ended_at", "operations", ["ended_at"])
