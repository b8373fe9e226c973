"""Without rules and policies a server has no use for CEL, and imports none of it."""

import subprocess
import sys

import pytest

_PROGRAM = """
import asyncio, sys
from tests.emulator.admission.policies.objects import bind, validating
from tests.emulator.api import CONFIGS, FixedClock, config, new_api
from tests.emulator.test_api_crds import CRDS, WIDGETS, crd, widget

async def main():
    api = await new_api(FixedClock())
    await api.ok("POST", CONFIGS, config("c", a="1"))
    await api.ok("POST", CRDS, crd())
    await api.ok("POST", WIDGETS, widget())
    if {with_policy}:
        await bind(api, validating("p", "true"))
    await api.ok("POST", CONFIGS, config("d"))
    api.server.stop()
    await api.close()

asyncio.run(main())
print("cel_expr_python" in sys.modules)
"""


@pytest.mark.parametrize("with_policy", [False, True])
def test_cel_is_imported_when_it_is_needed(with_policy: bool) -> None:
    program = _PROGRAM.replace("{with_policy}", str(with_policy))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == str(with_policy)
