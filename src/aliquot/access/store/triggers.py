"""What the database itself does not let happen, whoever writes into it: a stage that does not follow from the one before, a version
that is not the next, a log whose past changes."""

from collections.abc import Iterable, Sequence

from aliquot.access.core.life.stages import FINAL, LEGAL

_REWRITTEN = "the log of access is only added to"


def triggers(dialect: str) -> Sequence[str]:
    return _postgresql() if dialect == "postgresql" else _sqlite()


def _illegal(pairs: Iterable[tuple[str, str]]) -> str:
    legal = " OR ".join(f"(OLD.stage = '{before}' AND NEW.stage = '{after}')" for before, after in pairs)
    return f"NEW.version <> OLD.version + 1 OR NOT (NEW.stage = OLD.stage OR {legal})"


def _pairs() -> list[tuple[str, str]]:
    return sorted((str(before), str(after)) for before, after in LEGAL)


def _final() -> str:
    return ", ".join(sorted(f"'{stage}'" for stage in FINAL))


def _sqlite() -> Sequence[str]:
    return (
        f"""CREATE TRIGGER lives_follow BEFORE UPDATE ON lives WHEN {_illegal(_pairs())}
        BEGIN SELECT RAISE(ABORT, 'no such step of a request'); END""",
        f"""CREATE TRIGGER lives_stay BEFORE DELETE ON lives WHEN OLD.stage NOT IN ({_final()})
        BEGIN SELECT RAISE(ABORT, 'a request that is open is not deleted'); END""",
        *(
            f"""CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table}
            BEGIN SELECT RAISE(ABORT, '{_REWRITTEN}'); END"""
            for table in ("log_entries", "log_nodes")
            for verb in ("UPDATE", "DELETE")
        ),
    )


def _postgresql() -> Sequence[str]:
    return (
        f"""CREATE FUNCTION lives_follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF {_illegal(_pairs())} THEN RAISE EXCEPTION 'no such step of a request' USING ERRCODE = 'check_violation'; END IF;
        RETURN NEW; END $$""",
        "CREATE TRIGGER lives_follow BEFORE UPDATE ON lives FOR EACH ROW EXECUTE FUNCTION lives_follow()",
        f"""CREATE FUNCTION lives_stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.stage NOT IN ({_final()}) THEN
        RAISE EXCEPTION 'a request that is open is not deleted' USING ERRCODE = 'check_violation'; END IF;
        RETURN OLD; END $$""",
        "CREATE TRIGGER lives_stay BEFORE DELETE ON lives FOR EACH ROW EXECUTE FUNCTION lives_stay()",
        f"""CREATE FUNCTION log_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE EXCEPTION '{_REWRITTEN}' USING ERRCODE = 'check_violation'; END $$""",
        *(
            f"CREATE TRIGGER {table}_stay BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION log_stays()"
            for table in ("log_entries", "log_nodes")
        ),
    )
