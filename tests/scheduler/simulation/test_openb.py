import pytest

from aliquot.scheduler.core.fragmentation import Task
from aliquot.scheduler.simulation.openb import read_nodes, read_pods
from aliquot.scheduler.simulation.trace import Node, Pod, TraceError

NODES = "sn,cpu_milli,memory_mib,gpu,model"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos"


def test_nodes() -> None:
    found = read_nodes([NODES, "a,96000,393216,8,G2", "b,32000,262144,0,"], source="nodes.csv")
    assert found == [Node("a", 96000, 393216, 8, "G2"), Node("b", 32000, 262144, 0, "")]


def test_pods_with_and_without_the_column_of_models() -> None:
    lines = [PODS, "p,1000,2048,1,470,V100M16|V100M32|V100M32,LS", "q,500,1,0,0,,BE", "r,1,1,8,1000,,LS"]
    assert read_pods(lines, source="pods.csv") == [
        Pod("p", Task(1000, 470, 1, frozenset({"V100M16", "V100M32"})), 2048),
        Pod("q", Task(500), 1),
        Pod("r", Task(1, 1000, 8), 1),
    ]
    short = ["name,cpu_milli,memory_mib,num_gpu,gpu_milli", "p,1000,2048,1,470"]
    assert read_pods(short, source="pods.csv") == [Pod("p", Task(1000, 470, 1), 2048)]


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            [],
            "f.csv:1: no column sn, cpu_milli, memory_mib, gpu, model; needed are sn, cpu_milli, memory_mib, gpu, model",
        ),
        (
            ["sn,cpu_milli,gpu,model"],
            "f.csv:1: no column memory_mib; needed are sn, cpu_milli, memory_mib, gpu, model",
        ),
        ([NODES], "f.csv: no nodes"),
        ([NODES, "a,1,1,0,", "b,many,1,0,"], "f.csv:3: cpu_milli is 'many', not a whole number from 0 on"),
        ([NODES, "a,-1,1,0,"], "f.csv:2: cpu_milli is '-1', not a whole number from 0 on"),
        ([NODES, "a,1,1,0"], "f.csv:2: 4 cells under 5 columns"),
        ([NODES, "", "a,1,1,2,"], "f.csv:3: model is empty, but the node has GPUs"),
        ([NODES, ",1,1,0,"], "f.csv:2: sn is empty"),
        ([NODES, "a,1,1,0,", "a,1,1,0,"], "f.csv:3: sn 'a' is there twice"),
    ],
)
def test_a_bad_list_of_nodes_is_one_line_with_its_place(lines: list[str], error: str) -> None:
    with pytest.raises(TraceError) as raised:
        read_nodes(lines, source="f.csv")
    assert str(raised.value) == error


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("p,1,1,1,1200,,", "f.csv:2: gpu_milli is 1200; a GPU has 1000"),
        ("p,1,1,1,0,,", "f.csv:2: gpu_milli is 0, but num_gpu is 1"),
        ("p,1,1,0,500,,", "f.csv:2: gpu_milli is 500, but num_gpu is 0"),
        ("p,1,1,2,500,,", "f.csv:2: gpu_milli is 500 of 2 GPUs; only one GPU can be asked for in part"),
        ("p,1,x,0,0,,", "f.csv:2: memory_mib is 'x', not a whole number from 0 on"),
        ("p,1,1,0,0,,,", "f.csv:2: 8 cells under 7 columns"),
    ],
)
def test_a_bad_list_of_pods_is_one_line_with_its_place(line: str, error: str) -> None:
    with pytest.raises(TraceError) as raised:
        read_pods([PODS, line], source="f.csv")
    assert str(raised.value) == error
