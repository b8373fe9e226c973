"""The policy that the manual hands out, against what is called."""

import json
from pathlib import Path

from aliquot.eks.provision.deleting import Deletion
from tests.eks.provision.accounts import account, pause, run
from tests.eks.provision.files import FULL
from tests.eks.provision.making import NAMES, create
from tests.eks.provision.sites import planned
from tests.eks.provision.test_wanted import BLOCK, EVERYTHING

POLICY = Path(__file__).parents[3] / "examples" / "eks" / "provisioner-policy.json"
BY_OTHERS = {
    "ec2:CreateTags": "what is made with tags",
    "ec2:RunInstances": "EKS tries a launch template as whoever makes the group",
    "eks:TagResource": "what is made with tags",
    "iam:CreateServiceLinkedRole": "EKS makes its own roles as whoever makes the first cluster",
    "iam:PassRole": "roles are given to EKS",
    "iam:TagOpenIDConnectProvider": "what is made with tags",
    "iam:TagRole": "what is made with tags",
    "kms:CreateGrant": "EKS takes the key as whoever makes the cluster",
    "kms:TagResource": "what is made with tags",
    "logs:TagResource": "what is made with tags",
    "pricing:GetProducts": "what is shown before",
    "ec2:DescribeCapacityReservations": "of files that name one",
}


def allowed() -> set[str]:
    statements = json.loads(POLICY.read_text())["Statement"]
    actions = [action for statement in statements for action in statement["Action"]]
    assert len(actions) == len(set(actions))
    return set(actions)


def test_it_allows_what_is_called_and_nothing_else() -> None:
    with account() as aws:

        async def work() -> None:
            await create(aws, FULL)
            await Deletion(aws, NAMES, pause=pause, tell=lambda line: None).run()

        run(work())
        called = set(aws.calls)
    plan = planned(EVERYTHING, **BLOCK)
    for one in plan.resources:
        called |= {f"{one.make.service}:{one.make.operation}", f"{one.look.service}:{one.look.operation}"}
    called |= {"ec2:DeletePlacementGroup", "ec2:DeleteSecurityGroup", "ec2:DeleteNetworkInterface"}
    called |= {f"ec2:RevokeSecurityGroup{way}" for way in ("Ingress", "Egress")}
    called |= {f"eks:{word}FargateProfile" for word in ("Describe", "Delete")}
    assert called - allowed() == set()
    assert allowed() - called == set(BY_OTHERS)
