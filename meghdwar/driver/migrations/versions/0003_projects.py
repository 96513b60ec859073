"""Applications belong to projects, servers are given whole applications to do, and instances may be stopped."""

from alembic import op
from sqlalchemy import Boolean, Column, Float, PrimaryKeyConstraint, Text, false

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("applications", Column("project", Text, nullable=False, server_default="default"))
    op.add_column("applications", Column("title", Text, nullable=False, server_default=""))
    op.add_column("instances", Column("stopped", Boolean, nullable=False, server_default=false()))
    op.create_table(
        "tasks",
        Column("application", Text, nullable=False),
        Column("act", Text, nullable=False),
        Column("error", Text, nullable=False),
        Column("asked_at", Float, nullable=False),
        PrimaryKeyConstraint("application", name="tasks_pk"),
    )
