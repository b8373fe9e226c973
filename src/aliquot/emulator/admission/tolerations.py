"""Every pod bears an unready or unreachable node for five minutes, unless it says otherwise."""

from aliquot.emulator.admission.pods import is_new_pod
from aliquot.emulator.admission.types import Admitted
from aliquot.emulator.objects import Json

_UNREACHABLE_FOR_S = 300


def default_tolerations(asked: Admitted, obj: Json) -> Json:
    if not is_new_pod(asked):
        return obj
    spec = obj.get("spec") or {}
    tolerations = list(spec.get("tolerations") or ())
    added = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _UNREACHABLE_FOR_S}
        for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        if not any(
            found.get("key", "") in ("", key) and found.get("effect", "") in ("", "NoExecute")
            for found in tolerations
        )
    ]
    return {**obj, "spec": {**spec, "tolerations": [*tolerations, *added]}} if added else obj
