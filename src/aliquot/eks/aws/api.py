"""The door: any operation of any service by its name in AWS' own models."""

from collections.abc import AsyncIterator
from typing import Any, Protocol


class Failure(Exception):
    """An operation that failed. Its text is one line that says what to do, where that is known."""

    def __init__(self, service: str, operation: str, code: str, message: str) -> None:
        """`code`: as AWS says it (`ResourceInUseException`), or one of ours below."""
        super().__init__(f"{service}:{operation}: {message}")
        self.service = service
        self.operation = operation
        self.code = code
        self.message = message


NO_CREDENTIALS = "NoCredentials"
UNREACHABLE = "Unreachable"
WRONG_PARAMETERS = "WrongParameters"
"""Codes of ours: nothing has reached AWS, or nobody can tell (unreachable)."""

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
NOT_VALID = frozenset(
    {
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
UNSIGNED = EXPIRED | NOT_VALID | {NO_CREDENTIALS}
"""Whoever asks has to sign in."""
UNKNOWN_OUTCOME = frozenset(
    {UNREACHABLE, "ServerException", "InternalFailure", "ServiceUnavailableException"}
)
"""Whether it was done has to be looked up before it is done again."""


class Api(Protocol):
    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """`call("eks", "DescribeCluster", name="prod")`. Raises Failure."""
        ...

    def pages(
        self, service: str, operation: str, result: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any] | str]:
        """Every item of the list `result` that the operation's paginator goes through. Raises Failure."""
        ...
