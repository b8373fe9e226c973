"""Tells everybody whom some news is for, by every channel that has them. Who was reached is not told again when others are tried again."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import aiohttp
import structlog

from aliquot.access.core.life.effects import Notify, TellCheckpoint, TellNotice, Undelivered
from aliquot.access.core.life.life import Life
from aliquot.access.core.people import Identity, Person
from aliquot.access.notify.mail import Mail
from aliquot.access.notify.messages import Message, message_of, message_of_checkpoint, message_of_notice
from aliquot.access.notify.settings import MailSettings, NotifySettings, SlackSettings
from aliquot.access.notify.slack import Slack
from aliquot.access.notify.webhook import Webhook
from aliquot.access.outside.calling import Unreached
from aliquot.clock import Clock

_log = structlog.get_logger(__name__)

_MOST_REMEMBERED = 4096

IdentityOf: TypeAlias = Callable[[Person], Awaitable[Identity | None]]
"""As their issuer knows them now, for their name and address; None: not known."""


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def addresses(self, message: Message, holder: Identity | None) -> tuple[str, ...]:
        """Whom it reaches of those that the message is for; empty: nobody."""
        ...

    async def tell(self, message: Message, address: str) -> None:
        """Raises Unreached."""
        ...


class Telling:
    """The `Notifier` of a broker. After a restart somebody may be told twice; nobody is forgotten."""

    def __init__(
        self, channels: Sequence[Channel], identity_of: IdentityOf, *, link: str = "", own_words: bool = False
    ) -> None:
        self._channels = channels
        self._identity_of = identity_of
        self._link = link
        self._own_words = own_words
        self._reached: OrderedDict[str, set[tuple[str, str]]] = OrderedDict()

    async def notify(self, news: Notify, life: Life) -> None:
        """Raises Undelivered."""
        holder = await self._identity_of(life.holder)
        await self._tell(message_of(news, life, holder, link=self._link, own_words=self._own_words), holder)

    async def notice(self, told: TellNotice) -> None:
        """Raises Undelivered."""
        await self._tell(message_of_notice(told), None)

    async def checkpoint(self, told: TellCheckpoint) -> None:
        """Raises Undelivered."""
        await self._tell(message_of_checkpoint(told), None)

    async def _tell(self, message: Message, holder: Identity | None) -> None:
        targets = [(one, address) for one in self._channels for address in one.addresses(message, holder)]
        if not targets:
            _log.warning(
                "nobody is told",
                news=message.news.value,
                grant=message.grant,
                to=[one.value for one in message.to],
            )
        reached = self._reached.pop(message.key, set())
        left = [(one, address) for one, address in targets if (one.name, address) not in reached]
        problems = await asyncio.gather(*(_told(message, one, address) for one, address in left))
        reached |= {
            (one.name, address) for (one, address), problem in zip(left, problems, strict=True) if not problem
        }
        failed = [problem for problem in problems if problem]
        if failed:
            self._reached[message.key] = reached
            while len(self._reached) > _MOST_REMEMBERED:
                self._reached.popitem(last=False)
            raise Undelivered("; ".join(failed))


async def _told(message: Message, channel: Channel, address: str) -> str:
    try:
        await channel.tell(message, address)
    except Unreached as error:
        return f"{channel.name}: {error}"
    return ""


def telling(
    settings: NotifySettings, session: aiohttp.ClientSession, identity_of: IdentityOf, *, clock: Clock
) -> Telling:
    """`session`: `outside.calling.new_session`, which the caller closes."""
    channels: list[Channel] = []
    for name, one in settings.channels.items():
        if isinstance(one, SlackSettings):
            channels.append(Slack(name, one, session))
        elif isinstance(one, MailSettings):
            channels.append(Mail(name, one, clock))
        else:
            channels.append(Webhook(name, one, session, clock))
    return Telling(channels, identity_of, link=settings.link, own_words=settings.own_words)
