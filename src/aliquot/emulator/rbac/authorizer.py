"""May this user do that? Decided from roles and bindings, which a lookup provides.

`system:masters` may do everything. Others may be asked before roles are (the node authorizer): what one of them
allows is allowed; else it is up to the roles. Aggregated ClusterRoles are put together here, so that no controller
need have written their rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aliquot.emulator.rbac.rules import Attributes, Rule, User
from aliquot.kube import selectors

MASTERS = "system:masters"
_REMEMBERED = 10_000

Object = Mapping[str, Any]


class Policy(Protocol):
    """The RBAC objects of the server, as JSON."""

    def revision(self) -> int:
        """Changes whenever any of the objects does: what was worked out from an earlier one is thrown away."""
        ...

    def role(self, namespace: str, name: str) -> Object | None: ...

    def cluster_role(self, name: str) -> Object | None: ...

    def cluster_roles(self) -> Iterable[Object]: ...

    def role_bindings(self, namespace: str) -> Iterable[Object]: ...

    def cluster_role_bindings(self) -> Iterable[Object]: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` names the binding that allowed, or the roles that bindings name and nobody made."""

    allowed: bool
    reason: str = ""


Earlier = Callable[[User, Attributes], Decision | None]
"""Who is asked before the roles; None from who has nothing to say of a user. What they allow cannot be listed."""


@dataclass(frozen=True, slots=True)
class Grant:
    rule: Rule
    origin: str


class RoleMissing(Exception):
    """A binding refers to a role that does not exist."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f'{kind.lower()}.rbac.authorization.k8s.io "{name}" not found')


class Authorizer:
    def __init__(self, policy: Policy, *, earlier: Sequence[Earlier] = ()) -> None:
        self._policy = policy
        self._earlier = tuple(earlier)
        self._revision = -1
        self._resolved: dict[tuple[str, tuple[str, ...], str], tuple[tuple[Grant, ...], tuple[str, ...]]] = {}
        self._narrowed: dict[tuple[object, ...], tuple[Grant, ...]] = {}

    def authorize(self, user: User, asked: Attributes) -> Decision:
        if MASTERS in user.groups:
            return Decision(True)
        reasons = []
        for ask in self._earlier:
            said = ask(user, asked)
            if said is not None and said.allowed:
                return said
            if said is not None and said.reason:
                reasons.append(said.reason)
        grants, errors = self._grants(user, asked.namespace)
        for grant in self._about(user, asked, grants):
            if grant.rule.allows(asked):
                return Decision(True, f"RBAC: allowed by {grant.origin}")
        if errors:
            reasons.append(f"RBAC: {_joined(errors)}")
        return Decision(False, "\n".join(reasons))

    def _about(self, user: User, asked: Attributes, grants: Sequence[Grant]) -> Sequence[Grant]:
        """Those that allow it for some name at least; found once, as the same is asked again and again."""
        if not asked.resource:
            return grants
        key = (
            user.name,
            user.groups,
            asked.namespace,
            asked.verb,
            asked.group,
            asked.resource,
            asked.subresource,
        )
        found = self._narrowed.get(key)
        if found is None:
            if len(self._narrowed) >= _REMEMBERED:
                self._narrowed.clear()
            found = self._narrowed[key] = tuple(one for one in grants if one.rule.is_about(asked))
        return found

    def unresolved(self, user: User) -> Sequence[str]:
        """Why the rules that are known of a user are not all."""
        nothing = Attributes(verb="")
        said = any(ask(user, nothing) is not None for ask in self._earlier)
        return ["node authorizer does not support user rule resolution"] if said else []

    def rules(self, user: User, namespace: str) -> tuple[Sequence[Rule], Sequence[str]]:
        """What the user holds in a namespace ("" for cluster-wide alone), and what could not be resolved."""
        grants, errors = self._grants(user, namespace)
        return [grant.rule for grant in grants], errors

    def role_rules(self, role_ref: Object, namespace: str) -> Sequence[Rule]:
        """The rules that a roleRef stands for. Raises RoleMissing."""
        kind, name = role_ref.get("kind", ""), role_ref.get("name", "")
        role = (
            self._policy.cluster_role(name) if kind == "ClusterRole" else self._policy.role(namespace, name)
        )
        if role is None:
            raise RoleMissing(kind, name)
        found = role.get("rules") or ()
        if role.get("aggregationRule"):
            found = aggregate(role, self._policy.cluster_roles())
        return [Rule.of(rule) for rule in found]

    def _grants(self, user: User, namespace: str) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
        revision = self._policy.revision()
        if revision != self._revision or len(self._resolved) >= _REMEMBERED:
            self._resolved.clear()
            self._narrowed.clear()
            self._revision = revision
        key = (user.name, user.groups, namespace)
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self._resolve(user, namespace)
        return found

    def _resolve(self, user: User, namespace: str) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
        grants: list[Grant] = []
        errors: list[str] = []
        bindings = [(binding, "") for binding in self._policy.cluster_role_bindings()]
        if namespace:
            bindings += [(binding, namespace) for binding in self._policy.role_bindings(namespace)]
        for binding, place in bindings:
            subject = next((one for one in binding.get("subjects") or () if _applies(one, user, place)), None)
            if subject is None:
                continue
            try:
                rules = self.role_rules(binding["roleRef"], place)
            except RoleMissing as missing:
                errors.append(str(missing))
                continue
            origin = _origin(binding, subject, place)
            grants += [Grant(rule, origin) for rule in rules]
        return tuple(grants), tuple(errors)


def aggregate(role: Object, cluster_roles: Iterable[Object]) -> list[dict[str, Any]]:
    """The rules of an aggregated ClusterRole: those of every role that its selectors match, without repetition.

    A role that is itself aggregated counts with what it gathers in turn.
    """
    roles = sorted(cluster_roles, key=lambda found: str(found["metadata"]["name"]))
    gathered: list[dict[str, Any]] = []
    seen: set[str] = set()

    def gather(aggregated: Object) -> None:
        seen.add(aggregated["metadata"]["name"])
        wanted = [
            selectors.from_object(selector)
            for selector in aggregated["aggregationRule"].get("clusterRoleSelectors") or ()
        ]
        for candidate in roles:
            metadata = candidate["metadata"]
            if metadata["name"] in seen or not any(s.matches(metadata.get("labels")) for s in wanted):
                continue
            if candidate.get("aggregationRule"):
                gather(candidate)
                continue
            seen.add(metadata["name"])
            gathered.extend(rule for rule in candidate.get("rules") or () if rule not in gathered)

    gather(role)
    return gathered


def _applies(subject: Object, user: User, binding_namespace: str) -> bool:
    name = subject.get("name", "")
    match subject.get("kind"):
        case "User":
            return bool(user.name == name)
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            namespace = subject.get("namespace") or binding_namespace
            return bool(namespace) and user.name == f"system:serviceaccount:{namespace}:{name}"
    return False


def _origin(binding: Object, subject: Object, namespace: str) -> str:
    name = binding["metadata"]["name"]
    bound = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
    who = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    role = binding["roleRef"]
    return f'{bound} of {role["kind"]} "{role["name"]}" to {subject.get("kind")} "{who}"'


def _joined(errors: Sequence[str]) -> str:
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"
