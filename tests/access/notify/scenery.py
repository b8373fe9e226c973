"""News, a grant that it is of, and whoever takes it: a web server and a mail server."""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News, Notify
from aliquot.access.core.life.life import Life
from aliquot.access.core.life.stages import EndReason, Stage
from aliquot.access.core.people import Identity
from aliquot.access.core.requests import digest
from aliquot.access.notify.settings import NotifySettings, check_notify
from aliquot.admission.certificates import renewed
from aliquot.document import parse
from tests.access.life.scenery import person
from tests.access.tickets.fakes import serving
from tests.access.tickets.scenery import request

LINK = "https://access.example.com/requests/"
DEV = Identity(person=person("dev"), name="Dana Evans", email="dev@example.com")
USER, PASSWORD = "aliquot", "s3cret-of-a-mail-server"


def life(**changed: Any) -> Life:
    asked = replace(request(), parameters={"workload": "checkout"})
    return replace(
        Life(request=asked, digest=digest(asked), stage=Stage.PENDING, seen_s=0.0, lapses_s=3600.0), **changed
    )


ENDED = life(
    stage=Stage.ENDED,
    version=7,
    end_reason=EndReason.REVOKED,
    why="they left",
    over_at_s=60.0,
    gone_at_s=61.0,
)


def news(what: News = News.ASKED, *to: Audience) -> Notify:
    return Notify(news=what, id=life().id, to=to or (Audience.APPROVERS,))


def section(text: str) -> NotifySettings:
    found = parse(text, source="server.yaml")
    settings = found.into(NotifySettings)
    check_notify(found, (), settings)
    return settings


@dataclass
class Hooks:
    """Takes whatever is posted to it. `statuses` are answered one after the other, then 200."""

    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        async with serving(application) as url:
            yield url

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append(({name.lower(): value for name, value in request.headers.items()}, body))
        return web.Response(status=status, text="ok")


@dataclass
class MailServer:
    """Takes mail for everybody but those whose address begins with `no`."""

    port: int = 0
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802  # as aiosmtpd calls it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("no"):
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append((str(envelope.mail_from), list(envelope.rcpt_tos), mail))
        return "250 OK"


def _authenticated(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
) -> AuthResult:
    good = login.login == USER.encode() and login.password == PASSWORD.encode()
    return AuthResult(success=good, handled=good)


@asynccontextmanager
async def mail_server(folder: Path, *, tls: bool = True) -> AsyncIterator[MailServer]:
    """Its authority lies in `ca.pem`."""
    held = renewed(None, "localhost", time.time())
    (folder / "ca.pem").write_bytes(held.authorities)
    (folder / "tls.pem").write_bytes(held.certificate + held.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.pem")
    server = MailServer()
    more: dict[str, Any] = (
        {"tls_context": context, "authenticator": _authenticated, "auth_required": True} if tls else {}
    )
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(
        lambda: SMTP(server, hostname="localhost", loop=loop, **more), "127.0.0.1", 0
    )
    try:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
    finally:
        listening.close()


def token(secret: str) -> str:
    return "whsec_" + base64.b64encode(secret.encode().ljust(32, b".")).decode()
