"""A Kubernetes API for tests: in this process, over HTTPS on loopback, and gone when the test is.

    with EmulatedApi(tmp_path) as api:
        subprocess.run(["kubectl", "--kubeconfig", api.kubeconfig, "get", "namespaces"], check=True)

It has the controllers of a cluster and no nodes: Deployments make pods, and nothing runs them. The server lives in a
thread with an event loop of its own, so that tests may be synchronous, asynchronous, or start programs.
"""

import asyncio
import random
import threading
from pathlib import Path
from types import TracebackType

from aliquot.clock import SystemClock
from aliquot.emulator.app import ApiServer
from aliquot.emulator.certificates import Authority
from aliquot.emulator.controllers.run import run_all
from aliquot.emulator.faults import Conditions, FaultPlan, FaultyApplication, Rule, SteppedClock
from aliquot.emulator.server import HttpsServer, write_kubeconfig
from aliquot.emulator.storage.store import Store
from aliquot.emulator.versions import DEFAULT, Surface
from aliquot.kube.asgi_transport import AsgiTransport
from aliquot.kube.client import Client

_ADMINISTRATORS = ("system:masters",)
_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 30.0


class EmulatedApi:
    """`with EmulatedApi(directory) as api`: `api.url` answers within. Entered again, it begins empty.

    `directory` takes certificates and kubeconfigs; objects are in memory alone. `version` is a minor of Kubernetes.
    `seed` decides names and uids. Raises UnknownVersion.
    """

    def __init__(
        self, directory: Path, *, version: str = DEFAULT, controllers: bool = True, seed: int = 0
    ) -> None:
        self.url = ""
        self.kubeconfig = directory / "kubeconfig"
        """Of an administrator."""
        self._directory = directory
        self._surface = Surface(version)
        self._controllers = controllers
        self._seed = seed
        self._faults: FaultyApplication | None = None
        self._conditions: Conditions | None = None
        self._authority = Authority(directory / "pki", clock=SystemClock())
        self._thread: threading.Thread | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None

    def kubeconfig_of(self, user: str, *groups: str) -> Path:
        """The kubeconfig of another user, who may do what RBAC lets him."""
        path = self._directory / f"kubeconfig-{user.replace('/', '-')}"
        self._write_kubeconfig(path, user, *groups)
        return path

    def fault(
        self,
        *rules: Rule,
        disk_full: bool = False,
        clock_offset_s: float = 0.0,
        forget_history: bool = False,
    ) -> None:
        """What goes wrong from now on, for clients; the controllers here are spared. What is not named is well again.

        api.fault(Rule(verbs=("create",), times=2, error=Error(status=429, retry_after_seconds=1)))

        Raises RuntimeError outside of `with`.
        """
        if self._thread is None or self._loop is None:
            raise RuntimeError("the API does not run: nothing can go wrong outside of its `with`")
        plan = FaultPlan(
            seed=self._seed,
            rules=rules,
            disk_full=disk_full,
            clock_offset_seconds=clock_offset_s,
            forget_history=forget_history,
        )
        asyncio.run_coroutine_threadsafe(self._take(plan), self._loop).result(_START_DEADLINE_S)

    async def _take(self, plan: FaultPlan) -> None:
        assert self._faults is not None
        assert self._conditions is not None
        plan.take_effect(self._faults, self._conditions)

    def __enter__(self) -> "EmulatedApi":
        if self._thread is not None:
            raise RuntimeError("the API runs already: make another for a `with` within its own")
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="emulated API", daemon=True)
        self._thread.start()
        if not self._started.wait(_START_DEADLINE_S):
            raise TimeoutError(f"the emulated API did not start within {_START_DEADLINE_S:.0f} s")
        if self._failure is not None:
            self._thread = None
            raise self._failure
        self._write_kubeconfig(self.kubeconfig, "admin", *_ADMINISTRATORS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(_STOP_DEADLINE_S)
            self._thread = None

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # the test's thread is to see it
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        clock, rng = SteppedClock(SystemClock()), random.Random(self._seed)
        store = Store()
        api = ApiServer(
            store,
            clock=clock,
            rng=rng,
            surface=self._surface,
            token_key=self._authority.token_key,
            client_authority=self._authority.for_clients,
        )
        await api.start()
        self._faults = FaultyApplication(api.app, rng=random.Random(self._seed), who=api.user_of)
        self._conditions = Conditions(store, clock)
        transport = AsgiTransport(api.app, "system:kube-controller-manager", _ADMINISTRATORS)
        try:
            async with (
                HttpsServer(api, self._authority, app=self._faults) as server,
                asyncio.TaskGroup() as group,
            ):
                self.url = server.url
                controllers = None
                if self._controllers:
                    client = Client(transport, clock=clock, rng=rng)
                    root = self._authority.certificate.decode()
                    controllers = group.create_task(
                        run_all(client, clock, rng, surface=self._surface, root_ca_pem=root)
                    )
                self._started.set()
                await self._stop.wait()
                if controllers is not None:
                    controllers.cancel()
        finally:
            await transport.close()
            store.close()

    def _write_kubeconfig(self, path: Path, user: str, *groups: str) -> None:
        write_kubeconfig(
            path,
            url=self.url,
            authority=self._authority.certificate,
            user=user,
            client=self._authority.client(user, groups),
        )
