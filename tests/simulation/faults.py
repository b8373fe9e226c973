"""What goes wrong between components and the API server, drawn from seeded sources.

The server's side is the emulator's own faults on request; what only a client can meet, a server that cannot be reached
at all, is here.
"""

import random

from aliquot.emulator.faults import Cut, Error, FaultyApplication, Rule, WatchFault
from aliquot.emulator.faults.application import Application
from aliquot.kube.transport import Request, Response, Transport, TransportError

_REFUSED = 0.03
_ERRORS = (Error(status=429, retry_after_seconds=1), Error(status=500), Error(status=503))
_STORM = (
    Rule(delay_seconds=0.01, jitter_seconds=2.0, probability=0.1),
    *(Rule(error=error, probability=0.013) for error in _ERRORS),
    Rule(cut=Cut.REQUEST, probability=0.01),
    Rule(cut=Cut.ANSWER, probability=0.02),
    Rule(cut=Cut.MIDDLE, probability=0.01),
    Rule(watch=WatchFault(lag_seconds=2.0), probability=0.05),
    Rule(watch=WatchFault(cut_share=0.02)),
)


class Weather:
    """Over `app`, for all who reach it through `self.app` and `over`; calm at first. Watches keep the weather that
    they began in."""

    def __init__(self, app: Application, rng: random.Random) -> None:
        self.app = FaultyApplication(app, rng=rng)
        self.refused = 0.0
        """Share of requests that are never delivered."""

    def storm(self) -> None:
        self.refused = _REFUSED
        self.app.set_rules(*_STORM)

    def calm(self) -> None:
        self.refused = 0.0
        self.app.set_rules()

    def over(self, transport: Transport, rng: random.Random) -> Transport:
        return _UnreachableAtTimes(transport, self, rng)


class _UnreachableAtTimes:
    def __init__(self, inner: Transport, weather: Weather, rng: random.Random) -> None:
        self._inner = inner
        self._weather = weather
        self._rng = rng

    async def send(self, request: Request) -> Response:
        if self._rng.random() < self._weather.refused:
            raise TransportError("simulated: connection refused", delivered=False)
        return await self._inner.send(request)

    async def close(self) -> None:
        await self._inner.close()
