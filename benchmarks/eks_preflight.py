"""`aliquot eks preflight`, whole: 10,000 live objects over HTTP, and 5,000 files of manifests; each a process, from its start to its end.

Beside the live one: a process that asks for the same pages of the same kinds, one after the other, and lets each be read as JSON. Beside
the files: one that reads the same files with PyYAML's C loader. Neither judges anything. Time and the most memory are the kernel's
figures; the server is a process of its own and shares the machine.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import eks_manifests
from benchmarks.clusters import machine
from benchmarks.eks_objects import KINDS
from benchmarks.measured import Run, run

OBJECTS, FILES = 10_000, 5_000
LIVE_GOAL_S, LIVE_GOAL_MIB, FILES_GOAL_S = 10, 300, 15

_LISTING = """\
import http.client, json, sys
server = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for path in sys.argv[2:]:
    more = ""
    while True:
        server.request("GET", f"{path}?limit=500{more}")
        page = json.loads(server.getresponse().read())
        if "continue" not in page["metadata"]:
            break
        more = "&continue=" + page["metadata"]["continue"]
"""
_LOADING = """\
import sys, yaml
from pathlib import Path
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        try:
            for _ in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
                pass
        except yaml.YAMLError:
            pass
"""
_PREFLIGHT = (sys.executable, "-m", "aliquot.cli.main", "eks", "preflight", "--to", "1.33")
_ENDS = (0, 4, 6)


def main(short: bool = False) -> None:
    objects, files, rounds = (1_000, 500, 1) if short else (OBJECTS, FILES, 3)
    with tempfile.TemporaryDirectory(prefix="aliquot-bench-") as directory:
        _live(Path(directory), objects, rounds)
        _files(Path(directory) / "manifests", files, rounds)


def _live(directory: Path, count: int, rounds: int) -> None:
    with _server(count) as port:
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(port))
        listing = _best([sys.executable, "-c", _LISTING, str(port), *KINDS], rounds)
        before = _asked(port)
        preflight = _best([*_PREFLIGHT, "--kubernetes", "--helm", "--kubeconfig", str(kubeconfig)], rounds)
        pages = {path: (times - before.get(path, 0)) // rounds for path, times in _asked(port).items()}
    print(f"{count:,} live objects and the releases of Helm (best of {rounds}; {machine()})")
    print(f"  goal: {OBJECTS:,} under {LIVE_GOAL_S} s and {LIVE_GOAL_MIB} MiB")
    _table("listing and reading JSON", listing, "preflight", preflight)
    sizes = {path: int(count * share) for path, (share, _) in KINDS.items()}
    most = {path: times for path, times in pages.items() if times > 1}
    told = ", ".join(
        f"{path.rpartition('/')[2]} {times} ({sizes[path]:,} objects)" for path, times in most.items()
    )
    print(
        f"  {sum(pages.values())} requests; one each for {len(pages) - len(most)} paths, pages of: {told or 'none'}"
    )


def _files(root: Path, count: int, rounds: int) -> None:
    size = eks_manifests.write(root, count)
    loading = _best([sys.executable, "-c", _LOADING, str(root)], rounds)
    preflight = _best([*_PREFLIGHT, "--manifests", str(root)], rounds)
    print(f"{count:,} files of manifests, {size / 2**20:.1f} MiB (best of {rounds}; {machine()})")
    print(f"  goal: {FILES:,} under {FILES_GOAL_S} s")
    _table("PyYAML's C loader", loading, "preflight", preflight)


def _best(command: Sequence[str], rounds: int) -> Run:
    """Noise only ever adds."""
    runs = [run(command, ends=_ENDS) for _ in range(rounds)]
    return min(runs, key=lambda one: one.wall_s)


def _table(baseline: str, least: Run, name: str, ours: Run) -> None:
    print(f"  {'':<26}{'wall s':>8}{'cpu s':>8}{'MiB':>6}{'CPU x the first':>17}")
    for label, one in ((baseline, least), (name, ours)):
        print(
            f"  {label:<26}{one.wall_s:>8.2f}{one.cpu_s:>8.2f}{one.most_mib:>6.0f}{one.cpu_s / least.cpu_s:>17.2f}",
            flush=True,
        )


@contextmanager
def _server(count: int) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.eks_objects", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.stdin.close()


def _asked(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/asked") as answer:
        found: dict[str, int] = json.load(answer)
        return found


def _kubeconfig(port: int) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "stub", "user": {}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}],
        }
    )
