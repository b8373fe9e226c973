"""AWS by botocore: its credentials, its signatures, its retries (standard mode). Blocking calls run in threads of their own."""

import asyncio
import base64
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import Any, TypeVar

import botocore.exceptions
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.signers import RequestSigner

from aliquot import __version__
from aliquot.clock import SystemClock
from aliquot.eks.aws import regions, sessions
from aliquot.eks.aws.api import (
    DENIED,
    EXPIRED,
    NO_CREDENTIALS,
    NOT_VALID,
    THROTTLED,
    UNKNOWN_OUTCOME,
    UNREACHABLE,
    WRONG_PARAMETERS,
    Failure,
)
from aliquot.eks.aws.aws_clock import AwsClock

T = TypeVar("T")

_AT_ONCE = 8
_CONNECT_S, _READ_S = 10, 60
_ATTEMPTS = 6
_TOKEN_S = 60
"""Of the signature. EKS takes the token for 15 minutes."""
_ANEW_S = 600.0
_AGE = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_SKEWED = frozenset({"RequestTimeTooSkewed"})
_OTHER_TIME = re.compile(r"Signature (expired|not yet current)")
_CUT_SHORT = frozenset({"PriorRequestNotComplete", "RequestTimeout", "RequestTimeoutException"})
_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z]+)")
_PREFIXES = {"service-quotas": "servicequotas"}
"""Of actions in policies, where it is not the service's name."""
_BLANKS = re.compile(r"\s+")


class Boto:
    """An `Api`. To be used in one event loop, and closed."""

    def __init__(
        self,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        """`endpoints`: where a service is, other than AWS says; `""` for all the others. Raises Failure."""
        self._endpoints = endpoints or {}
        self._profile = profile
        try:
            self._session = sessions.session(profile)
            self._session.get_scoped_config()
            # botocore reads AWS_DEFAULT_REGION alone; the command line and all other SDKs go by AWS_REGION first.
            found = region or os.environ.get("AWS_REGION") or self._session.get_config_variable("region")
        except botocore.exceptions.BotoCoreError as error:
            raise Failure("aws", "configuration", NO_CREDENTIALS, _line(error)) from None
        if not found:
            raise Failure(
                "aws", "configuration", NO_CREDENTIALS, "no region is set: give --region, or set AWS_REGION"
            )
        self.region = str(found)
        # Not left to a name that nobody resolves: an endpoint of somebody's own answers for whatever region it is asked for.
        if wrong := regions.problem(self.region, self._session):
            raise Failure("aws", "configuration", NO_CREDENTIALS, wrong)
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            user_agent_extra=f"aliquot/{__version__}",
            max_pool_connections=_AT_ONCE,
        )
        self._clients: dict[str, Any] = {}
        self._making, self._counting = Lock(), Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.clock = AwsClock(SystemClock())
        self.calls: Counter[str] = Counter()
        """`service:Operation`, each request that was sent: each page, each retry."""

    async def __aenter__(self) -> "Boto":
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is under way is left: nobody waits for an endpoint that does not answer."""

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            answer: dict[str, Any] = self._client(service)._make_api_call(operation, parameters)
            self.clock.hear(answer.pop("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
            return answer

        return await self._in_thread(service, operation, work)

    async def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        def begin() -> Iterator[dict[str, Any]]:
            return iter(self._client(service).get_paginator(xform_name(operation)).paginate(**parameters))

        iterator = begin()
        while page := await self._in_thread(service, operation, lambda: next(iterator, None)):
            self.clock.hear(page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
            for item in page.get(result) or ():
                yield item

    async def kubernetes_tokens(self, cluster: str) -> Callable[[], str]:
        """By which an EKS cluster's API server knows who we are: a call of ours to STS, signed and not made. Good for 15 minutes, so
        each time it is asked for, one that still is. Raises Failure, at first and each time."""
        tokens = _Tokens(lambda: self._told("sts", "GetCallerIdentity", lambda: self._signed(cluster)))
        await self._in_thread("sts", "GetCallerIdentity", tokens)
        return tokens

    def _signed(self, cluster: str) -> str:
        sts = self._client("sts")
        signer = RequestSigner(
            sts.meta.service_model.service_id,
            self.region,
            "sts",
            "v4",
            self._session.get_credentials(),
            self._session.get_component("event_emitter"),
        )
        request = {
            "method": "GET",
            "url": f"https://sts.{self.region}.{_domain(self.region)}/?Action=GetCallerIdentity&Version=2011-06-15",
            "body": {},
            "headers": {"x-k8s-aws-id": cluster},
            "context": {},
        }
        signed = signer.generate_presigned_url(
            request, region_name=self.region, expires_in=_TOKEN_S, operation_name=""
        )
        return "k8s-aws-v1." + base64.urlsafe_b64encode(signed.encode()).decode().rstrip("=")

    async def _in_thread(self, service: str, operation: str, work: Callable[[], T]) -> T:
        """In one that does not outlive the program: those of an executor are waited for at its end, for as long as a call may hang."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[T] = loop.create_future()

        def answer(found: T) -> None:
            if not answered.done():
                answered.set_result(found)

        def refuse(error: BaseException) -> None:
            if not answered.done():
                answered.set_exception(error)

        def whole() -> None:
            told: Callable[[], None]
            try:
                found = self._told(service, operation, work)
                told = partial(answer, found)
            except BaseException as error:
                told = partial(refuse, error)
            with suppress(RuntimeError):
                # Of a loop that is closed: nobody waits any more.
                loop.call_soon_threadsafe(told)

        async with self._slots:
            Thread(target=whole, name="aws", daemon=True).start()
            return await answered

    def _told(self, service: str, operation: str, work: Callable[[], T]) -> T:
        """What `work` gives; what it raises as Failure."""
        try:
            return work()
        except botocore.exceptions.ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            raise self._failed(service, operation, error.response.get("Error", {}), status) from None
        except (
            botocore.exceptions.NoCredentialsError,
            botocore.exceptions.PartialCredentialsError,
            botocore.exceptions.CredentialRetrievalError,
            botocore.exceptions.TokenRetrievalError,
            botocore.exceptions.SSOError,
        ) as error:
            message = f"{_line(error)}: sign in first ({self._how()})"
            raise Failure(service, operation, NO_CREDENTIALS, message) from None
        except botocore.exceptions.ParamValidationError as error:
            raise Failure(service, operation, WRONG_PARAMETERS, _line(error)) from None
        except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError) as error:
            raise Failure(service, operation, UNREACHABLE, _line(error)) from None
        except botocore.exceptions.BotoCoreError as error:
            raise Failure(service, operation, type(error).__name__, _line(error)) from None
        except RuntimeError as error:
            if "refreshed credentials" not in str(error):
                raise
            # Those of an environment that says when they end: botocore reads the same ones again.
            message = f"the credentials have expired: sign in again ({self._how()})"
            raise Failure(service, operation, NO_CREDENTIALS, message) from None

    def _client(self, service: str) -> Any:
        # Making clients is not safe in threads; using them is.
        with self._making:
            if service not in self._clients:
                client = self._session.create_client(
                    service,
                    region_name=_region_of(service, self.region),
                    endpoint_url=self._endpoints.get(service, self._endpoints.get("")),
                    config=self._config,
                )
                client.meta.events.register("before-send", self._count)
                self._clients[service] = client
            return self._clients[service]

    def _count(self, event_name: str, **_: Any) -> None:
        service, operation = event_name.split(".")[1:]
        with self._counting:
            self.calls[f"{service}:{operation}"] += 1

    def _failed(self, service: str, operation: str, error: Mapping[str, str], status: int) -> Failure:
        code = error.get("Code", "Unknown")
        message = _BLANKS.sub(" ", error.get("Message") or code)
        if status == 429 and code not in THROTTLED:
            code = "TooManyRequestsException"
        elif (status >= 500 or code in _CUT_SHORT) and code not in THROTTLED | UNKNOWN_OUTCOME:
            # A gateway on the way, or a service under another name for it.
            code, message = UNREACHABLE, f"{status} {message}"
        if code in _SKEWED or (code in NOT_VALID and _OTHER_TIME.search(message)):
            message = f"the clock of this machine is not that of AWS: set it, by NTP ({message})"
        elif code in EXPIRED:
            message = f"the credentials have expired: sign in again ({self._how()})"
        elif code in NOT_VALID:
            message = f"AWS does not know these credentials ({self._how()}): {message}"
        elif code in DENIED:
            found = _ACTION.search(message)
            action = found[1] if found else f"{_PREFIXES.get(service, service)}:{operation}"
            message = f"the permission {action} is missing: {message}"
        return Failure(service, operation, code, message)

    def _how(self) -> str:
        return (
            f"profile {self._profile}"
            if self._profile
            else "aws sso login, AWS_PROFILE, or keys in the environment"
        )


class _Tokens:
    """One for some minutes, then another one."""

    def __init__(self, sign: Callable[[], str]) -> None:
        self._sign = sign
        self._token, self._until_s = "", 0.0

    def __call__(self) -> str:
        # Not by a clock that is set; and while this machine sleeps the token grows old.
        now_s = time.clock_gettime(_AGE)
        if now_s >= self._until_s:
            self._token, self._until_s = self._sign(), now_s + _ANEW_S
        return self._token


def _region_of(service: str, region: str) -> str:
    """The price list is in few regions, and has the prices of all."""
    if service == "pricing":
        return "cn-northwest-1" if region.startswith("cn-") else "us-east-1"
    return region


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _line(error: Exception) -> str:
    return _BLANKS.sub(" ", str(error)).strip().rstrip(".")
