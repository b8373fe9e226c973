"""One request to its answer, asked again for as long as that is safe, useful and in time.

Safe: what may have been done is repeated only when doing it twice does no more than doing it once. Useful: the
server is overloaded, failing or out of reach; a refusal stays a refusal. In time: everything ends at one deadline.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import msgspec

from aliquot.kube import errors
from aliquot.kube.retry import Budget, RetryPolicy
from aliquot.kube.transport import Request, Response, Transport, TransportError


class Caller:
    """`timeout_s` bounds each call, its retries and their delays included."""

    def __init__(
        self,
        transport: Transport,
        *,
        rng: random.Random,
        user_agent: str,
        retry: RetryPolicy,
        timeout_s: float,
    ) -> None:
        self._transport = transport
        self._rng = rng
        self._user_agent = user_agent
        self._retry = retry
        self._budget = Budget(retry)
        self._timeout_s = timeout_s

    async def close(self) -> None:
        await self._transport.close()

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        repeatable: bool = True,
    ) -> bytes:
        """The body of a 2xx answer. `repeatable`: doing it twice does no more than doing it once. Raises ApiError."""
        data = b"" if body is None else msgspec.json.encode(body)
        headers = self._headers(accept) | ({"Content-Type": content_type} if data else {})
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        attempt = 0
        in_doubt = False
        while True:
            attempt += 1
            left_s = max(0.001, deadline - loop.time())
            try:
                async with asyncio.timeout_at(deadline):
                    answer = await self._exchange(Request(method, path, query or {}, headers, data, left_s))
                self._budget.succeeded()
                return answer
            except TransportError as failure:
                error: errors.ApiError = errors.Unavailable(f"{method} {path}: {failure}", code=0)
                error.__cause__ = failure
                delivered = failure.delivered
                again = repeatable or not delivered
            except TimeoutError:
                message = f"{method} {path}: no answer within {self._timeout_s:g} s"
                raise errors.Unavailable(message, code=0) from None
            except (errors.Unavailable, errors.TooManyRequests) as failure:
                error = failure
                delivered = True
                # With Retry-After the server says that it has not acted; an eviction refused for now comes without.
                again = (repeatable and failure.code != 501) or failure.retry_after_s is not None
            except errors.NotFound:
                if method == "DELETE" and in_doubt:
                    # An earlier attempt was cut off, and has done it.
                    return b""
                raise
            in_doubt = in_doubt or delivered
            delay_s = max(error.retry_after_s or 0.0, self._retry.delay_s(attempt, self._rng))
            late = loop.time() + delay_s >= deadline
            if not again or attempt >= self._retry.attempts or late or not self._budget.spend():
                raise error
            await asyncio.sleep(delay_s)

    async def open(self, path: str, query: Mapping[str, str]) -> Response:
        """A 200 whose body is still to come, asked for once. Close it. Raises ApiError and TransportError."""
        request = Request("GET", path, query, self._headers("application/json"), b"", self._timeout_s)
        response = await self._transport.send(request)
        try:
            if response.status == 200:
                return response
            async with asyncio.timeout(self._timeout_s):
                body = await response.read()
        except BaseException:
            await response.close()
            raise
        await response.close()
        raise errors.from_response(response.status, response.headers, body)

    async def _exchange(self, request: Request) -> bytes:
        response = await self._transport.send(request)
        try:
            body = await response.read()
        finally:
            await response.close()
        if 200 <= response.status < 300:
            return body
        raise errors.from_response(response.status, response.headers, body)

    def _headers(self, accept: str) -> dict[str, str]:
        return {"Accept": accept, "User-Agent": self._user_agent}
