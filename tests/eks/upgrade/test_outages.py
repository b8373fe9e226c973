"""What passes, for how long it is waited for, and what a person is told of the rest."""

import pytest

from aliquot.eks.aws.api import Failure
from aliquot.eks.upgrade.outages import AGAIN_S, PATIENCE_S, UNKNOWN_TO_S, judged
from aliquot.eks.upgrade.verdicts import Hold, Wait
from aliquot.kube.errors import ApiError, Forbidden, NotFound, TooManyRequests, Unauthorized, Unavailable


def failure(code: str) -> Failure:
    return Failure("eks", "DescribeCluster", code, "so it said")


@pytest.mark.parametrize(
    ("error", "until_s"),
    [
        (failure("ThrottlingException"), PATIENCE_S),
        (failure("EC2ThrottledException"), PATIENCE_S),
        (failure("Unreachable"), PATIENCE_S),
        (failure("ServerException"), PATIENCE_S),
        (Unavailable("no answer", code=0), PATIENCE_S),
        (Unavailable("later", code=503), PATIENCE_S),
        (TooManyRequests("slower", code=429), PATIENCE_S),
        (Unauthorized("Unauthorized", code=401), UNKNOWN_TO_S),
    ],
)
def test_what_passes_is_waited_for_and_not_for_ever(error: Failure | ApiError, until_s: float) -> None:
    for lasts_s in (0.0, until_s - 1):
        waits = judged(error, lasts_s)
        assert isinstance(waits, Wait)
        assert waits.seconds == AGAIN_S
        assert str(error) in waits.why
    held = judged(error, until_s)
    assert isinstance(held, Hold)
    assert str(error) in held.why
    assert "retry" in held.todo


def test_an_update_of_somebody_else_takes_as_long_as_it_takes() -> None:
    assert isinstance(judged(failure("ResourceInUseException"), 10 * PATIENCE_S), Wait)


@pytest.mark.parametrize(
    ("error", "todo"),
    [
        (failure("ExpiredTokenException"), "then retry"),
        (failure("SignatureDoesNotMatch"), "then retry"),
        (failure("NoCredentials"), "then retry"),
        (failure("AccessDeniedException"), "the permission"),
        (failure("WrongParameters"), "a defect of the plan"),
        (failure("ResourceNotFoundException"), "--leave"),
        (failure("InvalidRequestException"), "put that right"),
        (Forbidden("no", code=403), "give this user the right"),
        (NotFound("none", code=404), "put that right"),
    ],
)
def test_what_does_not_pass_is_a_persons_at_once(error: Failure | ApiError, todo: str) -> None:
    held = judged(error, 0.0)
    assert isinstance(held, Hold)
    assert todo in held.todo
