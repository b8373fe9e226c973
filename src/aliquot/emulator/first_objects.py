"""Makes what every new cluster has (`bootstrap`) in a store that lacks it.

The first server of a process makes each as any client would, by the writer. What came of it is the same for the next
server but for uid and times, and is not made anew.
"""

from random import Random

import msgspec

from aliquot.clock import rfc3339
from aliquot.emulator import bootstrap
from aliquot.emulator.http.request import Query, Request
from aliquot.emulator.objects import Json, metadata, new_uid, with_metadata
from aliquot.emulator.rbac import User
from aliquot.emulator.storage.storage import Storage
from aliquot.emulator.verbs.call import JSON, Call
from aliquot.emulator.verbs.writing import Writer
from aliquot.emulator.versions import Surface

_made: dict[Surface, dict[tuple[str, str], Json]] = {}
"""By kind and name. Never changed."""


async def make(
    storage: Storage, writer: Writer, surface: Surface, user: User, *, now: float, rng: Random
) -> None:
    """`writer` asks nobody else; `user` may do everything."""
    made = _made.setdefault(surface, {})
    for obj in bootstrap.objects(surface.minor):
        served = storage.registry.find_kind(obj["apiVersion"], obj["kind"])
        meta = obj["metadata"]
        namespace = meta.get("namespace", "")
        if served is None or storage.find(served, namespace, meta["name"]) is not None:
            continue
        key = (obj["kind"], meta["name"])
        if key in made:
            await storage.create(served, _again(made[key], now, rng))
            continue
        request = Request("POST", "", "create", Query(), namespace=namespace)
        call = Call(request, served, user, JSON, "kube-apiserver", msgspec.json.encode(obj))
        made[key] = with_metadata((await writer.create(call)).obj, resourceVersion=None)


def _again(obj: Json, now: float, rng: Random) -> Json:
    time = rfc3339(now)
    managers = [{**one, "time": time} for one in metadata(obj)["managedFields"]]
    return with_metadata(obj, uid=new_uid(rng), creationTimestamp=time, managedFields=managers)


def forget() -> None:
    """The next server makes all by the writer."""
    _made.clear()
