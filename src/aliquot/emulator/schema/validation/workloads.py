"""The kinds that make pods: Deployment, ReplicaSet, DaemonSet, StatefulSet, Job, CronJob."""

from collections.abc import Mapping
from typing import Any

from aliquot.emulator.kinds import cron_schedule
from aliquot.emulator.schema.errors import FieldError, forbidden, invalid, not_supported, required
from aliquot.emulator.schema.validation import job_policies, names
from aliquot.emulator.schema.validation.metadata import IMMUTABLE, label_selector
from aliquot.emulator.schema.validation.pods import pod_template
from aliquot.emulator.schema.validation.resources import NEGATIVE

Obj = Mapping[str, Any]

_MISMATCH = "`selector` does not match template `labels`"


def deployment(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = _non_negative(spec, ("replicas",)) + _selected_template(spec, "deployment")
    errors += _rolling(spec["strategy"], "spec.strategy", ("Recreate", "RollingUpdate"))
    errors += _non_negative(spec, ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"))
    deadline_s = spec.get("progressDeadlineSeconds")
    if deadline_s is not None and deadline_s <= spec.get("minReadySeconds", 0):
        errors.append(
            invalid("spec.progressDeadlineSeconds", deadline_s, "must be greater than minReadySeconds")
        )
    return errors


def replica_set(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    return _non_negative(spec, ("replicas", "minReadySeconds")) + _selected_template(spec, "deployment")


def replication_controller(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = _non_negative(spec, ("replicas", "minReadySeconds"))
    selector = spec.get("selector") or {}
    if not selector:
        errors.append(required("spec.selector"))
    if not spec.get("template"):
        return [*errors, required("spec.template")]
    labels = spec["template"].get("metadata", {}).get("labels", {})
    if selector and not matches({"matchLabels": selector}, labels):
        errors.append(invalid("spec.template.metadata.labels", dict(labels), _MISMATCH))
    errors += pod_template(spec["template"], "spec.template")
    policy = spec["template"].get("spec", {}).get("restartPolicy")
    if policy not in (None, "", "Always"):
        errors.append(not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    return errors


def a_pod_template(obj: Obj) -> list[FieldError]:
    return pod_template(obj.get("template", {}), "template")


def daemon_set(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors = _selected_template(spec, "daemonset")
    errors += _rolling(
        spec["updateStrategy"], "spec.updateStrategy", ("OnDelete", "RollingUpdate"), exclusive=True
    )
    return errors + _non_negative(spec, ("minReadySeconds", "revisionHistoryLimit"))


def stateful_set(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    policies = ("OrderedReady", "Parallel")
    if spec.get("podManagementPolicy") not in policies:
        errors.append(
            invalid("spec.podManagementPolicy", spec.get("podManagementPolicy", ""), _either(policies))
        )
    strategies = ("RollingUpdate", "OnDelete")
    if spec["updateStrategy"].get("type") not in strategies:
        errors.append(
            invalid(
                "spec.updateStrategy", dict(spec["updateStrategy"]), "must be 'RollingUpdate' or 'OnDelete'"
            )
        )
    rolling = spec["updateStrategy"].get("rollingUpdate") or {}
    errors += _non_negative(rolling, ("partition",), "spec.updateStrategy.rollingUpdate")
    if rolling.get("maxUnavailable") is not None:
        where = "spec.updateStrategy.rollingUpdate.maxUnavailable"
        errors += _int_or_percent(rolling["maxUnavailable"], where)
        if _is_zero(rolling["maxUnavailable"]):
            errors.append(invalid(where, rolling["maxUnavailable"], "cannot be 0"))
    retention = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for name in ("whenDeleted", "whenScaled"):
        if retention.get(name, "Retain") not in ("Delete", "Retain"):
            where = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
            errors.append(not_supported(where, retention[name], ("Delete", "Retain")))
    errors += _non_negative(spec.get("ordinals") or {}, ("start",), "spec.ordinals")
    errors += _non_negative(spec, ("replicas", "minReadySeconds"))
    return errors + _selected_template({**spec, "template": _as_filled_in(spec)}, "statefulset")


def _as_filled_in(spec: Obj) -> Obj:
    """A StatefulSet's template with what its controller puts into each pod: volumes for the claim templates, and its
    own host name and subdomain instead of the template's."""
    template = spec.get("template", {})
    pod = {k: v for k, v in template.get("spec", {}).items() if k not in ("hostname", "subdomain")}
    claims = [claim.get("metadata", {}).get("name", "") for claim in spec.get("volumeClaimTemplates") or ()]
    if claims:
        made = {name: {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims}
        kept = [volume for volume in pod.get("volumes") or () if volume.get("name") not in made]
        pod["volumes"] = [*made.values(), *kept]
    return {**template, "spec": pod}


def _either(values: tuple[str, ...]) -> str:
    return "must be " + " or ".join(f"'{value}'" for value in values)


def _selected_template(spec: Obj, word: str) -> list[FieldError]:
    errors: list[FieldError] = []
    selector = spec.get("selector")
    template = spec.get("template", {})
    labels = template.get("metadata", {}).get("labels")
    if selector is None:
        # A DaemonSet's is not asked for; it selects nothing, and so not the template either.
        errors += [required("spec.selector")] if word != "daemonset" else []
        errors.append(invalid("spec.template.metadata.labels", labels, _MISMATCH))
    else:
        errors += label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(invalid("spec.selector", dict(selector), f"empty selector is invalid for {word}"))
        if not matches(selector, labels or {}):
            errors.append(invalid("spec.template.metadata.labels", labels, _MISMATCH))
    errors += pod_template(template, "spec.template")
    policy = template.get("spec", {}).get("restartPolicy")
    if policy not in (None, "", "Always"):
        errors.append(not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if "activeDeadlineSeconds" in template.get("spec", {}):
        kind = {"deployment": "ReplicaSet", "daemonset": "DaemonSet", "statefulset": "StatefulSet"}[word]
        text = f"activeDeadlineSeconds in {kind} is not Supported"
        errors.append(forbidden("spec.template.spec.activeDeadlineSeconds", text))
    return errors


def matches(selector: Obj, labels: Mapping[str, str]) -> bool:
    """Does a metav1.LabelSelector select an object with `labels`?"""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for term in selector.get("matchExpressions", ()):
        key, values = term.get("key", ""), term.get("values", ())
        match term.get("operator"):
            case "In" if labels.get(key) not in values:
                return False
            case "NotIn" if labels.get(key) in values:
                return False
            case "Exists" if key not in labels:
                return False
            case "DoesNotExist" if key in labels:
                return False
    return True


def _rolling(
    strategy: Obj, path: str, kinds: tuple[str, ...], *, exclusive: bool = False
) -> list[FieldError]:
    """`exclusive`: either more pods for a while or fewer, not both."""
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind not in kinds:
        return [not_supported(f"{path}.type", kind, kinds)]
    if kind != "RollingUpdate":
        if rolling is None or kind == "OnDelete":
            return []
        text = f"may not be specified when strategy `type` is '{kind}'"
        return [forbidden(f"{path}.rollingUpdate", text)]
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    errors: list[FieldError] = []
    for name in ("maxUnavailable", "maxSurge"):
        errors += _int_or_percent(rolling.get(name, 0), f"{path}.rollingUpdate.{name}")
    capped = ("maxUnavailable", "maxSurge") if exclusive else ("maxUnavailable",)
    for name in capped:
        value = rolling.get(name, 0)
        if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
            errors.append(invalid(f"{path}.rollingUpdate.{name}", value, "must not be greater than 100%"))
    if errors:
        return errors
    fewer, more = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    where = f"{path}.rollingUpdate.maxUnavailable"
    match exclusive, _is_zero(fewer), _is_zero(more):
        case True, False, False:
            text = "may not be set when maxUnavailable is non-zero"
            errors.append(invalid(f"{path}.rollingUpdate.maxSurge", more, text))
        case True, True, True:
            errors.append(required(where, "cannot be 0 when maxSurge is 0"))
        case False, True, True:
            errors.append(invalid(where, fewer, "may not be 0 when `maxSurge` is 0"))
    return errors


def _int_or_percent(value: int | str, path: str) -> list[FieldError]:
    if isinstance(value, int):
        return [invalid(path, value, NEGATIVE)] if value < 0 else []
    return [invalid(path, value, problem) for problem in names.percent(value)]


def _is_zero(value: int | str) -> bool:
    return value in (0, "0%")


def _non_negative(spec: Obj, fields: tuple[str, ...], path: str = "spec") -> list[FieldError]:
    return [invalid(f"{path}.{name}", spec[name], NEGATIVE) for name in fields if spec.get(name, 0) < 0]


def replicated_update(obj: Obj, old: Obj) -> list[FieldError]:
    """Deployments, ReplicaSets and DaemonSets keep their selector."""
    if obj["spec"].get("selector") == old["spec"].get("selector"):
        return []
    return [invalid("spec.selector", obj["spec"].get("selector"), IMMUTABLE)]


def stateful_set_update(obj: Obj, old: Obj) -> list[FieldError]:
    free = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    }
    if {k: v for k, v in obj["spec"].items() if k not in free} == {
        k: v for k, v in old["spec"].items() if k not in free
    }:
        return []
    text = (
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    )
    return [forbidden("spec", text)]


def controller_revision(obj: Obj) -> list[FieldError]:
    errors = [] if obj.get("data") is not None else [required("data", "data is mandatory")]
    return errors + ([invalid("revision", obj["revision"], NEGATIVE)] if obj.get("revision", 0) < 0 else [])


def controller_revision_update(obj: Obj, old: Obj) -> list[FieldError]:
    return [] if obj.get("data") == old.get("data") else [invalid("data", obj.get("data"), IMMUTABLE)]


def pod_disruption_budget(obj: Obj) -> list[FieldError]:
    spec = obj.get("spec", {})
    errors: list[FieldError] = []
    if "minAvailable" in spec and "maxUnavailable" in spec:
        errors.append(invalid("spec", dict(spec), "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            errors += _int_or_percent(spec[name], f"spec.{name}") or _at_most_all(spec[name], f"spec.{name}")
    if spec.get("selector") is not None:
        errors += label_selector(spec["selector"], "spec.selector")
    policies = ("AlwaysAllow", "IfHealthyBudget")
    if spec.get("unhealthyPodEvictionPolicy", policies[0]) not in policies:
        where = "spec.unhealthyPodEvictionPolicy"
        errors.append(not_supported(where, spec["unhealthyPodEvictionPolicy"], policies))
    return errors


def _at_most_all(value: int | str, path: str) -> list[FieldError]:
    if isinstance(value, int) or int(value.removesuffix("%")) <= 100:
        return []
    return [invalid(path, value, "must not be greater than 100%")]


# --- jobs ---


def job(obj: Obj) -> list[FieldError]:
    """Problems of a job that has been given its selector."""
    spec = obj["spec"]
    errors = _job_spec(spec, "spec")
    selector = spec.get("selector")
    if selector is None:
        return [*errors, required("spec.selector")]
    errors += label_selector(selector, "spec.selector")
    labels = spec["template"].get("metadata", {}).get("labels", {})
    if not matches(selector, labels):
        errors.append(invalid("spec.template.metadata.labels", dict(labels), _MISMATCH))
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        name = obj["metadata"]["name"]
        host = f"{name}-{spec['completions'] - 1}"
        if names.dns_label(host):
            text = f"will not able to create pod with invalid DNS label: {host}"
            errors.append(invalid("metadata.name", name, text))
    return errors


def _job_spec(spec: Obj, path: str) -> list[FieldError]:
    counts = (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
    )
    errors = _non_negative(spec, (*counts, "backoffLimitPerIndex", "maxFailedIndexes"), path)
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in ("Indexed", "NonIndexed"):
        errors.append(not_supported(f"{path}.completionMode", mode, ("Indexed", "NonIndexed")))
    if mode == "Indexed" and spec.get("completions") is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if mode == "NonIndexed" and "backoffLimitPerIndex" in spec:
        text = "requires indexed completion mode"
        errors.append(invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], text))
    errors += job_policies.of_job(spec, path)
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        if "podFailurePolicy" in spec:
            if replacement != "Failed":
                errors.append(not_supported(f"{path}.podReplacementPolicy", replacement, ("Failed",)))
        elif replacement not in ("Failed", "TerminatingOrFailed"):
            supported = ("Failed", "TerminatingOrFailed")
            errors.append(not_supported(f"{path}.podReplacementPolicy", replacement, supported))
    template = spec.get("template", {})
    errors += pod_template(template, f"{path}.template")
    policy = template.get("spec", {}).get("restartPolicy", "")
    where = f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        errors.append(required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(not_supported(where, policy, ("OnFailure", "Never")))
    elif "podFailurePolicy" in spec and policy != "Never":
        errors.append(invalid(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return errors


def job_update(obj: Obj, old: Obj) -> list[FieldError]:
    spec, before = obj["spec"], old["spec"]
    errors: list[FieldError] = []
    elastic = (
        spec.get("completionMode") == "Indexed"
        and spec.get("completions") == spec.get("parallelism")
        and spec.get("completions") is not None
    )
    if not elastic and spec.get("completions") != before.get("completions"):
        errors.append(invalid("spec.completions", spec.get("completions"), IMMUTABLE))
    fixed = [
        "selector",
        "template",
        "completionMode",
        "podFailurePolicy",
        "successPolicy",
        "backoffLimitPerIndex",
        "managedBy",
    ]
    if before.get("suspend") and not old.get("status", {}).get("startTime"):
        fixed.remove("template")  # a job that has never run may still be placed elsewhere
        if _unplaced(spec["template"]) != _unplaced(before["template"]):
            errors.append(invalid("spec.template", spec["template"], IMMUTABLE))
    changed = (name for name in fixed if spec.get(name) != before.get(name))
    return errors + [invalid(f"spec.{name}", spec.get(name), IMMUTABLE) for name in changed]


def job_status_update(obj: Obj, old: Obj) -> list[FieldError]:
    """A deadline counts from the start: whoever could move that could move the deadline."""
    began, start = ((one.get("status") or {}).get("startTime") for one in (old, obj))
    if began is None or start == began or (obj.get("spec") or {}).get("suspend"):
        return []
    return [invalid("status.startTime", start, "field is immutable for unsuspended job once set")]


def _unplaced(template: Obj) -> dict[str, Any]:
    placing = {"nodeSelector", "tolerations", "schedulingGates", "affinity"}
    spec = {key: value for key, value in template.get("spec", {}).items() if key not in placing}
    metadata = {k: v for k, v in template.get("metadata", {}).items() if k not in ("labels", "annotations")}
    return {"metadata": metadata, "spec": spec}


def cron_job(obj: Obj) -> list[FieldError]:
    spec = obj["spec"]
    errors: list[FieldError] = []
    schedule = spec.get("schedule", "")
    if not schedule:
        errors.append(required("spec.schedule"))
    elif "TZ" in schedule:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid("spec.schedule", schedule, text))
    else:
        try:
            cron_schedule.parse(schedule)
        except cron_schedule.ScheduleError as error:
            errors.append(invalid("spec.schedule", schedule, str(error)))
    if spec.get("timeZone") is not None:
        try:
            cron_schedule.time_zone(spec["timeZone"])
        except cron_schedule.ScheduleError as error:
            errors.append(invalid("spec.timeZone", spec["timeZone"], str(error)))
    policies = ("Allow", "Forbid", "Replace")
    if spec.get("concurrencyPolicy", "Allow") not in policies:
        errors.append(not_supported("spec.concurrencyPolicy", spec["concurrencyPolicy"], policies))
    errors += _non_negative(
        spec, ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")
    )
    job_spec = spec.get("jobTemplate", {}).get("spec", {})
    errors += _job_spec(job_spec, "spec.jobTemplate.spec")
    if "selector" in job_spec:
        text = "`selector` will be auto-generated"
        errors.append(invalid("spec.jobTemplate.spec.selector", job_spec["selector"], text))
    if len(obj["metadata"].get("name", "")) > 52:
        text = "must be no more than 52 characters"
        errors.append(invalid("metadata.name", obj["metadata"]["name"], text))
    return errors
