"""Chat: an incoming webhook of Slack, or of Mattermost and others that take the same."""

import aiohttp
import msgspec
from yarl import URL

from aliquot.access.core.people import Identity
from aliquot.access.notify.messages import Message
from aliquot.access.notify.settings import SlackSettings
from aliquot.access.outside.calling import Unreached, call, url_trouble
from aliquot.access.outside.secrets import NoSecret, read_secret

_SPLIT = "\u200b"
"""Unseen, between what would otherwise be a mention or a link where Markdown is read."""


def escaped(text: str) -> str:
    """As Slack wants it: no link, no mention, no channel can be written by whoever is named in it."""
    for mark, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, written)
    return text.replace("@", f"@{_SPLIT}").replace("](", f"]{_SPLIT}(")


def text_of(message: Message) -> str:
    lines = [f"*{escaped(message.title)}*"]
    lines += [f"{escaped(name)}: {escaped(value)}" for name, value in message.facts]
    if message.link:
        lines.append(f"<{message.link}>")
    return "\n".join(lines)


class Slack:
    def __init__(self, name: str, settings: SlackSettings, session: aiohttp.ClientSession) -> None:
        self.name = name
        self._settings = settings
        self._session = session

    def addresses(self, message: Message, holder: Identity | None) -> tuple[str, ...]:
        wanted = message.news in self._settings.news and set(message.to) & set(self._settings.audiences)
        return ("",) if wanted else ()

    async def tell(self, message: Message, address: str) -> None:
        """Raises Unreached."""
        try:
            url = read_secret(self._settings.url_file)
        except NoSecret as error:
            raise Unreached(str(error)) from None
        if url_trouble(url):
            raise Unreached(f"{self._settings.url_file}: no URL that may be called: https://...")
        answer = await call(
            self._session,
            "POST",
            URL(url),
            headers={"Content-Type": "application/json"},
            body=msgspec.json.encode({"text": text_of(message)}),
            timeout_s=self._settings.timeout_s,
        )
        if not 200 <= answer.status < 300:
            raise Unreached(f"it answers {answer.status}")
