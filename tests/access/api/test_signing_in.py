"""Users of a laptop, through the API: from an invitation to a proof for one request."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pyotp
import pytest

from aliquot.access.api.application import application
from aliquot.access.api.door import Door
from aliquot.access.api.signing_in import SigningIn
from aliquot.access.broker.around import Caller
from aliquot.access.core.people import Person
from aliquot.access.core.refusals import Ground, Refused
from aliquot.access.core.templates.template import StepUpLevel
from aliquot.access.identity import records
from aliquot.access.identity.challenges import Purpose
from aliquot.access.identity.local import accounts, sessions
from aliquot.access.identity.local.codes import STEP_S
from aliquot.access.identity.proof import NotProven
from aliquot.access.identity.step_up import ByPasskey, step_up
from tests.access.api.calling import Answer, Api
from tests.access.broker.world import World, in_a_world
from tests.access.identity.authenticator import Authenticator
from tests.access.identity.laptop import ANN, KEY, ORIGIN, PARTY


class BySession:
    """An Authenticator of local users alone."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def authenticate(self, headers: Any) -> Caller | Refused:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            proof = await self._world.store.read(lambda tx: sessions.prove(tx, KEY, PARTY, token))
        except NotProven as error:
            return Refused(str(error), Ground.FORBIDDEN)
        return Caller(identity=proof.identity, auth=proof.auth, credential=proof.credential)

    async def authenticate_to_end(self, headers: Any) -> Caller | Refused:
        return await self.authenticate(headers)

    async def proven(self, caller: Caller, *_: object) -> Caller | Refused:
        return caller


class Laptop(Api):
    def __init__(self, world: World) -> None:
        super().__init__(world)
        door = Door(world.broker, world.store, world.others, BySession(world), outage=world.outage)
        self.app = application(door, origin="log.example.com/access", signing_in=SigningIn(door, KEY, PARTY))

    async def invited(self) -> dict[str, str]:
        def work(tx: Any) -> str | Refused:
            if records.account(tx, ANN) is None:
                return accounts.add(tx, ANN, local_issuer=ORIGIN, groups=("leads",))
            return accounts.invite(tx, ANN)

        secret = await self.world.store.write(work)
        assert isinstance(secret, str)
        return {"subject": "ann", "secret": secret}

    async def with_passkey(self) -> Authenticator:
        invited, authenticator = await self.invited(), Authenticator(ORIGIN)
        options = await self.post("", "/v1/enrolment/passkey:options", invited)
        assert options.status == 200, options.body
        made = authenticator.create(options.json["publicKey"])
        said = {**invited, "nonce": options.json["nonce"], "credential": made, "name": "key"}
        assert (await self.post("", "/v1/enrolment/passkey", said)).status == 204
        assert (await self.post("", "/v1/enrolment/passkey", said)).status == 403
        return authenticator

    async def session(self, authenticator: Authenticator, subject: str = "ann") -> Answer:
        options = await self.post("", "/v1/session:options", {"subject": subject})
        assert options.status == 200
        said = {"subject": subject, "nonce": options.json["nonce"]}
        made = authenticator.get(options.json["publicKey"])
        return await self.post("", "/v1/session:byPasskey", {**said, "credential": made})

    async def entries(self) -> int:
        return await self.world.store.read(lambda tx: tx.log.head().tree.size)


def on_a_laptop(body: Callable[[Laptop], Awaitable[None]]) -> None:
    in_a_world(lambda world: body(Laptop(world)))


def test_from_an_invitation_to_a_session_to_a_proof_and_out() -> None:
    async def main(api: Laptop) -> None:
        authenticator = await api.with_passkey()
        opened = await api.session(authenticator)
        assert opened.status == 201, opened.body
        token = opened.json["token"]
        asked = {"act": "approve", "digest": "sha256:aa"}
        options = await api.post(token, "/v1/proof:options", asked)
        given = ByPasskey(options.json["nonce"], authenticator.get(options.json["publicKey"]))
        purpose = Purpose(ANN, "approve", "sha256:aa")
        level = await api.world.store.write(lambda tx: step_up(tx, KEY, PARTY, purpose, given))
        assert level is StepUpLevel.WEBAUTHN
        assert (await api.post(token, "/v1/session:close")).status == 204
        assert (await api.post(token, "/v1/session:close")).status == 401
        assert (await api.post(token, "/v1/proof:options", asked)).status == 401

    on_a_laptop(main)


def test_codes_sign_in_once_each() -> None:
    async def main(api: Laptop) -> None:
        invited = await api.invited()
        offer = (await api.post("", "/v1/enrolment/codes:options", invited)).json
        app = pyotp.parse_uri(offer["uri"])
        assert isinstance(app, pyotp.TOTP)
        now_s = int(await api.world.store.read(lambda tx: tx.now_s))
        said = {**invited, "sealed": offer["sealed"]}
        wrong = await api.post("", "/v1/enrolment/codes", {**said, "code": "000000"})
        right = await api.post("", "/v1/enrolment/codes", {**said, "code": app.at(now_s)})
        assert (wrong.status, right.status) == (403, 204)
        code = {"subject": "ann", "code": app.at(now_s + STEP_S)}
        statuses = [(await api.post("", "/v1/session:byCode", code)).status for _ in range(2)]
        assert statuses == [201, 403]

    on_a_laptop(main)


def test_who_tries_learns_of_nobody_whether_they_are_there_and_fills_no_log() -> None:
    async def main(api: Laptop) -> None:
        await api.with_passkey()
        before = await api.entries()
        stranger = Authenticator(ORIGIN)
        found = [await api.session(stranger, subject) for subject in ("ann", "nobody")]
        found += [
            await api.post("", "/v1/session:byCode", {"subject": subject, "code": "000000"})
            for subject in ("ann", "nobody")
        ]
        assert [one.status for one in found] == [403] * 4
        assert found[0].body == found[1].body and found[2].body == found[3].body
        for path in ("/v1/enrolment/passkey:options", "/v1/enrolment/codes:options"):
            guesses = [
                await api.post("", path, {"subject": subject, "secret": "guessed"})
                for subject in ("ann", "nobody")
            ]
            assert guesses[0].status == 403 and guesses[0].body == guesses[1].body
        assert await api.entries() == before

    on_a_laptop(main)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/session:options", {}, 422),
        ("/v1/session:options", {"subject": ""}, 422),
        ("/v1/session:options", {"subject": "x" * 256}, 422),
        ("/v1/session:options", {"subject": "ann", "more": 1}, 422),
        ("/v1/session:byPasskey", {"subject": "ann", "nonce": "x", "credential": []}, 422),
        ("/v1/session:byPasskey", {"subject": "ann", "nonce": "é", "credential": {}}, 403),
        ("/v1/session:byCode", {"subject": "ann", "code": 123456}, 422),
        ("/v1/proof:options", {"act": "approve", "digest": "sha256:aa"}, 401),
        ("/v1/session:close", None, 401),
    ],
)
def test_what_is_not_as_it_has_to_be_is_refused(path: str, body: object, status: int) -> None:
    async def main(api: Laptop) -> None:
        assert (await api.post("", path, body)).status == status

    on_a_laptop(main)


def test_nobody_gets_a_challenge_for_signing_in_as_a_proof() -> None:
    async def main(api: Laptop) -> None:
        token = (await api.session(await api.with_passkey())).json["token"]
        for act in ("login", "register"):
            came = await api.post(token, "/v1/proof:options", {"act": act, "digest": "x"})
            assert came.status == 422

    on_a_laptop(main)


def test_what_succeeds_is_in_the_log_with_who_and_how() -> None:
    async def main(api: Laptop) -> None:
        before = await api.entries()
        token = (await api.session(await api.with_passkey())).json["token"]
        await api.post(token, "/v1/session:close")
        after = await api.entries()
        new = await api.world.store.read(lambda tx: tuple(tx.log.entries(before, after)))
        told = [msgspec.json.decode(one.body) for one in new]
        assert [(one["action"], one["actor"]["auth"]) for one in told] == [
            ("passkey.registered", "invitation"),
            ("session.opened", "passkey"),
            ("session.closed", "passkey"),
        ]
        assert told[1]["actor"]["credential"] == told[2]["actor"]["credential"] != ""
        assert {(one["actor"]["iss"], one["actor"]["sub"]) for one in told} == {(ORIGIN, "ann")}

    on_a_laptop(main)


def test_somebody_with_an_issuer_of_their_own_registers_as_that_person() -> None:
    async def main(api: Laptop) -> None:
        zoe = Person("https://login.example.com", "zoe")
        secret = await api.world.store.write(lambda tx: accounts.add(tx, zoe, local_issuer=ORIGIN))
        assert isinstance(secret, str)
        said = {"subject": "zoe", "issuer": zoe.issuer, "secret": secret}
        assert (await api.post("", "/v1/enrolment/passkey:options", said)).status == 200
        del said["issuer"]
        assert (await api.post("", "/v1/enrolment/passkey:options", said)).status == 403

    on_a_laptop(main)
