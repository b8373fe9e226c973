"""The journal's tables."""

from sqlalchemy import Column, Double, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()

runs = Table(
    "eks_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("arn", Text, nullable=False, server_default=""),
    Column("plan", LargeBinary, nullable=False),
    Column("began_s", Double, nullable=False),
    Column("over", Text, nullable=False),
    Column("paused", Text, nullable=False),
    Column("lease_owner", Text, nullable=False),
    Column("lease_until_s", Double, nullable=False),
)
"""`arn`: which of the clusters of that name; empty: nobody knows, so it may be any. `over`: how it ended; empty: it goes on. `paused`: by whom and why; empty: it is not. A cluster has one run that goes on at most: whoever begins one looks in the same
transaction."""

steps = Table(
    "eks_steps",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("step", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("told", Text, nullable=False),
    Column("at_s", Double, nullable=False),
)
"""`before`: what was known when the attempt began, as ids of updates that were over."""

kept = Table(
    "eks_kept",
    metadata,
    Column("run", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("at_s", Double, nullable=False),
)
"""How things were before a step changed them: counts, layouts, who was suspended. Never written over."""

events = Table(
    "eks_events",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at_s", Double, nullable=False),
    Column("step", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What was intended, asked, answered, held, decided: in this order, and never changed."""
