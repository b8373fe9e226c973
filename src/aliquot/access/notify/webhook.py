"""Programs: a CloudEvent 1.0, signed by Standard Webhooks. Its id is the same each time that it is tried."""

import aiohttp
import msgspec
from yarl import URL

from aliquot.access.core.people import Identity
from aliquot.access.core.standard_webhooks import signed
from aliquot.access.notify.messages import Message
from aliquot.access.notify.settings import WebhookSettings
from aliquot.access.outside.calling import Unreached, call
from aliquot.access.outside.secrets import NoSecret, read_signing_keys
from aliquot.clock import Clock, rfc3339_milli

SOURCE = "urn:aliquot:access"


def event_of(message: Message, now_s: float) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": message.key,
        "source": SOURCE,
        "type": f"dev.aliquot.access.{message.news.value}",
        "subject": message.grant,
        "time": rfc3339_milli(now_s),
        "datacontenttype": "application/json",
        "data": message.data,
    }


class Webhook:
    def __init__(
        self, name: str, settings: WebhookSettings, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self.name = name
        self._settings = settings
        self._session = session
        self._clock = clock

    def addresses(self, message: Message, holder: Identity | None) -> tuple[str, ...]:
        wanted = message.news in self._settings.news and set(message.to) & set(self._settings.audiences)
        return ("",) if wanted else ()

    async def tell(self, message: Message, address: str) -> None:
        """Raises Unreached."""
        try:
            keys = read_signing_keys(self._settings.secret_file)
        except NoSecret as error:
            raise Unreached(str(error)) from None
        now_s = self._clock.now()
        body = msgspec.json.encode(event_of(message, now_s))
        headers = {
            "Content-Type": "application/cloudevents+json",
            **signed(keys, message.key, now_s, body),
        }
        answer = await call(
            self._session,
            "POST",
            URL(self._settings.url),
            headers=headers,
            body=body,
            timeout_s=self._settings.timeout_s,
        )
        if not 200 <= answer.status < 300:
            raise Unreached(f"it answers {answer.status}")
