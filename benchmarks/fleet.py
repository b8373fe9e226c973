"""500 simulated nodes with 4,000 GPUs: time to ready and memory of all processes, beside one node in the same run."""

from benchmarks.clusters import cluster, machine


def main(short: bool = False) -> None:
    nodes = 50 if short else 500
    with cluster("--nodes", "1", "--gpus", "h100-80gb:8") as one:
        one_s, one_mib = one.ready_after_s, one.resident_mib()
    with cluster("--nodes", str(nodes), "--gpus", "h100-80gb:8") as many:
        many_s, many_mib = many.ready_after_s, many.resident_mib()
    print(f"nodes with 8 GPUs each, simulated runtime ({machine()})")
    print(f"  {1:>4} node:   ready after {one_s:6.2f} s, {one_mib:6.0f} MiB resident")
    print(f"  {nodes:>4} nodes:  ready after {many_s:6.2f} s, {many_mib:6.0f} MiB resident")
    per_node = (many_mib - one_mib) / (nodes - 1)
    print(
        f"  each further node costs {1000 * (many_s - one_s) / (nodes - 1):.1f} ms and {1024 * per_node:.0f} KiB"
    )
    print("  goal for 500: under 30 s and under 1,024 MiB")
