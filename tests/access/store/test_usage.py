"""How much else somebody has is counted twice, in SQL and without it: of whatever lives there are, both come to the same."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from aliquot.access.core.life.life import Finding, Life, Outcome, Review
from aliquot.access.core.life.stages import Stage
from aliquot.access.core.life.usage import usage_of
from aliquot.access.core.people import Person
from aliquot.access.store.database import Database
from aliquot.access.store.head import Head
from aliquot.access.store.reading import COUNTED
from aliquot.access.store.transaction import Transaction
from tests.access.store.test_store import ANN, BEN, life

_MOMENTS = st.sampled_from([None, 1_000_000.0, 1_000_000.001, 1_003_600.0])
_PEOPLE = st.sampled_from([ANN, BEN, Person("https://other", "ann")])


@st.composite
def _reviews(draw: st.DrawFn) -> Review | None:
    if draw(st.booleans()):
        return None
    outcome = draw(st.sampled_from([None, *Outcome]))
    said = Finding(person=BEN, outcome=Outcome.JUSTIFIED, note="", at_s=1_000_000.0)
    return Review(
        within_s=3600,
        due_s=draw(st.sampled_from([1_000_500.0, 1_000_600.5])),
        findings=() if outcome is None else (said,),
        outcome=outcome,
    )


@st.composite
def _lives(draw: st.DrawFn) -> list[Life]:
    made: list[Life] = []
    for _ in range(draw(st.integers(1, 8))):
        parents = ["", *(one.id for one in made)]
        made.append(
            life(
                draw(_PEOPLE),
                draw(st.sampled_from(Stage)),
                template=draw(st.sampled_from(["pod-logs", "pod-exec"])),
                extends=draw(st.sampled_from(parents)),
                began_at_s=draw(_MOMENTS),
                over_at_s=draw(_MOMENTS),
                review=draw(_reviews()),
            )
        )
    return made


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    url = "sqlite://"
    if request.param == "postgresql":
        server: str = request.getfixturevalue("postgresql")
        name = f"usage_{uuid4().hex}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        url = server.replace("/postgres?", f"/{name}?")
    database = Database(url)
    database.prepare()
    yield database
    database.close()


class _Undone(Exception):
    pass


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lives=_lives(), data=st.data())
def test_both_come_to_the_same(database: Database, lives: list[Life], data: st.DataObject) -> None:
    # Of one that is there, or of one that is still to be.
    new = life(data.draw(_PEOPLE), template="pod-logs", extends=data.draw(st.sampled_from(["", lives[0].id])))
    request = data.draw(st.sampled_from([*lives, new])).request
    counted = usage_of(
        lives,
        but=request.id,
        template=request.template,
        person=request.requester,
        extends=request.extends,
    )
    with pytest.raises(_Undone), database.writing() as connection:
        tx = Transaction(connection, Head.read(connection, 1_000_000.0), bytes)
        for one in lives:
            tx.add(one)
        assert tx.usage(request) == counted
        raise _Undone


def test_only_what_is_open_of_the_template_is_looked_at() -> None:
    database = Database("sqlite://")
    database.prepare()
    statement = COUNTED.compile(dialect=sqlite.dialect(paramstyle="named"))
    values = dict.fromkeys(statement.params, "x") | {
        name: value for name, value in statement.params.items() if value is not None
    }
    with database.reading() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        plan = [row[3] for row in cursor.fetchall()]
    database.close()
    assert plan[0] == "SEARCH lives USING INDEX lives_by_template (template=? AND stage=?)"
    # Nothing is looked through.
    assert not [step for step in plan if step.startswith("SCAN")]
