"""Quotas of the account that nodes which come on top would go over: EC2 starts none of them then, and the roll stands."""

from collections.abc import Iterator

from aliquot.counting import counted
from aliquot.eks.estate.estate import Estate, Nodegroup, Quota
from aliquot.eks.estate.quotas import GP3_STORAGE, code_of
from aliquot.eks.preflight.findings import Finding, Severity, Unchecked
from aliquot.eks.preflight.surge import nodes_on_top

CHECK = "quotas"
_DISK_GIB = 20
"""Of a node of which nothing else is said."""
_GIB_OF_A_TIB = 1024


def judge(estate: Estate) -> Iterator[Finding | Unchecked]:
    if not estate.quotas:
        # They could not be read, which is said there, or no group grows.
        return
    by_code = {quota.code: quota for quota in estate.quotas}
    for group in estate.nodegroups:
        nodes = nodes_on_top(estate, group)
        if not nodes or group.capacity == "CAPACITY_BLOCK":
            continue
        yield from _vcpus(estate, group, nodes, by_code)
        disk_gib = group.disk_gib or max((one.disk_gib for one in estate.templates_of(group)), default=0)
        tib = nodes * (disk_gib or _DISK_GIB) / _GIB_OF_A_TIB
        if GP3_STORAGE in by_code:
            yield from _over(
                group,
                by_code[GP3_STORAGE],
                tib,
                f"{counted(nodes, 'node more takes', 'nodes more take')} {tib:.2f} TiB of gp3",
            )


def _vcpus(
    estate: Estate, group: Nodegroup, nodes: int, by_code: dict[str, Quota]
) -> Iterator[Finding | Unchecked]:
    types = {one.name: one for one in estate.instance_types}
    needed: dict[str, tuple[int, str]] = {}
    for name in estate.types_of(group):
        code = code_of(name, spot=group.capacity == "SPOT")
        if not code or name not in types:
            yield Unchecked(
                what=f"quota of vCPUs for node group {group.name}", why=f"nothing is known of that of {name}"
            )
            continue
        # Which of its types a group gets is not known before: the largest counts.
        needed[code] = max(needed.get(code, (0, "")), (nodes * types[name].vcpus, name))
    for code, (vcpus, name) in needed.items():
        if code not in by_code:
            yield Unchecked(
                what=f"quota of vCPUs for node group {group.name}", why=f"AWS lists no quota {code}"
            )
        else:
            yield from _over(
                group,
                by_code[code],
                vcpus,
                f"{counted(nodes, 'node', 'nodes')} more of {name} {'takes' if nodes == 1 else 'take'} {vcpus} vCPUs",
            )


def _over(group: Nodegroup, quota: Quota, needed: float, words: str) -> Iterator[Finding]:
    left = quota.limit - quota.used
    if needed > left:
        yield Finding(
            check=CHECK,
            severity=Severity.BLOCK,
            what=f"node group {group.name}",
            where=f"quota {quota.code} ({quota.name})",
            why=f"{words} while it is replaced, and {max(0.0, left):g} of {quota.limit:g} are left",
            fix="have the quota raised (RequestServiceQuotaIncrease takes days), or set the group's update strategy to MINIMAL",
        )
