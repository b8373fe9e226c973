"""What goes wrong between a component and the API server, drawn from a seeded source."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import msgspec

from aliquot.kube.transport import Request, Response, Transport, TransportError


@dataclass
class Weather:
    """How often things go wrong; one for the whole world, changed while it runs. Shares are of requests."""

    refused: float = 0.0
    """Never delivered."""
    lost_answers: float = 0.0
    """Done, but the answer does not arrive."""
    errors: float = 0.0
    """500 or 429 instead of being done."""
    slow: float = 0.0
    """Up to two seconds late."""
    cut_streams: float = 0.0
    """Share of a watch's chunks at which the stream breaks."""

    @classmethod
    def calm(cls) -> "Weather":
        return cls()

    @classmethod
    def storm(cls) -> "Weather":
        return cls(refused=0.03, lost_answers=0.03, errors=0.04, slow=0.1, cut_streams=0.02)

    def become(self, other: "Weather") -> None:
        self.__dict__.update(other.__dict__)


class FaultyTransport:
    """A transport under the weather."""

    def __init__(self, inner: Transport, weather: Weather, rng: random.Random) -> None:
        self._inner = inner
        self._weather = weather
        self._rng = rng

    async def send(self, request: Request) -> Response:
        weather, rng = self._weather, self._rng
        if rng.random() < weather.slow:
            await asyncio.sleep(rng.uniform(0.01, 2.0))
        if rng.random() < weather.refused:
            raise TransportError("simulated: connection refused", delivered=False)
        if rng.random() < weather.errors:
            return _Refusal(rng.choice((429, 500, 503)))
        response = await self._inner.send(request)
        if rng.random() < weather.lost_answers:
            await response.close()
            raise TransportError("simulated: connection lost before the answer", delivered=True)
        if request.query.get("watch") == "true":
            return _CutStream(response, weather, rng)
        return response

    async def close(self) -> None:
        await self._inner.close()


class _Refusal:
    """An answer that the server never gave."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {
            "content-type": "application/json",
            **({"retry-after": "1"} if status == 429 else {}),
        }
        reason = {429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}[status]
        self._body = msgspec.json.encode(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "code": status,
                "reason": reason,
                "message": "simulated",
            }
        )

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


class _CutStream:
    """A watch that may break off after any chunk, or in the middle of one."""

    def __init__(self, inner: Response, weather: Weather, rng: random.Random) -> None:
        self._inner = inner
        self._weather = weather
        self._rng = rng
        self.status = inner.status
        self.headers = inner.headers

    async def read(self) -> bytes:
        return await self._inner.read()

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner.chunks():
            if self._rng.random() < self._weather.cut_streams:
                yield chunk[: self._rng.randrange(len(chunk) + 1)]
                await self._inner.close()
                raise TransportError("simulated: stream cut", delivered=True)
            yield chunk

    async def close(self) -> None:
        await self._inner.close()
