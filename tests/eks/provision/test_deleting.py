from typing import Any

import pytest

from aliquot.eks.provision.creating import NotMade
from aliquot.eks.provision.deleting import Deletion, NotGone
from aliquot.eks.provision.remains import Stays
from tests.eks.fake.worlds import ROLE
from tests.eks.provision.accounts import REGION, Aws, account, pause, run
from tests.eks.provision.files import FULL, GPU
from tests.eks.provision.making import NAMES, create, left

EFA = FULL.replace("g5.xlarge", "p4d.24xlarge").replace(
    "  minSize: 0\n", "  efaEnabled: true\n  placement: {}\n  minSize: 0\n"
)


def deletion(aws: Aws) -> Deletion:
    return Deletion(aws, NAMES, pause=pause, tell=lambda line: None)


async def titles(aws: Aws) -> list[str]:
    return [one.title for one in await deletion(aws).remains()]


def test_nothing_is_left_and_what_goes_was_shown() -> None:
    with account("us-east-1") as aws:
        text = EFA.replace(REGION, "us-east-1")
        names = type(NAMES)("prod", "us-east-1", {})
        told: list[str] = []
        work = Deletion(aws, names, pause=pause, tell=told.append)

        async def all_of_it() -> list[str]:
            await create(aws, text)
            shown = [one.title for one in await work.remains()]
            await work.run()
            return shown

        shown = run(all_of_it())
        assert left(aws) == []
        assert run(titles(aws)) == []
        assert [line for line in told if not line.startswith(" ")] == shown
        kinds = (
            "node group",
            "Fargate profile",
            "cluster",
            "placement group",
            "NAT gateway",
            "VPC",
            "key",
            "log group",
            "role",
        )
        assert all(any(line.startswith(kind) for line in shown) for kind in kinds)
        # Groups before their cluster, the cluster before its network, roles last.
        order = [
            next(at for at, line in enumerate(shown) if line.startswith(kind))
            for kind in ("node group", "cluster", "NAT", "subnet", "VPC", "role")
        ]
        assert order == sorted(order)


def test_the_same_name_can_be_made_again() -> None:
    with account() as aws:

        async def twice() -> None:
            for _ in range(2):
                await create(aws, FULL)
                await deletion(aws).run()

        run(twice())
        assert left(aws) == []


def test_a_cluster_that_was_half_made_goes_without_a_file() -> None:
    with account() as aws:
        fleet: Any = aws.world.fleet
        fleet.never_ready.add("gpu")
        with pytest.raises(NotMade):
            run(create(aws))
        run(deletion(aws).run())
        assert left(aws) == []


def test_a_vpc_that_was_there_stays() -> None:
    with account() as aws:
        ec2 = aws.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        ids = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{at}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                "Subnet"
            ]["SubnetId"]
            for at, zone in enumerate("abc")
        ]
        text = GPU.replace("  privateNetworking: true\n", "") + (
            f"vpc: {{id: {vpc}, subnets: {{public: {{a: {{id: {ids[0]}}}, b: {{id: {ids[1]}}}, c: {{id: {ids[2]}}}}}}}}}\n"
        )
        run(create(aws, text))
        run(deletion(aws).run())
        assert left(aws) == []
        assert len(ec2.describe_subnets(SubnetIds=ids)["Subnets"]) == 3


def test_what_others_have_made_is_not_touched() -> None:
    with account() as aws:
        ec2 = aws.client("ec2")
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]

        async def by_others() -> None:
            await aws.call(
                "eks", "CreateCluster", name="prod", roleArn=ROLE, resourcesVpcConfig={"subnetIds": subnets}
            )

        run(by_others())
        with pytest.raises(Stays, match="cluster prod was not made by Aliquot"):
            run(deletion(aws).run())


def test_protection_and_load_balancers_stop_it_before_anything_goes() -> None:
    with account() as aws:
        run(create(aws, GPU + "deletionProtection: true\n"))
        aws.calls.clear()
        with pytest.raises(Stays, match="deletion protection of prod is on: switch it off first"):
            run(deletion(aws).run())
        aws.world.clusters["prod"].told["deletionProtection"] = False
        ec2 = aws.client("ec2")
        subnet = next(
            one["SubnetId"]
            for one in ec2.describe_subnets()["Subnets"]
            if one["CidrBlock"].startswith("192.168.")
        )
        ec2.create_network_interface(SubnetId=subnet, Description="ELB app/shop/1")
        with pytest.raises(Stays, match=r"a load balancer stands in vpc-\w+ \(ELB app/shop/1\)"):
            run(deletion(aws).run())
        assert aws.writes().total() == 0


@pytest.mark.parametrize("tag", ["kubernetes.io/cluster/prod", "elbv2.k8s.aws/cluster"])
def test_a_load_balancer_of_the_cluster_in_a_vpc_that_was_there_before_stays_it(tag: str) -> None:
    with account() as aws:
        run(create(aws))
        ec2 = aws.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="k8s-elb", Description="k8s", VpcId=vpc)["GroupId"]
        ec2.create_network_interface(SubnetId=subnet, Description="ELB app/others/1")
        assert run(titles(aws))
        ec2.create_tags(Resources=[group], Tags=[{"Key": tag, "Value": "prod"}])
        ec2.create_network_interface(SubnetId=subnet, Description="ELB net/shop/1", Groups=[group])
        with pytest.raises(Stays, match=rf"a load balancer stands in {vpc} \(ELB net/shop/1\)"):
            run(deletion(aws).run())


def test_groups_that_others_have_added_go_and_are_told_so() -> None:
    with account() as aws:
        run(create(aws))
        subnets = aws.world.clusters["prod"].told["resourcesVpcConfig"]["subnetIds"]

        async def add() -> list[str]:
            await aws.call(
                "eks",
                "CreateNodegroup",
                clusterName="prod",
                nodegroupName="mine",
                nodeRole=ROLE,
                subnets=subnets,
            )
            return await titles(aws)

        assert "node group mine (not made by Aliquot; it goes with its cluster)" in run(add())
        run(deletion(aws).run())
        assert left(aws) == []


def test_what_is_in_the_way_of_a_vpc_is_named() -> None:
    with account() as aws:
        run(create(aws))
        ec2 = aws.client("ec2")
        vpc = next(
            one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if one["CidrBlock"] == "192.168.0.0/16"
        )
        ec2.create_subnet(VpcId=vpc, CidrBlock="192.168.192.0/24")

        def refused(service: str, operation: str) -> None:
            from aliquot.eks.aws.api import Failure

            if operation == "DeleteVpc":
                raise Failure(service, operation, "DependencyViolation", "The vpc has dependencies")

        aws.before = refused
        with pytest.raises(
            NotGone, match=r"VPC vpc-\w+ does not go: .* what others have put there: .*subnet-"
        ):
            run(deletion(aws).run())
