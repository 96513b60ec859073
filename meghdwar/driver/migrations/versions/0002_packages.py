"""Packages that were onboarded, who uses them, and who is told."""

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, PrimaryKeyConstraint, Text, text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ONBOARDED = text("onboarding_state = 'ONBOARDED'")


def upgrade() -> None:
    op.create_table(
        "packages",
        Column("id", Text, nullable=False),
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
        PrimaryKeyConstraint("id", name="packages_pk"),
    )
    op.create_index("packages_project", "packages", ["project", "created_at", "id"])
    op.create_index("packages_digest", "packages", ["digest"])
    op.create_index("packages_state", "packages", ["onboarding_state"])
    op.create_index(
        "packages_one_vnfd",
        "packages",
        ["project", "vnfd_id"],
        unique=True,
        sqlite_where=ONBOARDED,
        postgresql_where=ONBOARDED,
    )
    op.create_table(
        "package_uses",
        Column("package", Text, nullable=False),
        Column("application", Text, nullable=False),
        PrimaryKeyConstraint("package", "application", name="package_uses_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "package_subscriptions",
        Column("id", Text, nullable=False),
        Column("project", Text, nullable=False),
        Column("callback", Text, nullable=False),
        Column("filter", Text, nullable=False),
        Column("authentication", Text, nullable=False),
        Column("created_at", Float, nullable=False),
        PrimaryKeyConstraint("id", name="package_subscriptions_pk"),
    )
    op.create_index("package_subscriptions_project", "package_subscriptions", ["project", "created_at", "id"])
    op.create_table(
        "package_notifications",
        Column("id", Text, nullable=False),
        Column("subscription", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("due_at", Float, nullable=False),
        Column("tries", Integer, nullable=False),
        PrimaryKeyConstraint("id", name="package_notifications_pk"),
    )
    op.create_index("package_notifications_due_at", "package_notifications", ["due_at"])
    op.create_index("package_notifications_subscription", "package_notifications", ["subscription"])
