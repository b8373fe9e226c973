"""Whether rights are there, asked before anything goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from aliquot.eks.aws.api import NO_CREDENTIALS, Failure
from aliquot.eks.upgrade.acts.rights_check import Action, Right, RightsCheck, Seen, judged, look
from aliquot.eks.upgrade.doing import ACCEPT, Attempt, Decision, Doors
from aliquot.eks.upgrade.verdicts import Done, Hold
from tests.eks.cluster_roles import PLANNER, UPGRADER, UPGRADERS, apply
from tests.eks.upgrade.acts.worlds import World, client, on_virtual_time

GPU = "arn:aws:eks:eu-west-1:111122223333:nodegroup/prod/gpu/*"
CLUSTER = "arn:aws:eks:eu-west-1:111122223333:cluster/prod"
ROLL = Action("eks:UpdateNodegroupVersion", GPU)
UPGRADE = Action("eks:UpdateClusterVersion", CLUSTER)
USER = "arn:aws:iam::111122223333:user/ada"
JOBS = Right("patch", "batch", "jobs")
PROBE = Right("create", "", "configmaps", "default")
EVERYWHERE = Right("create", "", "configmaps")
NOT_THERE = Right("patch", "ray.io", "rayjobs")
NOT_THERE_EITHER = Right("list", "argoproj.io", "applications")

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Aws:
    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    async def call(self, _service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.asked.append({"operation": operation, **parameters})
        return self.answers[operation](parameters)


def _who(arn: str) -> Answer:
    return lambda _: {"Arn": arn}


def _says(decision: str, *missing: str) -> Answer:
    return lambda asked: {
        "EvaluationResults": [
            {"EvalActionName": name, "EvalDecision": decision, "MissingContextValues": list(missing)}
            for name in asked["ActionNames"]
        ]
    }


def _refuses(code: str) -> Answer:
    def refuse(_asked: dict[str, Any]) -> dict[str, Any]:
        raise Failure("iam", "SimulatePrincipalPolicy", code, "may not")

    return refuse


def _check(*wanted: Right | Action) -> RightsCheck:
    return RightsCheck(
        in_cluster=tuple(one for one in wanted if isinstance(one, Right)),
        at_aws=tuple(one for one in wanted if isinstance(one, Action)),
    )


@on_virtual_time
async def test_an_api_server_is_asked_for_kinds_that_are_there(world: World) -> None:
    await apply(world.kube, PLANNER, UPGRADER)
    wanted = _check(JOBS, PROBE, EVERYWHERE, NOT_THERE, NOT_THERE_EITHER)
    api = Aws(GetCallerIdentity=_who(USER))

    async def seen(*groups: str) -> Seen:
        kube = client(world.server, world.clock, "ada", "system:authenticated", *groups)
        return await look(wanted, Doors(api=api, clock=world.clock, client=kube))  # type: ignore[arg-type]

    assert await seen(UPGRADERS) == Seen(missing=("create configmaps",), there=3)
    assert (await seen()).missing == (
        "patch jobs.batch",
        "create configmaps in default",
        "create configmaps",
        "list applications.argoproj.io",
    )


@pytest.mark.parametrize(
    ("simulated", "seen"),
    [
        (_says("allowed"), Seen(there=2)),
        (_says("implicitDeny"), Seen(missing=(str(UPGRADE), str(ROLL)))),
        (_says("explicitDeny", "aws:SourceIp"), Seen(missing=(str(UPGRADE), str(ROLL)))),
        (
            _says("implicitDeny", "aws:SourceIp"),
            Seen(unchecked=(f"{UPGRADE}: it hangs on aws:SourceIp", f"{ROLL}: it hangs on aws:SourceIp")),
        ),
        (
            lambda _: {},
            Seen(unchecked=(f"{UPGRADE}: IAM says nothing of it", f"{ROLL}: IAM says nothing of it")),
        ),
        (
            _refuses("AccessDenied"),
            Seen(unchecked=("rights at AWS: iam:SimulatePrincipalPolicy: may not",)),
        ),
    ],
    ids=["allowed", "denied", "denied by name", "a condition", "no answer", "may not ask"],
)
def test_iam_is_asked_where_it_may_be(simulated: Answer, seen: Seen) -> None:
    api = Aws(GetCallerIdentity=_who(USER), SimulatePrincipalPolicy=simulated)

    @on_virtual_time
    async def work(world: World) -> Seen:
        return await look(
            _check(UPGRADE, ROLL),
            Doors(api=api, clock=world.clock, client=world.kube),  # type: ignore[arg-type]
        )

    assert work() == seen
    assert api.asked[1]["PolicySourceArn"] == USER
    assert (api.asked[1]["ActionNames"], api.asked[1]["ResourceArns"]) == ([UPGRADE.name], [CLUSTER])


def test_of_a_session_the_role_is_simulated_by_its_whole_name() -> None:
    role = "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/Admin"
    api = Aws(
        GetCallerIdentity=_who("arn:aws:sts::111122223333:assumed-role/Admin/ada"),
        GetRole=lambda asked: {"Role": {"Arn": role if asked == {"RoleName": "Admin"} else ""}},
        SimulatePrincipalPolicy=_says("allowed"),
    )

    @on_virtual_time
    async def work(world: World) -> None:
        await look(_check(ROLL), Doors(api=api, clock=world.clock, client=world.kube))  # type: ignore[arg-type]

    work()
    assert api.asked[-1]["PolicySourceArn"] == role


def test_whoever_is_not_signed_in_hears_that() -> None:
    api = Aws(GetCallerIdentity=_refuses(NO_CREDENTIALS))

    @on_virtual_time
    async def work(world: World) -> None:
        with pytest.raises(Failure, match="may not"):
            await look(_check(ROLL), Doors(api=api, clock=world.clock, client=world.kube))  # type: ignore[arg-type]

    work()


def test_what_is_missing_holds_and_what_nobody_answers_is_told() -> None:
    attempt = Attempt(run="r", step="1.32/preflight/rights", token="t", before=(), began_s=0, now_s=0)
    said = judged(_check(), Seen(missing=(str(JOBS), str(ROLL)), unchecked=("x: why",)), attempt)
    assert isinstance(said, Hold)
    assert said.why == (
        f"its steps take rights that you do not have: patch jobs.batch, eks:UpdateNodegroupVersion on {GPU}; not checked: x: why"
    )
    assert judged(_check(), Seen(there=3, unchecked=("x: why",)), attempt) == Done(
        "3 rights that its steps take are there; not checked: x: why"
    )
    accepted = Decision(kind=ACCEPT, step=attempt.step, by="ada", at_s=0)
    lived_with = judged(
        _check(),
        Seen(missing=(str(JOBS),)),
        Attempt(
            run="r",
            step=attempt.step,
            token="t",
            before=(),
            began_s=0,
            now_s=0,
            decisions=(accepted,),
        ),
    )
    assert lived_with == Done("ada accepted that these rights are not there: patch jobs.batch")
