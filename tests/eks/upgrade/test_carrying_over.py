"""A journal that was written when runs knew their cluster by its name alone."""

import pytest
from sqlalchemy import create_engine, text

from aliquot.eks.upgrade.journal import Held, Journal

EU, US = (f"arn:aws:eks:{region}:123456789012:cluster/prod" for region in ("eu-west-1", "us-east-1"))
TABLE = """CREATE TABLE eks_runs (id TEXT NOT NULL PRIMARY KEY, cluster TEXT NOT NULL, plan {bytes} NOT NULL, began_s DOUBLE PRECISION NOT NULL,
"over" TEXT NOT NULL, paused TEXT NOT NULL, lease_owner TEXT NOT NULL, lease_until_s DOUBLE PRECISION NOT NULL)"""
ROW = text("""INSERT INTO eks_runs VALUES (:id, :cluster, :plan, 1.0, '', 'lunch', '', 0.0)""")
PLANS = {"prod": b'{"arn": "%s", "steps": []}' % EU.encode(), "old": b'{"steps": []}', "broken": b"plan"}


def test_each_run_gets_the_arn_of_its_plan(database_url: str) -> None:
    is_sqlite = database_url.startswith("sqlite")
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(text(TABLE.format(bytes="BLOB" if is_sqlite else "BYTEA")))
        for name, plan in PLANS.items():
            connection.execute(ROW, {"id": f"r-{name}", "cluster": name, "plan": plan})
    engine.dispose()
    for _ in range(2):
        journal = Journal(database_url)
        runs = {one.cluster: (one.arn, one.paused) for one in journal.runs()}
        assert runs == {"prod": (EU, "lunch"), "old": ("", "lunch"), "broken": ("", "lunch")}
        journal.close()
    journal = Journal(database_url)
    journal.begin("us", "prod", b"plan", ["a"], 2.0, arn=US)
    with pytest.raises(Held, match="old has run r-old"):
        journal.begin("other", "old", b"plan", ["a"], 2.0, arn=US.replace("prod", "old"))
    journal.close()
