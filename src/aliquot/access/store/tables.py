"""The tables. Of what is stored as text in `body`, only what is searched for has a column beside it."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = 5

metadata = MetaData()
_number = BigInteger().with_variant(Integer, "sqlite")

state = Table(
    "state",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
"""What there is one of: the schema's version, how far the clock has been, the kill switch, the log's head."""

lives = Table(
    "lives",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("template", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("extends", Text, nullable=False),
    Column("asked_s", Double, nullable=False),
    Column("began_s", Double),
    Column("over_s", Double),
    Column("review_due_s", Double),
    Column("due_s", Double),
    Column("body", LargeBinary, nullable=False),
)
"""A request, and the grant that comes of it. `due_s`: when time alone changes something about it; null: never. `review_due_s`: of a
review that is open."""
Index("lives_by_due", lives.c.due_s)
Index("lives_by_person", lives.c.issuer, lives.c.subject, lives.c.asked_s)
Index("lives_by_template", lives.c.template, lives.c.stage)
Index("lives_by_parent", lives.c.extends)
Index("lives_by_stage", lives.c.stage, lives.c.asked_s)
Index("lives_by_age", lives.c.asked_s)

outbox = Table(
    "outbox",
    metadata,
    Column("number", _number, primary_key=True, autoincrement=True),
    Column("life", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("due_s", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("owner", Text, nullable=False, server_default=""),
    Column("until_s", Double, nullable=False, server_default="0"),
    Column("queued_s", Double, nullable=False, server_default="0"),
    sqlite_autoincrement=True,
)
"""Effects that are still to be carried out; one that was is deleted. `owner`: the server that does, until `until_s`."""
Index("outbox_by_due", outbox.c.due_s)
Index("outbox_by_life", outbox.c.life)

witnesses = Table(
    "witnesses",
    metadata,
    Column("name", Text, primary_key=True),
    Column("size", _number, nullable=False),
    Column("current_s", Double, nullable=False),
    Column("problem", Text, nullable=False),
)
"""How far each witness of the log is."""

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("until_s", Double, nullable=False),
)
"""What one server does for all."""

notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("sort", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("seen_s", Double, nullable=False),
    Column("told_s", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""What was found and told. `seen_s`: last, within minutes."""
Index("notices_by_source", notices.c.source, notices.c.cluster, notices.c.told_s)

log_entries = Table(
    "log_entries",
    metadata,
    Column("seq", _number, primary_key=True, autoincrement=False),
    Column("grant", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""`body`: the bytes that were hashed."""
Index("log_entries_by_grant", log_entries.c.grant)

log_salts = Table(
    "log_salts",
    metadata,
    Column("seq", _number, ForeignKey(log_entries.c.seq), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
)
"""What an entry only commits to. Deleted, it cannot be told any more, and the tree stays whole."""

log_nodes = Table(
    "log_nodes",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("position", _number, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
)

log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("size", _number, primary_key=True, autoincrement=False),
    Column("at_s", Double, nullable=False),
    Column("note", Text, nullable=False),
)

answers = Table(
    "answers",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("until_s", Double, nullable=False),
)
"""What was answered to a call with an idempotency key, and to which."""

seen = Table(
    "seen",
    metadata,
    Column("what", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("until_s", Double, nullable=False),
)
"""Used up: deliveries of webhooks, codes of authenticator apps, assertions."""
Index("seen_by_end", seen.c.until_s)

users = Table(
    "users",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""People who have no other issuer than this server."""

credentials = Table(
    "credentials",
    metadata,
    Column("id", Text, primary_key=True),
    Column("grant", Text, nullable=False),
    Column("issued_s", Double, nullable=False),
    Column("expires_s", Double, nullable=False),
)
"""What was given out, by the id that Kubernetes' audit events have of it."""
Index("credentials_by_grant", credentials.c.grant)

audit_uses = Table(
    "audit_uses",
    metadata,
    Column("grant", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sort", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_s", Double, nullable=False),
    Column("last_s", Double, nullable=False),
)
"""What grants were used for. `body`: what was done, of which `key` is the hash."""
Index("audit_uses_by_age", audit_uses.c.last_s)

audit_counted = Table(
    "audit_counted",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("at_s", Double, nullable=False),
)
"""Requests that are in the counts: of what is delivered again nothing is counted again."""
Index("audit_counted_by_age", audit_counted.c.at_s)

audit_findings = Table(
    "audit_findings",
    metadata,
    Column("key", Text, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("day", Integer, nullable=False),
    Column("first_s", Double, nullable=False),
    Column("last_s", Double, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
Index("audit_findings_by_day", audit_findings.c.cluster, audit_findings.c.day)
Index("audit_findings_by_age", audit_findings.c.first_s)

audit_deliveries = Table(
    "audit_deliveries",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("last_s", Double, nullable=False),
)
"""When something last came of a cluster's audit log."""
