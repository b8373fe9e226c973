"""An operator written with kopf: greetings become config maps, and take them along when they go."""

from typing import Any

import kopf


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = True
    settings.persistence.finalizer = "e2e.aliquot.dev/kopf"


@kopf.on.create("e2e.aliquot.dev", "v1", "greetings")
async def created(spec: Any, name: str, **_: Any) -> dict[str, str]:
    return {"said": f"hello {spec['to']}, says {name}"}


@kopf.on.field("e2e.aliquot.dev", "v1", "greetings", field="spec.to")
async def changed(old: Any, new: Any, patch: Any, **_: Any) -> None:
    patch.status["to"] = [old, new]


@kopf.on.delete("e2e.aliquot.dev", "v1", "greetings")
async def deleted(body: Any, **_: Any) -> None:
    kopf.event(body, type="Normal", reason="Goodbye", message="gone in order")


@kopf.on.event("configmaps", labels={"greeted": "yes"})
async def noticed(name: str, **_: Any) -> None:
    print(f"noticed {name}", flush=True)
