"""The driver of each GPU node group, as it is and as it would be: against its GPUs, and against the CUDA that its pods bring along.

Nodes say best which driver they have; else it is told by the release of their AMI. Which release a group would get is AWS' word; what
is in it is in `versions/amis`.
"""

from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct

from aliquot.eks.estate.estate import Estate
from aliquot.eks.estate.gangs import GPU_PREFIXES, asks_gpus
from aliquot.eks.estate.objects import Node, Objects
from aliquot.eks.preflight import cuda_needs
from aliquot.eks.preflight.cuda_needs import Need, NotTold
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.pools import Asking, Pool, asking, gpu_families, pools, some, unplaced
from aliquot.eks.versions import amis, drivers
from aliquot.eks.versions.drivers import Cuda, Driver, Family, Fit
from aliquot.eks.versions.minor import Minor

CHECK = "gpu-driver"
_FULL = "nvidia.com/cuda.driver-version.full"
_PARTS = ("nvidia.com/cuda.driver.major", "nvidia.com/cuda.driver.minor", "nvidia.com/cuda.driver.rev")
_CUSTOM = "CUSTOM"


class _Has(Struct, frozen=True):
    driver: Driver
    by: str
    """`release 1.31.7-20250620 of its AMI`."""

    @property
    def text(self) -> str:
        return f"driver {drivers.text(self.driver)} ({self.by})"


def judge(estate: Estate, to: Minor) -> Iterator[Finding | Unchecked]:
    objects = estate.objects or Objects()
    waiting = unplaced(objects)
    by_agent = {
        one["metadata"]["name"]: str((one.get("status") or {}).get("driverVersion", ""))
        for one in objects.of("GPUNode")
    }
    for pool in pools(estate):
        families = gpu_families(estate, pool)
        strange = _strange(estate, pool)
        yield from strange
        if not families and not strange and not any(_has_gpus(node) for node in pool.nodes):
            continue
        if wrong_kind := _kind_of_ami(pool, families):
            yield wrong_kind
            if wrong_kind.severity is Severity.BLOCK:
                continue
        now = _now(pool, by_agent)
        then = _then(estate, pool, to, now)
        used = pool.group is not None or any(asks_gpus(pod.spec) for pod in pool.pods)
        if now is None and used and (pool.nodes or then is None):
            yield Unchecked(what=f"the driver of {pool.name}", why=_unknown_driver(pool))
        elif then is None and pool.group is not None and pool.group.ami_type == _CUSTOM:
            yield Unchecked(
                what=f"the driver that {pool.name} will have",
                why=f"it runs an AMI of yours: see that the one for {to} has a driver that its pods and GPUs need",
            )
        yield from _against_gpus(pool, families, now, then, to)
        yield from _against_pods(pool, families, now, then, to, waiting)


def _strange(estate: Estate, pool: Pool) -> list[Unchecked]:
    """Instance types with GPUs of NVIDIA that came after the table."""
    types = set(pool.instance_types) | set(estate.types_of(pool.group) if pool.group is not None else ())
    return [
        Unchecked(
            what=f"the GPUs of {pool.name} ({one.name}: {one.gpu})",
            why="nothing is known yet of which driver they need",
        )
        for one in estate.instance_types
        if one.name in types and one.gpus and one.gpu_maker == "NVIDIA" and drivers.family(one.name) is None
    ]


def _has_gpus(node: Node) -> bool:
    """Kubelet goes on telling of a resource that is gone, with none of it."""
    return any(
        name.startswith(GPU_PREFIXES) and str(count) != "0" for name, count in node.status.capacity.items()
    )


def _kind_of_ami(pool: Pool, families: tuple[Family, ...]) -> Finding | None:
    group = pool.group
    if group is None or not families or group.ami_type == _CUSTOM or amis.has_gpu_software(group.ami_type):
        return None
    works = any(_has_gpus(node) for node in pool.nodes)
    by_hand = "somebody else puts a driver on it, which has to go with the new AMI's kernel, too"
    return Finding(
        check=CHECK,
        severity=Severity.WARN if works else Severity.BLOCK,
        what=pool.name,
        why=f"{group.ami_type} has no driver for the {families[0].gpu} of its {families[0].name} instances: {by_hand if works else 'no pod gets a GPU there'}",
        fix="make a new group of AL2023_x86_64_NVIDIA (or the NVIDIA kind of Bottlerocket) beside it, and move the work over",
    )


def _now(pool: Pool, by_agent: dict[str, str]) -> _Has | None:
    """The oldest of its nodes. `by_agent`: what Aliquot's agent says of each."""
    told = [found for node in pool.nodes if (found := _of_node(node, by_agent.get(node.metadata.name, "")))]
    if told:
        return min(told, key=lambda one: one.driver)
    group = pool.group
    contents = None if group is None else amis.of_release(group.ami_type, group.minor, group.release)
    if group is None or contents is None:
        return None
    return _Has(contents.driver, f"release {group.release} of its AMI")


def _of_node(node: Node, by_agent: str) -> _Has | None:
    labels = node.metadata.labels
    parts = [labels.get(label, "") for label in _PARTS]
    for written in (by_agent, labels.get(_FULL, ""), ".".join(part for part in parts if part)):
        try:
            return _Has(drivers.parse(written), f"as node {node.metadata.name} says")
        except ValueError:
            continue
    return None


def _then(estate: Estate, pool: Pool, to: Minor, now: _Has | None) -> _Has | None:
    group = pool.group
    if group is None or group.ami_type == _CUSTOM:
        return None
    if not amis.has_gpu_software(group.ami_type):
        # The AMI has none: whoever put it there does so again.
        return now
    named = (group.ami_type, to)
    release = next((one.release for one in estate.recommended if (one.ami_type, one.minor) == named), "")
    contents = amis.of_release(group.ami_type, to, release)
    by = f"release {release}, which AWS recommends for {to}"
    if contents is None:
        contents = amis.newest(group.ami_type, to)
        if contents is None:
            return None
        by = f"the newest release for {to}, as known on {_dated(amis.AS_OF)}"
    present = amis.of_release(group.ami_type, group.minor, group.release)
    if now is not None and present is not None and present.assumed and contents.driver < now.driver:
        # Releases of now are later than what is known of them: the next does not go back behind it.
        return now
    return _Has(contents.driver, by)


def _dated(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"


def _unknown_driver(pool: Pool) -> str:
    if pool.group is None:
        return (
            "its nodes do not say which they have: GPU feature discovery or Aliquot's agent writes it on them"
        )
    if pool.group.ami_type == _CUSTOM:
        return "it runs an AMI of yours, and its nodes do not say which driver they have"
    return f"nothing is known of release {pool.group.release!r} of {pool.group.ami_type}, and its nodes do not say which driver they have"


def _against_gpus(
    pool: Pool, families: tuple[Family, ...], now: _Has | None, then: _Has | None, to: Minor
) -> Iterator[Finding]:
    for family in families:
        wrong_now = now and _misfit(family, now.driver)
        wrong_then = then and _misfit(family, then.driver)
        if now is not None and wrong_now:
            yield Finding(
                check=CHECK,
                severity=Severity.BLOCK,
                what=pool.name,
                why=f"it has {now.text}; {wrong_now}",
                fix=_fix_of_gpu(family),
            )
        elif then is not None and wrong_then:
            yield Finding(
                check=CHECK,
                severity=Severity.BLOCK,
                what=pool.name,
                why=f"it would get {then.text}; {wrong_then}",
                fix=_fix_of_gpu(family),
                minor=to,
            )
    if now is not None and then is not None and then.driver[0] < now.driver[0]:
        yield Finding(
            check=CHECK,
            severity=Severity.WARN,
            what=pool.name,
            why=f"it has {now.text}, and would go back to {then.text}",
            fix="name a release with the driver that you want when the group is updated (releaseVersion)",
            minor=to,
        )


def _misfit(family: Family, driver: Driver) -> str:
    if family.least is not None and not drivers.reaches(driver, family.least):
        return f"the {family.gpu} of {family.name} needs {drivers.text(family.least)} or later"
    if family.last_branch is not None and driver[0] > family.last_branch:
        return f"{family.last_branch} is the last branch for the {family.gpu} of {family.name}"
    return ""


def _fix_of_gpu(family: Family) -> str:
    if family.last_branch is not None and family.least is None:
        return f"stay on a release of branch {family.last_branch} at most, or move to newer instances"
    return "name a release that has such a driver (releaseVersion), or build an AMI with it"


def _against_pods(
    pool: Pool,
    families: tuple[Family, ...],
    now: _Has | None,
    then: _Has | None,
    to: Minor,
    waiting: tuple[Asking, ...],
) -> Iterator[Finding | Unchecked]:
    needs: dict[tuple[Cuda, bool], list[tuple[str, str]]] = defaultdict(list)
    silent: dict[str, tuple[str, list[str]]] = {}
    for one in asking(pool, waiting):
        for need in cuda_needs.of_pod(one.metadata, one.spec):
            if isinstance(need, NotTold):
                silent.setdefault(need.image, (need.why, []))[1].append(one.what)
            else:
                needs[need.cuda, need.package].append((one.what, need.told_by))
    for (cuda, package), told in sorted(needs.items()):
        who = some(sorted({what for what, _ in told}))
        need = Need(cuda, told[0][1], package)
        yield from _against_driver(pool, need, who, now, then, to)
        for family in families:
            yield from _against_architecture(pool, family, need, who)
    known = [one.driver for one in (now, then) if one is not None]
    if known and not all(drivers.runs_all_known(driver) for driver in known):
        for image, (why, names) in sorted(silent.items()):
            yield Unchecked(
                what=f"CUDA of {image or 'an image'} on {pool.name} ({some(names)})",
                why=f"{why}; the driver there does not run every CUDA: say it by the annotation {cuda_needs.ANNOTATION}",
            )


def _against_driver(
    pool: Pool, need: Need, who: str, now: _Has | None, then: _Has | None, to: Minor
) -> Iterator[Finding | Unchecked]:
    brings = f"CUDA {_cuda(need.cuda)} ({need.told_by})"
    fits = [drivers.fit(one.driver, need.cuda, package=need.package) if one else None for one in (now, then)]
    if Fit.UNKNOWN in fits:
        yield Unchecked(
            what=f"{brings} of {who} on {pool.name}", why="nothing is known yet of what that CUDA needs"
        )
        return
    least = drivers.least_for(need.cuda)
    needs = f"it needs {drivers.text(least)} or later" if least else ""
    if now is not None and fits[0] is Fit.TOO_OLD:
        later = then is not None and fits[1] is Fit.TOO_OLD
        yield _finding(
            pool,
            Severity.BLOCK,
            who,
            f"{brings} does not start today: {needs}, and there is {now.text}"
            + (", and no better in the release that it would get" if later else ""),
            _newer(pool, need, least),
        )
    elif then is not None and fits[1] is Fit.TOO_OLD:
        yield _finding(
            pool,
            Severity.BLOCK,
            who,
            f"{brings} would not start any more: {needs}, and there would be {then.text}",
            f"name a release with such a driver when the group is updated, or take an image of CUDA {drivers.newest_major(then.driver)}",
            to,
        )
    elif then is not None and fits[1] is Fit.BY_PACKAGE:
        yield _finding(
            pool,
            Severity.WARN,
            who,
            f"{brings} runs by the forward compatibility package of its image alone: {needs}, and there would be {then.text}",
            "see that it starts on one node first, or name a release with such a driver",
            to,
        )
    elif then is not None:
        yield from _by_minor_compatibility(pool, need, who, now, then, to)


def _by_minor_compatibility(
    pool: Pool, need: Need, who: str, now: _Has | None, then: _Has, to: Minor
) -> Iterator[Finding]:
    came = drivers.came_with(need.cuda)
    if came is None or drivers.reaches(then.driver, came):
        return
    lost = now is not None and drivers.reaches(now.driver, came)
    yield _finding(
        pool,
        Severity.WARN if lost else Severity.INFO,
        who,
        f"CUDA {_cuda(need.cuda)} came with driver {drivers.text(came)}; with {then.text} it runs by minor version compatibility: code that is compiled at run time (PTX) and new calls are not there",
        "see that it starts on one node first",
        to,
    )


def _against_architecture(pool: Pool, family: Family, need: Need, who: str) -> Iterator[Finding]:
    if family.last_cuda is not None and need.cuda[0] > family.last_cuda:
        yield _finding(
            pool,
            Severity.BLOCK,
            who,
            f"CUDA {_cuda(need.cuda)} ({need.told_by}) has no code for the {family.gpu} of {family.name}, which ends with CUDA {family.last_cuda}",
            f"take an image of CUDA {family.last_cuda}, or other instances",
        )
    elif family.first_cuda is not None and need.cuda < family.first_cuda:
        yield _finding(
            pool,
            Severity.WARN,
            who,
            f"CUDA {_cuda(need.cuda)} ({need.told_by}) is older than the {family.gpu} of {family.name}, which begins with CUDA {_cuda(family.first_cuda)}: it runs by compiling at start, if at all",
            f"take an image of CUDA {_cuda(family.first_cuda)} or later",
        )


def _newer(pool: Pool, need: Need, least: Driver | None) -> str:
    older = f"take an image of CUDA {need.cuda[0] - 1}"
    group = pool.group
    first = amis.first_with(group.ami_type, group.minor, least) if group is not None and least else None
    if group is None or first is None:
        return f"give its nodes a newer driver, or {older}"
    return f"bring the group to release {first.release} or later first, or {older}"


def _finding(
    pool: Pool, severity: Severity, who: str, why: str, fix: str, minor: Minor | None = None
) -> Finding:
    return Finding(check=CHECK, severity=severity, what=pool.name, where=who, why=why, fix=fix, minor=minor)


def _cuda(cuda: Cuda) -> str:
    return f"{cuda[0]}.{cuda[1]}"
