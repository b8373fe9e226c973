"""What a cluster without webhooks and policies pays for them: nothing is waited for, nothing is imported."""

import subprocess
import sys
from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from aliquot.emulator.admission import Admitted, Operation
from aliquot.emulator.admission.standard import standard
from aliquot.emulator.http.request import parse
from aliquot.emulator.rbac import User
from aliquot.emulator.verbs.call import Call
from tests.emulator.admission.hooks import Wire, configure, hook
from tests.emulator.api import CONFIGS, PODS, Api, config, pod


def at_once(asked: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine comes to that waits for nobody."""
    with pytest.raises(StopIteration) as done:
        asked.send(None)
    return done.value.value


@pytest.mark.parametrize(("path", "obj"), [(CONFIGS, config()), (PODS, pod())], ids=["ConfigMap", "Pod"])
@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.UPDATE, Operation.DELETE])
async def test_nothing_is_waited_for(api: Api, path: str, obj: Any, operation: Operation) -> None:
    server = api.server
    # One that concerns something else does not count.
    elsewhere = {"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["*"], "resources": ["*/*"]}
    await configure(api, "Mutating", hook(rules=[elsewhere]))
    await configure(api, "Validating", hook(rules=[elsewhere]))
    chain = standard(server.registry, server.authorizer, Wire(), minor=36)
    request = parse("POST", path, "")
    served = server.registry.find(request.group, request.version, request.plural)
    assert served is not None
    call = Call(request, served, User("ann"))
    asked = Admitted(call, operation, "c", obj, server.storage, Random(1))
    if operation is Operation.DELETE:
        at_once(chain.admit_delete(asked))
        return
    mutated = at_once(chain.mutate(asked, obj))
    at_once(chain.validate(asked, mutated))


HEAVY = ("aiohttp", "cel_expr_python")
SCRIPT = f"""
import asyncio, sys
from tests.emulator.api import CONFIGS, FixedClock, config, new_api

async def main():
    api = await new_api(FixedClock())
    await api.ok("POST", CONFIGS, config())
    await api.close()
    await api.server.close()

asyncio.run(main())
print([name for name in {HEAVY!r} if name in sys.modules])
"""


def test_nothing_heavy_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
