"""What AWS and the API server say instead of an answer: what passes is waited for, the rest is a person's. Pure."""

from aliquot.eks.aws.api import (
    DENIED,
    THROTTLED,
    UNKNOWN_OUTCOME,
    UNSIGNED,
    WRONG_PARAMETERS,
    Failure,
)
from aliquot.eks.upgrade.verdicts import Hold, Wait
from aliquot.kube.errors import ApiError, Forbidden, Unauthorized

AGAIN_S = 20.0
PATIENCE_S = 7200.0
"""Without one answer. What is over by then the run outlives by itself; of what is not, its exit code and `status` tell."""
UNKNOWN_TO_S = 600.0
"""For an API server to know who we are: while its control plane is replaced it may not."""
_IN_USE = frozenset({"ResourceInUseException"})


def judged(error: Failure | ApiError, lasts_s: float) -> Wait | Hold:
    """`lasts_s`: for how long nothing else has come."""
    if isinstance(error, ApiError):
        return _of_cluster(error, lasts_s)
    if error.code in _IN_USE:
        # Somebody else's update is on its way, however long it takes.
        return Wait(AGAIN_S, str(error))
    if error.code in THROTTLED | UNKNOWN_OUTCOME:
        return _passing(error, lasts_s)
    if error.code in UNSIGNED:
        return Hold(str(error), "then retry")
    if error.code in DENIED:
        return Hold(str(error), "give whoever runs this the permission, then retry")
    if error.code == WRONG_PARAMETERS:
        return Hold(str(error), "this is a defect of the plan: plan anew, and tell us")
    if error.code == "ResourceNotFoundException":
        return Hold(
            str(error),
            "if it is gone for good, end the run where it is (aliquot eks abort CLUSTER --leave) and plan the rest anew; else retry, or go back",
        )
    return Hold(str(error), "put that right, then retry; or go back")


def _of_cluster(error: ApiError, lasts_s: float) -> Wait | Hold:
    if isinstance(error, Unauthorized):
        if lasts_s < UNKNOWN_TO_S:
            return Wait(AGAIN_S, f"the API server does not know us: {error}")
        return Hold(
            f"the API server does not know us: {error}",
            "sign in again, or give whoever runs this an access entry of the cluster; then retry",
        )
    if isinstance(error, Forbidden):
        return Hold(f"the API server refuses it: {error}", "give this user the right, then retry")
    if error.code in (0, 410, 429) or error.code >= 500:
        return _passing(error, lasts_s)
    return Hold(f"the API server refuses it: {error}", "put that right, then retry; or go back")


def _passing(error: Failure | ApiError, lasts_s: float) -> Wait | Hold:
    """Nothing is known to have been decided: look again."""
    if lasts_s < PATIENCE_S:
        return Wait(AGAIN_S, str(error))
    return Hold(
        f"for {lasts_s / 3600:.0f} h there was no answer: {error}",
        "once there is one, retry; or, from where there is one, go back",
    )
