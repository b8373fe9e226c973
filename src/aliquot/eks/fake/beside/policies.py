"""IAM's simulation of policies: here whoever asks may do everything, and that is what it says."""

from typing import Any

from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World


def simulate(_world: World, call: dict[str, Any], _now_s: float) -> dict[str, Any]:
    source = call["PolicySourceArn"]
    if not source.startswith("arn:"):
        raise Refused("InvalidInput", f"ARN {source} is not valid.")
    return {
        "EvaluationResults": [
            {"EvalActionName": action, "EvalResourceName": on, "EvalDecision": "allowed"}
            for action in call["ActionNames"]
            for on in call.get("ResourceArns") or ("*",)
        ]
    }
