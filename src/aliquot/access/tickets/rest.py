"""JSON from a ticket system, with our user and secret there."""

import base64
from typing import Literal, TypeVar

import aiohttp
import msgspec
from yarl import URL

from aliquot.access.outside.calling import Answer, Unreached, call
from aliquot.access.outside.secrets import NoSecret, read_secret
from aliquot.access.tickets.settings import SystemSettings

T = TypeVar("T")


class Rest:
    def __init__(self, name: str, settings: SystemSettings, session: aiohttp.ClientSession) -> None:
        self._name = name
        self._settings = settings
        self._session = session
        self.base = URL(settings.url)

    def secret(self) -> str:
        """Raises Unreached."""
        try:
            return read_secret(self._settings.secret_file)
        except NoSecret as error:
            raise Unreached(f"{self._name}: {error}") from None

    async def read(self, url: URL, type_: type[T]) -> T | None:
        """None: there is nothing there. Raises Unreached."""
        answer = await self._call("GET", url, None)
        if answer.status == 404:
            return None
        self._refuse(answer, 200)
        try:
            return msgspec.json.decode(answer.body, type=type_)
        except (ValueError, RecursionError):
            raise Unreached(f"{self._name}: its answer is not understood") from None

    async def write(self, method: Literal["PATCH", "POST"], url: URL, body: object) -> None:
        """Raises Unreached."""
        self._refuse(await self._call(method, url, msgspec.json.encode(body)), 200, 201)

    async def _call(self, method: str, url: URL, body: bytes | None) -> Answer:
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": self._authorization(),
        }
        timeout_s = self._settings.timeout_s
        try:
            return await call(self._session, method, url, headers=headers, body=body, timeout_s=timeout_s)
        except Unreached as error:
            raise Unreached(f"{self._name}: {error}", again_s=error.again_s) from None

    def _refuse(self, answer: Answer, *good: int) -> None:
        if answer.status in good:
            return
        hint = ": it does not let us in, look at user and secretFile" if answer.status in (401, 403) else ""
        raise Unreached(f"{self._name}: it answers {answer.status}{hint}")

    def _authorization(self) -> str:
        if not self._settings.user:
            return f"Bearer {self.secret()}"
        return "Basic " + base64.b64encode(f"{self._settings.user}:{self.secret()}".encode()).decode()
