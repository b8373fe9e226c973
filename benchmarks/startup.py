"""`aliquot up` to the first Ready node, beside a bare Python start in the same run."""

import subprocess
import sys
import time

from benchmarks.clusters import cluster, machine


def main(short: bool = False) -> None:
    rounds = 2 if short else 7
    bare, up = [], []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - started)
        with cluster("--nodes", "1", "--gpus", "h100-80gb:8") as running:
            up.append(running.ready_after_s)
    print(f"aliquot up --detach, 1 node with 8 GPUs, to Ready ({rounds} runs; {machine()})")
    print(
        f"  min {min(up):.2f} s   median {sorted(up)[rounds // 2]:.2f} s   max {max(up):.2f} s   goal: under 3 s"
    )
    print(
        f"  {sorted(up)[rounds // 2] / sorted(bare)[rounds // 2]:.0f} times a bare Python start ({min(bare) * 1000:.0f} ms)"
    )
