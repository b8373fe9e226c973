"""One process: what decides, what carries out, what keeps time, what signs, an agent for each cluster, and the API in front."""

import asyncio
import hashlib
import hmac
import random
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from aliquot.access.api.application import application
from aliquot.access.api.auditing import Auditing
from aliquot.access.api.door import Door
from aliquot.access.api.hooks import Hooks
from aliquot.access.audit.intake import Intake
from aliquot.access.broker.around import Outside
from aliquot.access.broker.broker import Broker
from aliquot.access.broker.carrying_out import CarryingOut
from aliquot.access.broker.checkpointing import Checkpointing
from aliquot.access.broker.guarding import GuardedAgent
from aliquot.access.broker.in_clusters import InClusters
from aliquot.access.broker.last_known import LastKnown
from aliquot.access.broker.leases import Lease
from aliquot.access.broker.merging import Merging
from aliquot.access.broker.notices import Notices
from aliquot.access.broker.outage import Outage
from aliquot.access.broker.policy_noting import PolicyNoting
from aliquot.access.broker.timing import keep_time
from aliquot.access.broker.waking import Waking
from aliquot.access.broker.witnessing import Witnessing, holding
from aliquot.access.core.people import Identity, Person
from aliquot.access.journal.file import InUse, JournalFile, damaged
from aliquot.access.log.checkpoints import Pace
from aliquot.access.log.notes import SigningKey, parse_signing_key
from aliquot.access.notify.notifier import telling
from aliquot.access.outside.secrets import NoSecret, read_plain_keys
from aliquot.access.serving import findings, https
from aliquot.access.serving.clusters import connected, look_after
from aliquot.access.serving.configuration import Configuration
from aliquot.access.serving.https import CannotServe
from aliquot.access.serving.metrics import Metrics
from aliquot.access.serving.paths import beside
from aliquot.access.serving.policy_files import PolicyFiles
from aliquot.access.serving.readiness import Readiness
from aliquot.access.serving.who import Who
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.access.tickets.registry import ticket_systems
from aliquot.clock import Clock
from aliquot.kube.cache import settle_gc
from aliquot.metrics import server as probes
from aliquot.sql.engine import sqlite_path
from aliquot.sql.failures import Unreachable

_log = structlog.get_logger(__name__)


def policy_files(configuration: Configuration, base: Path) -> PolicyFiles:
    """Raises DocumentError."""
    return PolicyFiles(
        base / configuration.policy_file,
        base / configuration.bindings_file,
        [base / one for one in configuration.templates],
    )


def check(configuration: Configuration, base: Path) -> None:
    """Whether its database and the log's key can be used, as far as can be seen without them. A key that is not here yet is none that
    is wrong. Raises CannotServe, Unusable."""
    configuration = beside(configuration, base)
    Database(configuration.database).close()
    if (key := Path(configuration.log_key_file)).exists():
        _log_key(key)


async def serve(
    configuration: Configuration,
    base: Path,
    *,
    metrics: tuple[str, int] = ("", 0),
    clock: Clock,
    rng: random.Random,
) -> None:
    """Until cancelled. `base`: where paths begin. `metrics`: where they and the probes are; port 0: nowhere. Raises CannotServe, DocumentError, Unusable, Unreachable, KubeconfigError."""
    configuration = beside(configuration, base)
    key = _log_key(base / configuration.log_key_file)
    policies = policy_files(configuration, base)
    tls = configuration.tls
    pair = (base / tls.certificate_file, base / tls.key_file) if tls is not None else None
    bound = https.listening(*configuration.address)
    async with AsyncExitStack() as stack:
        stack.callback(bound.close)
        database = Database(configuration.database)
        stack.callback(database.close)
        try:
            await asyncio.to_thread(database.prepare)
        except Unreachable as error:
            # What is there can be ended all the same.
            _log.error("the database does not answer: nothing is given until it does", error=str(error))
        store = Store(database)
        # Whatever is being written is written, off the loop's thread.
        stack.push_async_callback(asyncio.to_thread, store.close)
        # Another one after a restart: what the last one claimed is let go of by its time.
        owner = f"{socket.gethostname()}-{secrets.token_hex(8)}"
        waking = Waking()
        notices = Notices(store, waking)
        there = [
            await stack.enter_async_context(
                connected(
                    one, base, partial(findings.tell, cluster=one.name, store=store, told=notices), clock, rng
                )
            )
            for one in configuration.clusters
        ]
        agents = {one.name: one.agent for one in there}
        session = await stack.enter_async_context(aiohttp.ClientSession())
        who = await stack.enter_async_context(
            Who.of(configuration.identity, base, store, {one.name: one.client for one in there}, clock)
        )

        async def identity_of(person: Person) -> Identity | None:
            return (await who.known([person])).get(person)

        known = LastKnown()
        journal = _journal(_journal_path(configuration, base), key)
        stack.callback(journal.close)
        outage = Outage(journal, InClusters(agents, known), policies, clock=clock)
        await _load(outage, journal)
        outside = Outside(
            policies=policies,
            people=who,
            tickets=ticket_systems(configuration.tickets, session),
            notifier=telling(configuration.notify, session, identity_of, clock=clock),
            agents={name: GuardedAgent(agent, outage.why_not) for name, agent in agents.items()},
        )
        broker = Broker(
            store,
            outside,
            waking=waking,
            rng=rng,
            notice=known.notice,
            held=holding(configuration.witnesses),
        )
        merging = Merging(broker, policies, notices)
        # Before anything is ended by what is told already.
        await outage.settle(merging)
        witnessing = Witnessing(
            store,
            session,
            configuration.witnesses,
            lease=Lease(store, "asking witnesses", owner, for_s=3.0 * configuration.witnesses.every_seconds),
            notices=notices,
            rng=rng,
        )
        often = configuration.checkpoints
        checkpointing = Checkpointing(
            store,
            key,
            pace=Pace(most_entries=often.entries, most_s=float(often.seconds)),
            daily=often.daily,
        )
        reachable = {one.name: one.reachable for one in there}
        door = Door(broker, store, policies, who, reachable, outage=outage)
        hooks = Hooks(door, who, configuration.tickets.hooks, configuration.tickets.rafay)
        audits = {one.name: one.audit for one in configuration.clusters if one.audit is not None}
        tokens = {name: audit_token(base / one.token_file) for name, one in audits.items()}
        intake = Intake(
            store,
            waking,
            kept_s=configuration.audit_kept_days * 86_400.0,
            silent_after_s={name: float(one.silent_after_seconds) for name, one in audits.items()},
        )
        auditing = Auditing(door, intake, tokens)
        readiness = Readiness(store, policies, checkpointing, there, outage)
        counted = Metrics(store, readiness.reasons, journal=lambda: outage.state().waiting)
        # Before anything is asked of this server: what is counted begins with it.
        await counted.look()
        await stack.enter_async_context(_probes(counted, readiness, *metrics))
        async with asyncio.TaskGroup() as tasks:
            api = application(
                door,
                origin=key.name,
                signing_in=who.signing_in(door),
                hooks=hooks,
                auditing=auditing,
                keys=[key.public],
                sign=checkpointing.sign,
            )
            tasks.create_task(https.serve(api, bound, pair), name="api")
            tasks.create_task(
                CarryingOut(
                    store,
                    broker,
                    outside,
                    owner=owner,
                    waking=waking,
                    rng=rng,
                    # Of a file there is one server at a time.
                    alone=database.is_sqlite,
                ).run(),
                name="carrying out",
            )
            tasks.create_task(keep_time(broker, store, owner), name="time")
            tasks.create_task(known.run(store), name="what is known")
            tasks.create_task(outage.run(merging), name="what the database does not know")
            tasks.create_task(notices.run(), name="findings")
            tasks.create_task(intake.run(tuple(audits)), name="audit logs")
            tasks.create_task(checkpointing.run(), name="checkpoints")
            tasks.create_task(witnessing.run(), name="witnesses")
            tasks.create_task(policies.run(), name="policy files")
            tasks.create_task(PolicyNoting(store, policies).run(), name="policy in the log")
            tasks.create_task(readiness.run(), name="readiness")
            tasks.create_task(counted.run(), name="figures")
            for one in there:
                tasks.create_task(look_after(one, store, policies, outage), name=f"cluster {one.name}")
            settle_gc()
            host, port = bound.getsockname()[:2]
            _log.info("serving", address=host, port=port, database=database.name, log=key.public.text)


@asynccontextmanager
async def _probes(counted: Metrics, readiness: Readiness, address: str, port: int) -> AsyncIterator[None]:
    """Raises CannotServe."""
    if not port:
        yield
        return
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(
                probes.serving(counted.text, address, port, waits_for=readiness.reasons)
            )
        except OSError as error:
            raise CannotServe(
                f"metrics cannot be served on {address or 'every address'}, port {port}: {error.strerror}; give another --metrics-port"
            ) from error
        yield


def audit_token(path: Path) -> str:
    """Its file, which can be used now: else nobody would know why nothing comes. Raises CannotServe."""
    try:
        read_plain_keys(str(path))
    except NoSecret as error:
        raise CannotServe(
            f"{error}; make what its API server shows with 'openssl rand -hex 32 > {path}'"
        ) from error
    return str(path)


def _journal_path(configuration: Configuration, base: Path) -> Path:
    if configuration.journal:
        return base / configuration.journal
    # SQLite's begins where the process runs.
    beside = sqlite_path(configuration.database)
    return (Path(beside).resolve().parent if beside else base) / "access.journal"


def _journal(path: Path, key: SigningKey) -> JournalFile:
    return JournalFile(path, hmac.digest(key.seed, b"aliquot access journal", hashlib.sha256))


async def _load(outage: Outage, journal: JournalFile) -> None:
    try:
        await outage.load([str(one) for one in damaged(journal.path)])
    except InUse as error:
        raise CannotServe(str(error)) from error


def _log_key(path: Path) -> SigningKey:
    try:
        return parse_signing_key(path.read_text())
    except OSError as error:
        raise CannotServe(
            f"{path}: {error.strerror}; make one with 'aliquot access log new-key NAME --out {path}'"
        ) from error
    except ValueError as error:
        raise CannotServe(f"{path}: {error}") from error
