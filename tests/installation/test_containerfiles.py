"""What deploy/images/ builds is what the installation runs: no engine is here to build it, so each step is held against the tree,
the lock files and the pods; the wheel is built for real, and runs with what the lock file has and nothing else."""

import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from aliquot import __version__
from aliquot.cli.main import cli
from aliquot.installation import hook, rendering
from aliquot.installation.rendering import Offers
from aliquot.installation.values import OUR_IMAGE, Values
from aliquot.kube.api.gpupolicy import GPUPolicy
from aliquot.kube.api.meta import OwnerReference
from aliquot.node.validation.workload import Workload, manifest
from aliquot.operator.core.operands import parse_image, shipped
from aliquot.operator.core.policies import read
from aliquot.operator.core.pools import Pool
from aliquot.operator.core.rendering.operands import manifests
from tests.installation.containerfile import Stage, copied, ignored, parse

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "deploy/images"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRA = "partition"
POLICY = {
    "pods": {"labels": {"aliquot.dev/queue": "system"}, "imagePullSecrets": ["mirror"]},
    "agent": {"config": "plugin"},
}


def pods() -> Iterator[tuple[str, Json]]:
    """All that an installation and its policies can start, with a name for people."""
    for offers in (Offers(), Offers("")):
        for one in (*rendering.objects(Values(), offers), *hook.objects(Values())):
            if one["kind"] in ("Deployment", "DaemonSet", "Job"):
                yield one["metadata"]["name"], one["spec"]["template"]["spec"]
    for spec in ({}, POLICY, {"validator": {"workload": False}}):
        policy = msgspec.convert({"metadata": {"name": "all"}, "spec": spec}, GPUPolicy)
        plan = read(policy, 0.0, shipped(parse_image(OUR_IMAGE)))
        for one in manifests(plan, "aliquot-system", [Pool("ubuntu24.04")]):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
    owner = OwnerReference(api_version="v1", kind="Pod", name="validator", uid="1")
    tried = manifest(Workload(OUR_IMAGE, "aliquot-system"), "node-0", "nvidia.com/gpu", owner)
    yield "validation", tried["spec"]


def containers() -> Iterator[tuple[str, Json, Json]]:
    """Of images of ours: (its pod's name, the pod, the container)."""
    for name, pod in pods():
        for one in (*pod.get("initContainers", ()), *pod["containers"]):
            if not one["image"].startswith("nvcr.io/"):
                yield name, pod, one


def stages() -> list[Stage]:
    return parse((IMAGES / "aliquot.Containerfile").read_text())


def locked(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """What a lock file has here: name -> (version, hashes)."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for entry in re.split(r"\n(?=\S)", path.read_text()):
        requirement = Requirement(entry.partition("\\")[0].partition("--hash")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            hashes: frozenset[str] = frozenset(re.findall(r"--hash=(\S+)", entry))
            found[canonicalize_name(requirement.name)] = (str(requirement.specifier), hashes)
    return found


def needed(requirements: list[str]) -> set[str]:
    """With what they need themselves."""
    found: set[str] = set()
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        if name in found or (one.marker is not None and not one.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        waiting += map(Requirement, distribution(name).requires or ())
        assert not one.extras, f"{one}: extras are not looked at here"
    return found


def test_every_image_of_ours_has_a_file_and_every_file_is_of_an_image() -> None:
    named = {parse_image(one["image"]).name for _, _, one in containers()}
    assert named == {path.name.removesuffix(".Containerfile") for path in IMAGES.glob("*.Containerfile")}


@pytest.mark.parametrize(
    ("args", "name"),
    sorted({(tuple(one["args"]), name) for name, _, one in containers()}),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_pod_runs_is_a_command_line(
    args: tuple[str, ...], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "node-0")
    command: click.Command = cli
    words = list(args)
    while isinstance(command, click.Group):
        called = words.pop(0)
        found = command.get_command(click.Context(command), called)
        assert found is not None, called
        command = found
    # Raises UsageError.
    command.make_context(args[0], words)


def test_the_program_that_pods_name_is_on_the_path() -> None:
    build, image = stages()
    assert "aliquot" in PROJECT["project"]["scripts"]
    for name, _, one in containers():
        assert one["command"] == image.words("ENTRYPOINT") == ["aliquot"], name
    (path,) = [word for word in " ".join(image.all("ENV")).split() if word.startswith("PATH=")]
    (where,) = [copied(one) for one in image.all("COPY")]
    assert path == f"PATH={where.target}/bin:$PATH"
    # A virtual environment works in the place alone where it was made, with the interpreter that made it.
    assert (where.stage, where.sources) == (build.name, [where.target])
    assert any(one.endswith(f"-m venv --without-pip {where.target}") for one in build.all("RUN"))
    assert build.base == image.base


def test_bases_are_named_by_an_exact_version_that_the_program_runs_on() -> None:
    for stage in stages():
        found = re.fullmatch(
            r"docker\.io/library/python:(\d+\.\d+)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", stage.base
        )
        assert found is not None, stage.base
        # The tests run on it too.
        assert found[1] == "{}.{}".format(*sys.version_info)


def test_who_is_root_says_so() -> None:
    user = stages()[-1].all("USER")[-1].partition(":")[0]
    # Kubelet lets `runAsNonRoot` be by a number alone.
    assert user.isdecimal()
    assert user != "0"
    for name, pod, one in containers():
        context = {**pod.get("securityContext", {}), **one.get("securityContext", {})}
        is_root = context.get("runAsUser", int(user)) == 0
        assert is_root is (name == "aliquot-all-agent"), name
        assert is_root is bool(context.get("privileged")), name


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = (ROOT / ".dockerignore").read_text()
    for stage in stages():
        for one in map(copied, stage.all("COPY")):
            for source in () if one.stage else one.sources:
                assert (ROOT / source).exists(), source
                assert not ignored(let_in, Path(source)), source
    for path in (
        ".venv",
        ".git",
        "tests/e2e/commands.py",
        "src/aliquot/__pycache__/x.pyc",
        "docs/operator.md",
    ):
        assert ignored(let_in, Path(path)), path


def test_the_lock_files_have_what_is_needed_and_no_more() -> None:
    everything = locked(ROOT / "requirements.lock")
    project = PROJECT["project"]
    for name, wanted in (
        ("run", [*project["dependencies"], *project["optional-dependencies"][EXTRA]]),
        ("build", PROJECT["dependency-groups"]["build"]),
    ):
        found = locked(IMAGES / f"{name}.lock")
        assert found.keys() == needed(wanted)
        assert all(everything[one] == found[one] for one in found)
        assert all(hashes for _, hashes in found.values())
    assert set(PROJECT["build-system"]["requires"]) <= set(PROJECT["dependency-groups"]["build"])


def test_nothing_is_loaded_that_is_not_locked() -> None:
    (build, _) = stages()
    for step in build.all("RUN"):
        for command in step.split("&&"):
            if re.search(r"\bpip\b.*\b(install|wheel)\b", command):
                assert "--no-deps" in command
                assert "--require-hashes" in command or "--no-index" in command
                # Whoever is built in isolation gets what the registry has.
                assert (
                    "--no-build-isolation" in command
                    or "--only-binary :all:" in command
                    or "*.whl" in command
                )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of the image: the wheel of what is let into the build, and beside it the packages of run.lock."""
    place = tmp_path_factory.mktemp("image")
    let_in = (ROOT / ".dockerignore").read_text()
    for stage in stages():
        for one in map(copied, stage.all("COPY")):
            for source in () if one.stage else one.sources:
                for path in [ROOT / source, *(ROOT / source).rglob("*")]:
                    name = path.relative_to(ROOT)
                    if path.is_file() and not ignored(let_in, name):
                        (place / "src" / name).parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(path, place / "src" / name)
    run("-m", "hatchling", "build", "-t", "wheel", "-d", str(place / "wheels"), cwd=place / "src")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    python = place / "venv/bin/python"
    (wheel,) = (place / "wheels").glob("*.whl")
    run("-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps", str(wheel))
    (site,) = (place / "venv/lib").glob("*/site-packages")
    for package in locked(IMAGES / "run.lock"):
        for entry in top_level(distribution(package)):
            (site / entry.name).symlink_to(entry)
    return place / "venv/bin"


def run(*args: str, cwd: Path | None = None) -> None:
    done = subprocess.run([sys.executable, *args], cwd=cwd, check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr


def top_level(found: Distribution) -> set[Path]:
    names = {Path(str(one)).parts[0] for one in found.files or ()} - {"..", "__pycache__"}
    return {Path(str(found.locate_file(name))) for name in names}


def test_the_wheel_runs_with_what_the_lock_file_has(image: Path) -> None:
    done = subprocess.run([image / "aliquot", "version"], check=False, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert __version__ in done.stdout


EVERY_MODULE = """
import importlib, pkgutil, aliquot
# The plugin is of pytest, which brings itself; break glass is no part of an installation.
left_out = (
    "aliquot.cli.pytest_plugin",
    "aliquot.access",
    "aliquot.cli.access",
    "aliquot.eks",
    "aliquot.cli.eks",
    "aliquot.sql",
)
for one in pkgutil.walk_packages(aliquot.__path__, "aliquot."):
    if not one.name.startswith(left_out) and not one.name.endswith("__main__"):
        importlib.import_module(one.name)
from aliquot.partition.integer_program import is_installed
assert is_installed()
print(aliquot.__file__)
"""


def test_every_module_of_it_finds_what_it_imports(image: Path) -> None:
    done = subprocess.run(
        [image / "python", "-I", "-c", EVERY_MODULE], check=False, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(image.parent))
