"""The checks of the levels baseline and restricted, in the words and the order of Kubernetes.

Each is a function of the pod and of the minor whose definition counts. Restricted holds all of baseline, but for the
checks that it has in a stricter form.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aliquot.emulator.pod_security.policy import Level

Obj = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Violation:
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


@dataclass(frozen=True, slots=True)
class _Pod:
    annotations: Mapping[str, str]
    spec: Obj

    def containers(self) -> Iterator[Obj]:
        for kind in ("initContainers", "containers", "ephemeralContainers"):
            yield from self.spec.get(kind) or ()

    @property
    def security(self) -> Obj:
        found: Obj = self.spec.get("securityContext") or {}
        return found

    @property
    def is_windows(self) -> bool:
        return bool((self.spec.get("os") or {}).get("name") == "windows")

    @property
    def has_own_users(self) -> bool:
        return self.spec.get("hostUsers") is False


_Check: TypeAlias = Callable[[_Pod, int], Violation | None]


def violations(metadata: Obj, spec: Obj, level: Level, minor: int) -> list[Violation]:
    """What a pod of that metadata and spec asks for beyond the level."""
    pod = _Pod(metadata.get("annotations") or {}, spec)
    checks = {
        Level.PRIVILEGED: (),
        Level.BASELINE: _BASELINE,
        Level.RESTRICTED: (*(one for one in _BASELINE if one not in _REPLACED), *_RESTRICTED),
    }[level]
    return [found for check in checks if (found := check(pod, minor)) is not None]


# ---- words -------------------------------------------------------------------------------------------------


def _quoted(items: Sequence[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def _word(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def _named(names: Sequence[str]) -> str:
    return f"{_word('container', len(names))} {_quoted(names)}"


def _setters(pod: bool, names: Sequence[str]) -> list[str]:
    return [*(["pod"] if pod else []), *([_named(names)] if names else [])]


def _security(container: Obj) -> Obj:
    found: Obj = container.get("securityContext") or {}
    return found


def _where(pod: _Pod, bad: Callable[[Obj], bool]) -> list[str]:
    """The containers whose security context is bad."""
    return [container.get("name", "") for container in pod.containers() if bad(_security(container))]


# ---- baseline ----------------------------------------------------------------------------------------------

_ARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
_PROFILES = ("RuntimeDefault", "Localhost")


def _app_armor(pod: _Pod, minor: int) -> Violation | None:
    values: set[str] = set()

    def bad(context: Obj) -> bool:
        profile = context.get("appArmorProfile")
        kind = profile.get("type", "") if profile is not None else None
        if kind is None or kind in _PROFILES:
            return False
        values.add(kind)
        return True

    setters = _setters(bad(pod.security), _where(pod, bad))
    noted = sorted(
        f'{key}="{value}"'
        for key, value in pod.annotations.items()
        if key.startswith(_ARMOR_ANNOTATION)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    if noted:
        setters.append(_word("annotation", len(noted)))
    if not setters:
        return None
    listed = [*sorted(values), *noted]
    detail = f"{' and '.join(setters)} must not set AppArmor profile type to {_quoted(listed)}"
    return Violation(_word("forbidden AppArmor profile", len(listed)), detail)


_DEFAULT_CAPABILITIES = frozenset(
    [
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"),
        *("SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    ]
)


def _added(context: Obj) -> Sequence[str]:
    return (context.get("capabilities") or {}).get("add") or ()


def _capabilities(pod: _Pod, minor: int) -> Violation | None:
    bad = _where(pod, lambda context: not _DEFAULT_CAPABILITIES.issuperset(_added(context)))
    if not bad:
        return None
    added = {one for container in pod.containers() for one in _added(_security(container))}
    listed = _quoted(sorted(added - _DEFAULT_CAPABILITIES))
    detail = f"{_named(bad)} must not include {listed} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def _host_namespaces(pod: _Pod, minor: int) -> Violation | None:
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(name)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def _host_paths(pod: _Pod, minor: int) -> Violation | None:
    bad = [volume.get("name", "") for volume in pod.spec.get("volumes") or () if "hostPath" in volume]
    return Violation("hostPath volumes", f"{_word('volume', len(bad))} {_quoted(bad)}") if bad else None


def _host_ports(pod: _Pod, minor: int) -> Violation | None:
    opened = {
        container.get("name", ""): [
            str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")
        ]
        for container in pod.containers()
    }
    bad = [name for name, ports in opened.items() if ports]
    if not bad:
        return None
    ports = sorted({port for listed in opened.values() for port in listed})
    use = "uses" if len(bad) == 1 else "use"
    return Violation("hostPort", f"{_named(bad)} {use} {_word('hostPort', len(ports))} {', '.join(ports)}")


_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def _hosts(container: Obj) -> set[str]:
    lifecycle = container.get("lifecycle") or {}
    handlers = [
        *(container.get(name) or {} for name in _PROBES),
        *(lifecycle.get(name) or {} for name in ("postStart", "preStop")),
    ]
    found = (
        (handler.get(kind) or {}).get("host") for handler in handlers for kind in ("httpGet", "tcpSocket")
    )
    return {host for host in found if host}


def _probed_hosts(pod: _Pod, minor: int) -> Violation | None:
    """Since 1.34."""
    asked = {container.get("name", ""): _hosts(container) for container in pod.containers()}
    bad = sorted(name for name, hosts in asked.items() if hosts)
    if minor < 34 or not bad:
        return None
    hosts = sorted({host for found in asked.values() for host in found})
    use = "uses" if len(bad) == 1 else "use"
    detail = f"{_named(bad)} {use} {_word('probe or lifecycle host', len(hosts))} {_quoted(hosts)}"
    return Violation("probe or lifecycle host", detail)


def _privileged(pod: _Pod, minor: int) -> Violation | None:
    bad = _where(pod, lambda context: bool(context.get("privileged")))
    if not bad:
        return None
    return Violation("privileged", f"{_named(bad)} must not set securityContext.privileged=true")


def _proc_mount_strict(pod: _Pod, minor: int) -> Violation | None:
    bad = _where(pod, lambda context: context.get("procMount", "Default") != "Default")
    if not bad:
        return None
    kinds = {_security(one).get("procMount", "Default") for one in pod.containers()} - {"Default"}
    detail = f"{_named(bad)} must not set securityContext.procMount to {_quoted(sorted(kinds))}"
    return Violation("procMount", detail)


def _proc_mount(pod: _Pod, minor: int) -> Violation | None:
    return None if minor >= 35 and pod.has_own_users else _proc_mount_strict(pod, minor)


def _proc_mount_restricted(pod: _Pod, minor: int) -> Violation | None:
    """Before 1.35 it is no stricter than baseline, which has said it then."""
    return _proc_mount_strict(pod, minor)


def _selinux(pod: _Pod, minor: int) -> Violation | None:
    allowed = {"", "container_t", "container_init_t", "container_kvm_t"}
    if minor >= 31:
        allowed.add("container_engine_t")
    types: set[str] = set()
    parts: set[str] = set()

    def bad(context: Obj) -> bool:
        options = context.get("seLinuxOptions") or {}
        wrong = options.get("type", "") not in allowed
        if wrong:
            types.add(options["type"])
        given = [part for part in ("user", "role") if options.get(part)]
        parts.update(given)
        return wrong or bool(given)

    setters = _setters(bad(pod.security), _where(pod, bad))
    if not setters:
        return None
    said = [f"{_word('type', len(types))} {_quoted(sorted(types))}"] if types else []
    said += [f"{part} may not be set" for part in ("user", "role") if part in parts]
    detail = f"{' and '.join(setters)} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}"
    return Violation("seLinuxOptions", detail)


_SECCOMP_ANNOTATION = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_OF_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def _seccomp(pod: _Pod, minor: int) -> Violation | None:
    if minor < 19:
        return _seccomp_annotations(pod)
    setters, values = _bad_seccomp(pod)
    if not setters:
        return None
    return Violation("seccompProfile", _must_not_seccomp(setters, values))


def _must_not_seccomp(setters: Sequence[str], values: set[str]) -> str:
    return f"{' and '.join(setters)} must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"


def _bad_seccomp(pod: _Pod) -> tuple[list[str], set[str]]:
    values: set[str] = set()

    def bad(context: Obj) -> bool:
        profile = context.get("seccompProfile")
        kind = profile.get("type", "") if profile is not None else None
        if kind is None or kind in _PROFILES:
            return False
        values.add(kind)
        return True

    return _setters(bad(pod.security), _where(pod, bad)), values


def _seccomp_annotations(pod: _Pod) -> Violation | None:
    keys = [
        _SECCOMP_ANNOTATION,
        *(_SECCOMP_OF_CONTAINER + container.get("name", "") for container in pod.containers()),
    ]
    bad = sorted(
        f'{key}="{pod.annotations[key]}"'
        for key in keys
        if key in pod.annotations
        and pod.annotations[key] not in ("runtime/default", "docker/default")
        and not pod.annotations[key].startswith("localhost/")
    )
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {_word('annotation', len(bad))} {', '.join(bad)}")


_SYSCTLS = (
    (0, "kernel.shm_rmid_forced"),
    (0, "net.ipv4.ip_local_port_range"),
    (0, "net.ipv4.tcp_syncookies"),
    (0, "net.ipv4.ping_group_range"),
    (0, "net.ipv4.ip_unprivileged_port_start"),
    (27, "net.ipv4.ip_local_reserved_ports"),
    (29, "net.ipv4.tcp_keepalive_time"),
    (29, "net.ipv4.tcp_fin_timeout"),
    (29, "net.ipv4.tcp_keepalive_intvl"),
    (29, "net.ipv4.tcp_keepalive_probes"),
    (32, "net.ipv4.tcp_rmem"),
    (32, "net.ipv4.tcp_wmem"),
)
"""(the minor since which it is safe, name)"""


def _sysctls(pod: _Pod, minor: int) -> Violation | None:
    safe = {name for since, name in _SYSCTLS if since <= minor}
    bad = [one.get("name", "") for one in pod.security.get("sysctls") or () if one.get("name") not in safe]
    return Violation("forbidden sysctls", ", ".join(bad)) if bad else None


def _host_process(pod: _Pod, minor: int) -> Violation | None:
    def bad(context: Obj) -> bool:
        return bool((context.get("windowsOptions") or {}).get("hostProcess"))

    setters = _setters(bad(pod.security), _where(pod, bad))
    if not setters:
        return None
    detail = f"{' and '.join(setters)} must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", detail)


# ---- restricted --------------------------------------------------------------------------------------------


def _escalation(pod: _Pod, minor: int) -> Violation | None:
    if minor >= 25 and pod.is_windows:
        return None
    bad = _where(pod, lambda context: context.get("allowPrivilegeEscalation") is not False)
    if not bad:
        return None
    detail = f"{_named(bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def _capabilities_restricted(pod: _Pod, minor: int) -> Violation | None:
    """Since 1.22; before, it is as in baseline."""
    if minor < 22:
        return _capabilities(pod, minor)
    if minor >= 25 and pod.is_windows:
        return None
    keeping = _where(
        pod, lambda context: "ALL" not in ((context.get("capabilities") or {}).get("drop") or ())
    )
    adding = _where(pod, lambda context: any(one != "NET_BIND_SERVICE" for one in _added(context)))
    details = []
    if keeping:
        details.append(f'{_named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        added = {one for container in pod.containers() for one in _added(_security(container))}
        listed = _quoted(sorted(added - {"NET_BIND_SERVICE"}))
        details.append(f"{_named(adding)} must not include {listed} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


_VOLUMES = frozenset(
    [
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim"),
        *("projected", "secret"),
    ]
)


def _volumes(pod: _Pod, minor: int) -> Violation | None:
    kinds = {
        volume.get("name", ""): next((key for key in volume if key != "name"), "emptyDir")
        for volume in pod.spec.get("volumes") or ()
    }
    bad = [name for name, kind in kinds.items() if kind not in _VOLUMES]
    if not bad:
        return None
    listed = sorted({kinds[name] for name in bad})
    use = "uses" if len(bad) == 1 else "use"
    detail = (
        f"{_word('volume', len(bad))} {_quoted(bad)} {use} {_word('restricted volume type', len(listed))} "
        f"{_quoted(listed)}"
    )
    return Violation("restricted volume types", detail)


def _non_root(pod: _Pod, minor: int) -> Violation | None:
    if minor >= 35 and pod.has_own_users:
        return None
    own = pod.security.get("runAsNonRoot")
    setters = _setters(own is False, _where(pod, lambda context: context.get("runAsNonRoot") is False))
    if setters:
        detail = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        return Violation("runAsNonRoot != true", detail)
    silent = [] if own else _where(pod, lambda context: context.get("runAsNonRoot") is None)
    if not silent:
        return None
    return Violation(
        "runAsNonRoot != true", f"pod or {_named(silent)} must set securityContext.runAsNonRoot=true"
    )


def _user(pod: _Pod, minor: int) -> Violation | None:
    """Since 1.23."""
    if minor < 23 or (minor >= 35 and pod.has_own_users):
        return None

    def bad(context: Obj) -> bool:
        return context.get("runAsUser") == 0

    setters = _setters(bad(pod.security), _where(pod, bad))
    return Violation("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0") if setters else None


def _seccomp_restricted(pod: _Pod, minor: int) -> Violation | None:
    """Since 1.19; before, it is as in baseline."""
    if minor < 19:
        return _seccomp(pod, minor)
    if minor >= 25 and pod.is_windows:
        return None
    setters, values = _bad_seccomp(pod)
    if setters:
        return Violation("seccompProfile", _must_not_seccomp(setters, values))
    if pod.security.get("seccompProfile") is not None:
        return None
    silent = _where(pod, lambda context: context.get("seccompProfile") is None)
    if not silent:
        return None
    detail = f'pod or {_named(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", detail)


_BASELINE: Sequence[_Check] = (
    _app_armor,
    _capabilities,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _probed_hosts,
    _privileged,
    _proc_mount,
    _selinux,
    _seccomp,
    _sysctls,
    _host_process,
)
_REPLACED = frozenset([_capabilities, _host_paths, _proc_mount, _seccomp])
_RESTRICTED: Sequence[_Check] = (
    _escalation,
    _capabilities_restricted,
    _proc_mount_restricted,
    _volumes,
    _non_root,
    _user,
    _seccomp_restricted,
)
"""Both in the order of the names that Kubernetes gives them."""
