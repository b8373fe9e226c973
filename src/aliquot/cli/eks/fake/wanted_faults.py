"""What is to go wrong, as it is typed: `fail:UpdateNodegroupVersion:PodEvictionFailure`, `refuse:DescribeCluster:ServerException*3`,
`lose:CreateCluster`; and what is to be ill: `ill:prod/nodegroup/gpu:AsgInstanceLaunchFailures`. Names are those of EKS' model."""

import re
from collections.abc import Iterable

from aliquot.document import nearest
from aliquot.eks.fake.faults import Fault, Illness, Kind
from aliquot.eks.fake.model import Model

FORM = "KIND:OPERATION[:CODE][*TIMES]"
_FAULT = re.compile(
    r"(?P<kind>\w+):(?P<operation>\w+)(:(?P<code>\w+))?(\*(?P<times>[1-9]\d{0,5}))?", re.ASCII
)
_ILLNESS = re.compile(
    r"ill:(?P<of>[\w-]+(/(?P<kind>nodegroup|addon|fargate)/[\w-]+)?):(?P<code>\w+)", re.ASCII
)
_ISSUES_OF = {
    None: "ClusterIssueCode",
    "nodegroup": "NodegroupIssueCode",
    "addon": "AddonIssueCode",
    "fargate": "FargateProfileIssueCode",
}
_ISSUES = {
    "CreateAddon": "AddonIssueCode",
    "CreateCluster": "ClusterIssueCode",
    "CreateFargateProfile": "FargateProfileIssueCode",
    "CreateNodegroup": "NodegroupIssueCode",
    "DeleteNodegroup": "NodegroupIssueCode",
}
"""What they begin fails with an issue of health, and not as an update does."""


def parse(text: str, model: Model) -> Fault | Illness:
    """Raises ValueError."""
    if text.startswith("ill:"):
        return _illness(text, model)
    match = _FAULT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not {FORM}, like fail:UpdateNodegroupVersion:PodEvictionFailure")
    kind = _one_of(match["kind"], [one.value for one in Kind], f"'{text}': there is no kind of fault")
    operation = _one_of(match["operation"], model.names, f"'{text}': EKS has no operation")
    code = match["code"] or ""
    codes = _codes(Kind(kind), operation, model)
    if Kind(kind) is Kind.LOSE:
        if code:
            raise ValueError(f"'{text}': a lost answer has no code; leave out ':{code}'")
    elif not codes:
        raise ValueError(f"'{text}': {operation} begins nothing that could fail later; say refuse")
    elif code not in codes:
        raise ValueError(f"'{text}': the code of it is one of {', '.join(sorted(codes))}")
    return Fault(kind=Kind(kind), operation=operation, code=code, times=int(match["times"] or 1))


def _illness(text: str, model: Model) -> Illness:
    """Raises ValueError."""
    match = _ILLNESS.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not ill:CLUSTER[/nodegroup|addon|fargate/NAME]:CODE")
    codes = model.service.shape_for(_ISSUES_OF[match["kind"]]).enum
    if match["code"] not in codes:
        raise ValueError(f"'{text}': the code of it is one of {', '.join(sorted(codes))}")
    return Illness(of=match["of"], code=match["code"])


def _codes(kind: Kind, operation: str, model: Model) -> frozenset[str]:
    shape = model.operation(operation)
    if kind is Kind.REFUSE:
        return frozenset(one.name for one in shape.error_shapes)
    if operation in _ISSUES:
        return frozenset(model.service.shape_for(_ISSUES[operation]).enum)
    begins = shape.output_shape is not None and "update" in shape.output_shape.members
    if not begins or operation in ("CancelUpdate", "DescribeUpdate"):
        return frozenset()
    return frozenset(model.service.shape_for("ErrorCode").enum)


def _one_of(name: str, known: Iterable[str], what: str) -> str:
    """Raises ValueError."""
    known = sorted(known)
    if name not in known:
        hint = nearest(name, known) or (f"; it is one of {', '.join(known)}" if len(known) < 10 else "")
        raise ValueError(f"{what} '{name}'{hint}")
    return name
