"""From headers to who calls, with a user of the server's own and an authenticator app."""

import base64
import json
from pathlib import Path

import pyotp
import pytest
from msgspec.structs import replace

from aliquot.access.api.door import PROOF_HEADER
from aliquot.access.broker.around import Caller
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity import records
from aliquot.access.identity.configuration import ClusterIssuer, IdentitySection, LocalUsers
from aliquot.access.identity.local import accounts, codes, sessions
from aliquot.access.serving.https import CannotServe
from aliquot.access.serving.who import Who
from aliquot.access.store.database import Database
from aliquot.access.store.store import Store
from aliquot.clock import SystemClock
from aliquot.sql.failures import Unreachable

ISSUER = "https://access.example.com"
ANN = Person(ISSUER, "ann")
LOCAL = LocalUsers(issuer=ISSUER, relying_party="access.example.com", origins=(ISSUER,))


@pytest.fixture
def section(tmp_path: Path) -> IdentitySection:
    return IdentitySection(key_file=str(tmp_path / "identity.key"), local=LOCAL)


@pytest.fixture
def store() -> Store:
    database = Database("sqlite://")
    database.prepare()
    return Store(database, clock=SystemClock(), threads=False)


async def app_of(store: Store, who: Who) -> pyotp.TOTP:
    """Ann's, whose account is made with it."""
    secret = await store.write(lambda tx: accounts.add(tx, ANN, local_issuer=ISSUER, groups=["leads"]))
    assert isinstance(secret, str)
    offer = await store.read(lambda tx: codes.offer(tx, who.key, ANN, secret, bytes))
    assert isinstance(offer, codes.Offer)
    app = pyotp.parse_uri(offer.uri)
    assert isinstance(app, pyotp.TOTP)
    now_s = await store.read(lambda tx: tx.now_s)
    code = app.at(int(now_s) - 30)
    made = await store.write(
        lambda tx: codes.register(tx, who.key, ANN, secret=secret, sealed=offer.sealed, code=code)
    )
    assert isinstance(made, records.Account)
    return app


def proof(code: str) -> dict[str, str]:
    said = json.dumps({"type": "totp", "code": code}).encode()
    return {PROOF_HEADER: base64.urlsafe_b64encode(said).decode().rstrip("=")}


async def test_a_session_and_a_code(section: IdentitySection, store: Store, tmp_path: Path) -> None:
    async with Who.of(section, tmp_path, store, {}, SystemClock()) as who:
        app = await app_of(store, who)
        now_s = await store.read(lambda tx: tx.now_s)
        opened = await store.write(lambda tx: sessions.by_code(tx, who.key, LOCAL, "ann", app.at(int(now_s))))
        assert isinstance(opened, sessions.Opened)
        caller = await who.authenticate({"authorization": f"Bearer {opened.token}"})
        assert isinstance(caller, Caller)
        assert (caller.person, caller.auth, caller.step_up) == (ANN, "totp", StepUpLevel.NONE)
        assert caller.identity.groups == {f"{ISSUER}#leads"}
        assert await who.known([ANN]) == {ANN: caller.identity}
        assert await who.authenticate_to_end({"authorization": f"Bearer {opened.token}"}) == caller
        code = app.at(int(now_s) + 30)
        proven = await who.proven(caller, proof(code), "approve", "sha256:1")
        assert isinstance(proven, Caller)
        assert proven == replace(caller, step_up=StepUpLevel.TOTP)
        assert isinstance(await who.proven(caller, proof(code), "approve", "sha256:1"), Refused)
        assert await who.proven(caller, {}, "approve", "sha256:1") == caller


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer"}, {"authorization": "Bearer x"}],
)
async def test_who_proves_nothing_is_nobody(
    section: IdentitySection, store: Store, tmp_path: Path, headers: dict[str, str]
) -> None:
    async with Who.of(section, tmp_path, store, {}, SystemClock()) as who:
        found = await who.authenticate(headers)
        assert isinstance(found, Refused)
        assert found.ground is Ground.FORBIDDEN


@pytest.mark.parametrize(
    "text", ["%%%", "e30", base64.urlsafe_b64encode(b'{"type":"none"}').decode(), "A" * 9000]
)
async def test_what_is_no_proof(section: IdentitySection, store: Store, tmp_path: Path, text: str) -> None:
    caller = Caller(identity=Identity(person=ANN), auth="totp")
    async with Who.of(section, tmp_path, store, {}, SystemClock()) as who:
        found = await who.proven(caller, {PROOF_HEADER: text}, "approve", "sha256:1")
    assert isinstance(found, Refused)
    assert found.ground is Ground.INVALID


async def test_a_cluster_that_there_is_not(store: Store, tmp_path: Path) -> None:
    section = IdentitySection(
        key_file="identity.key", kubernetes=(ClusterIssuer(cluster="prod", issuer="prod"),)
    )
    with pytest.raises(CannotServe, match="cluster 'prod', which is not among 'clusters'"):
        async with Who.of(section, tmp_path, store, {}, SystemClock()):
            pass


async def test_a_user_of_the_servers_own_is_nobody_without_the_database(
    section: IdentitySection, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Who.of(section, tmp_path, store, {}, SystemClock()) as who:
        app = await app_of(store, who)
        now_s = await store.read(lambda tx: tx.now_s)
        opened = await store.write(lambda tx: sessions.by_code(tx, who.key, LOCAL, "ann", app.at(int(now_s))))
        assert isinstance(opened, sessions.Opened)

        async def gone(work: object) -> None:
            raise Unreachable("gone")

        monkeypatch.setattr(store, "read", gone)
        found = await who.authenticate_to_end({"authorization": f"Bearer {opened.token}"})
        assert isinstance(found, Refused)
        assert found.ground is Ground.UNKNOWN
        assert "without it nobody can tell who they are" in found.reason
