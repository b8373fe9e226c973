from aliquot.eks.provision.costs import of
from aliquot.eks.provision.creating import there
from aliquot.eks.provision.differences import differences
from tests.eks.provision.accounts import account, run
from tests.eks.provision.files import GPU, PLAIN
from tests.eks.provision.making import create, plan
from tests.eks.provision.sites import wanted


def test_where_the_cluster_is_not_as_the_file_has_it_is_told_and_left_so() -> None:
    changed = (
        GPU.replace('"1.33"', '"1.34"')
        .replace("maxSize: 4", "maxSize: 9")
        .replace("m5.large", "m5.xlarge")
        .replace("desiredCapacity: 2", "minSize: 2\n  maxSize: 2")
        + "vpc: {clusterEndpoints: {privateAccess: true}}\n"
    )
    with account() as aws:

        async def work() -> tuple[list[str], list[str]]:
            await create(aws, GPU)
            same = (await plan(aws, GPU)).resources
            unchanged = differences(same, await there(aws, same, "prod"))
            other = (await plan(aws, changed)).resources
            return unchanged, differences(other, await there(aws, other, "prod"))

        unchanged, told = run(work())
    assert unchanged == []
    assert {line.split(": ", 1)[1] for line in told if line.startswith("cluster")} == {
        "version is 1.33, not 1.34 as in the file; it is left so",
        "resourcesVpcConfig.endpointPrivateAccess is False, not True as in the file; it is left so",
    }
    groups = [
        line.split("STANDARD: ")[-1].split("NVIDIA: ")[-1] for line in told if line.startswith("node group")
    ]
    assert "instanceTypes is m5.large, not m5.xlarge as in the file; it is left so" in groups
    assert "scalingConfig.maxSize is 4, not 9 as in the file; it is left so" in groups


def test_what_is_known_of_the_price_and_what_is_not() -> None:
    config = wanted(GPU).config
    costs = of(config, 0.10, {"m5.large": 0.10}, 1)
    assert costs.known == 0.10 + 2 * 0.10
    assert costs.lines() == [
        "0.30 USD an hour are known of: control plane 0.10, 2 x m5.large 0.20",
        "not priced: 1 x g5.xlarge, 1 NAT gateway, disks, traffic, logs",
    ]
    spot = of(
        wanted(GPU.replace("  minSize: 0\n", "  spot: true\n  minSize: 0\n")).config,
        0.1,
        {"g5.xlarge": 1.0},
        0,
    )
    assert "not priced: 1 x g5.xlarge (spot), 2 x m5.large, " in spot.lines()[1]
    assert of(wanted(PLAIN).config, 0.1, {}, 0).lines()[1] == "not priced: disks, traffic, logs"
