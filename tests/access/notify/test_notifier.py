import asyncio
from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from aliquot.access.core.life.effects import Audience, News, Undelivered
from aliquot.access.core.people import Identity, Person
from aliquot.access.core.standard_webhooks import key_of, verify
from aliquot.access.notify.notifier import Telling, telling
from aliquot.access.outside.calling import new_session
from aliquot.clock import SystemClock
from tests.access.notify.scenery import (
    DEV,
    ENDED,
    LINK,
    PASSWORD,
    USER,
    Hooks,
    life,
    mail_server,
    news,
    section,
    token,
)


async def known(person: Person) -> Identity | None:
    return DEV if person == DEV.person else None


def told_by(text: str, session: aiohttp.ClientSession) -> Telling:
    return telling(section(f"link: {LINK}\n{text}"), session, known, clock=SystemClock())


def chat(folder: Path, url: str, more: str = "") -> str:
    (folder / "slack").write_text(f"{url}/services/T0/B0/very-secret\n")
    return f"""
  chat: {{kind: slack, urlFile: {folder / "slack"}{more}}}
"""


def siem(folder: Path, url: str, *secrets: str) -> str:
    (folder / "siem").write_text("\n".join(token(one) for one in secrets))
    return f"""
  siem: {{kind: webhook, url: {url}/hook, secretFile: {folder / "siem"}}}
"""


def mail(folder: Path, port: int, more: str = "") -> str:
    (folder / "smtp").write_text(PASSWORD)
    return f"""
  mail:
    kind: mail
    host: localhost
    port: {port}
    caFile: {folder / "ca.pem"}
    from: aliquot@example.com
    user: {USER}
    secretFile: {folder / "smtp"}
    to: {{approvers: [leads@example.com, boss@example.com], security: [leads@example.com, nobody@example.com]}}
{more}
"""


async def test_chat(tmp_path: Path) -> None:
    hooks = Hooks()
    async with hooks.serving() as url, new_session() as session:
        telling_ = told_by(
            "channels:" + chat(tmp_path, url, ", audiences: [approvers], news: [asked]"), session
        )
        await telling_.notify(news(), life())
        await telling_.notify(news(News.ENDED), ENDED)
        await telling_.notify(news(News.ASKED, Audience.HOLDER), life())
    ((headers, body),) = hooks.taken
    assert headers["content-type"] == "application/json"
    assert msgspec.json.decode(body)["text"].startswith(
        "*Dana Evans asks for fix in prod-one/team-a for 1h*\n"
    )


async def test_a_webhook_is_signed_with_all_secrets(tmp_path: Path) -> None:
    hooks = Hooks()
    async with hooks.serving() as url, new_session() as session:
        await told_by("channels:" + siem(tmp_path, url, "old", "new"), session).notify(news(), life())
    ((headers, body),) = hooks.taken
    now_s = SystemClock().now()
    for secret in ("old", "new"):
        assert verify([key_of(token(secret))], headers, body, now_s).id == headers["webhook-id"]
    event = msgspec.json.decode(body)
    assert headers["content-type"] == "application/cloudevents+json"
    assert (event["id"], event["type"]) == (headers["webhook-id"], "dev.aliquot.access.asked")
    assert event["data"]["holder"] == {"issuer": DEV.person.issuer, "subject": "dev"}


async def test_whoever_was_reached_is_not_told_again(tmp_path: Path) -> None:
    hooks = Hooks()
    async with hooks.serving() as url, new_session() as session:
        broken = siem(tmp_path, url, "secret")
        telling_ = told_by("channels:" + chat(tmp_path, url) + broken, session)
        (tmp_path / "siem").write_text("")
        for _ in range(2):
            with pytest.raises(Undelivered, match=r"^siem: \S+/siem: empty$"):
                await telling_.notify(news(), life())
        assert len(hooks.taken) == 1
        siem(tmp_path, url, "secret")
        await telling_.notify(news(), life())
        assert len(hooks.taken) == 2
        await telling_.notify(news(), life())
        assert len(hooks.taken) == 4, "what was told to all is forgotten: this is another telling"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 302])
async def test_what_is_not_taken_is_told_without_the_secret(tmp_path: Path, status: int) -> None:
    hooks = Hooks(statuses=[status])
    async with hooks.serving() as url, new_session() as session:
        telling_ = told_by("channels:" + chat(tmp_path, url), session)
        with pytest.raises(Undelivered, match=r"^chat: ") as refused:
            await telling_.notify(news(), life())
        assert "very-secret" not in str(refused.value)
        await telling_.notify(news(), life())
    assert len(hooks.taken) == 1


async def test_an_address_that_is_none_or_answers_nothing(tmp_path: Path) -> None:
    async with new_session() as session:
        telling_ = told_by("channels:" + chat(tmp_path, "http://127.0.0.1:9"), session)
        with pytest.raises(Undelivered, match=r"^chat: 127\.0\.0\.1: ") as refused:
            await telling_.notify(news(), life())
        assert "very-secret" not in str(refused.value)
        (tmp_path / "slack").write_text("http://hooks.example.com/very-secret")
        with pytest.raises(Undelivered, match="no URL that may be called") as refused:
            await telling_.notify(news(), life())
        assert "very-secret" not in str(refused.value)


async def test_mail_goes_to_each_alone(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server, new_session() as session:
        telling_ = told_by("channels:" + mail(tmp_path, server.port, "    holder: true"), session)
        await telling_.notify(news(News.ENDED, Audience.HOLDER, Audience.APPROVERS), ENDED)
    assert sorted(to for _, (to,), _ in server.mails) == [
        "boss@example.com",
        "dev@example.com",
        "leads@example.com",
    ]
    for sender, (to,), one in server.mails:
        assert (sender, one["From"], one["To"]) == ("aliquot@example.com", "aliquot@example.com", to)
        assert (
            one["Subject"] == "Ended: fix in prod-one/team-a for 1h for Dana Evans, and nothing of it is left"
        )
        assert LINK + ENDED.id in one.get_content()
        assert "they left" not in one.get_content()


async def test_mail_that_one_does_not_get_is_tried_again_for_that_one(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server, new_session() as session:
        telling_ = told_by("channels:" + mail(tmp_path, server.port), session)
        for _ in range(2):
            with pytest.raises(
                Undelivered, match=r"^mail: localhost does not take mail for nobody@example.com: 550$"
            ):
                await telling_.notify(news(News.NOT_REMOVED, Audience.SECURITY), ENDED)
    assert [to for _, (to,), _ in server.mails] == ["leads@example.com"]


@pytest.mark.parametrize(
    "email", ["", "dev", "dev@example.com\r\nRCPT TO:<x@example.com>", "<dev@example.com>", "a b@c"]
)
async def test_a_holder_whose_address_is_none(tmp_path: Path, email: str) -> None:
    async def odd(_person: Person) -> Identity | None:
        return replace(DEV, email=email)

    async with mail_server(tmp_path) as server, new_session() as session:
        settings = section("channels:" + mail(tmp_path, server.port, "    holder: true"))
        await telling(settings, session, odd, clock=SystemClock()).notify(
            news(News.ENDED, Audience.HOLDER), ENDED
        )
    assert server.mails == []


async def test_no_password_goes_in_the_clear(tmp_path: Path) -> None:
    async with mail_server(tmp_path, tls=False) as server, new_session() as session:
        telling_ = told_by("channels:" + mail(tmp_path, server.port), session)
        with pytest.raises(Undelivered, match="does not offer starttls"):
            await telling_.notify(news(), life())
        plain = mail(tmp_path, server.port, "    security: none").replace(
            f"    user: {USER}\n    secretFile: {tmp_path / 'smtp'}\n", ""
        )
        await told_by("channels:" + plain, session).notify(news(), life())
    assert len(server.mails) == 2


async def test_a_mail_server_that_is_somebody_else(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server, new_session() as session:
        telling_ = told_by("channels:" + mail(tmp_path, server.port).replace("caFile", "# caFile"), session)
        with pytest.raises(Undelivered, match="its certificate"):
            await telling_.notify(news(), life())
        (tmp_path / "smtp").write_text("wrong")
        telling_ = told_by("channels:" + mail(tmp_path, server.port), session)
        (tmp_path / "smtp").write_text("wrong-password")
        with pytest.raises(Undelivered, match="localhost: it answers 535") as refused:
            await telling_.notify(news(), life())
        assert "wrong-password" not in str(refused.value)
    assert server.mails == []


async def test_a_mail_server_that_is_not_there(tmp_path: Path) -> None:
    async with mail_server(tmp_path) as server:
        port = server.port
    async with new_session() as session:
        with pytest.raises(Undelivered, match="mail: localhost: "):
            await asyncio.wait_for(
                told_by("channels:" + mail(tmp_path, port), session).notify(news(), life()), 30
            )
