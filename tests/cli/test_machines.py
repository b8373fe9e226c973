"""Machines that outlive the process, and a runtime that must not be taken for another."""

import asyncio
from pathlib import Path

import pytest

from aliquot.cli import machines
from aliquot.cli.cluster import EmulatedNode
from aliquot.cli.plan import LocalClusterError, Plan
from aliquot.cli.state import StateDirectory
from aliquot.emulator.kubelet.runtimes.base import ContainerConfig, LogOptions, Runtime
from aliquot.emulator.versions import STANDARD
from aliquot.gpu import inventory
from aliquot.gpu.driver import MigState


def planned(state: Path, *, runtime: str, last_runtime: str = "", gpus: str = "l4:1") -> Plan:
    node = inventory.InventoryNode("node-0", {}, inventory.parse_gpus(gpus))
    return Plan(
        state=StateDirectory(state),
        inventory=inventory.Inventory((node,)),
        gone=(),
        dropped_labels={},
        surface=STANDARD,
        runtime=runtime,
        last_runtime=last_runtime,
        agents=True,
        operator=False,
        operator_outside=False,
        port=0,
        last_port=0,
        sockets=False,
        patience_s=1.0,
    )


def machine(plan: Plan) -> EmulatedNode:
    return machines.build(plan, plan.inventory.nodes[0], pod_network="10.128.3.0/24")


async def start(runtime: Runtime) -> str:
    """Gives the id of a container that runs: it has printed something."""
    config = ContainerConfig(
        pod_uid="u",
        pod_namespace="ns",
        pod_name="p",
        name="main",
        attempt=0,
        image="i",
        command=("sh", "-c", "echo here; exec sleep 600"),
    )
    container = await runtime.start(config)
    async for printed in runtime.logs(container.id, LogOptions(follow=True)):
        if printed:
            break
    return container.id


@pytest.mark.parametrize("last", ["simulated", "process"])
def test_another_runtime_is_refused_while_containers_of_the_last_one_are_alive(
    tmp_path: Path, last: str
) -> None:
    other = {"simulated": "process", "process": "simulated"}[last]
    runtime = machine(planned(tmp_path, runtime=last)).runtime
    container = asyncio.run(start(runtime))
    try:
        machines.refuse_another_runtime(planned(tmp_path, runtime=last, last_runtime=last))
        with pytest.raises(LocalClusterError) as caught:
            machines.refuse_another_runtime(planned(tmp_path, runtime=other, last_runtime=last))
        assert str(caught.value) == (
            f"1 container of the {last} runtime is alive, the first on node-0: "
            f"start with --runtime {last} and delete their pods, or choose another --state DIR"
        )
    finally:
        runtime.reboot()
    machines.refuse_another_runtime(planned(tmp_path, runtime=other, last_runtime=last))
    runtime.remove(container)


def test_a_first_start_may_have_any_runtime(tmp_path: Path) -> None:
    machines.refuse_another_runtime(planned(tmp_path, runtime="process"))


def test_a_machine_with_other_gpus_starts_anew(tmp_path: Path) -> None:
    before = machine(planned(tmp_path, runtime="simulated", gpus="h100-80gb:1"))
    (gpu,) = before.driver.gpus()
    before.driver.set_mig_mode(gpu.uuid, True)
    again = machine(planned(tmp_path, runtime="simulated", gpus="h100-80gb:1"))
    assert [g.mig for g in again.driver.gpus()] == [MigState.ENABLED]
    rebuilt = machine(planned(tmp_path, runtime="simulated", gpus="h100-80gb:2"))
    assert [g.mig for g in rebuilt.driver.gpus()] == [MigState.DISABLED] * 2
    assert rebuilt.machine.pod_cidr == "10.128.3.0/24"


@pytest.mark.parametrize("runtime", ["simulated", "process"])
def test_no_pod_outlives_the_board_that_it_ran_on(tmp_path: Path, runtime: str) -> None:
    container = asyncio.run(start(machine(planned(tmp_path, runtime=runtime)).runtime))
    same = machine(planned(tmp_path, runtime=runtime)).runtime
    assert [one.running for one in same.containers("u")] == [True]
    others = machine(planned(tmp_path, runtime=runtime, gpus="t4:1")).runtime
    assert [one.running for one in others.containers("u")] == [False]
    others.remove(container)
