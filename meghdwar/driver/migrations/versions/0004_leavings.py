"""What the stack of an application leaves behind when it is deleted, by id."""

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, Text

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leavings",
        Column("application", Text, nullable=False),
        Column("policy", Text, nullable=False),
        PrimaryKeyConstraint("application", "policy", name="leavings_pk"),
    )
