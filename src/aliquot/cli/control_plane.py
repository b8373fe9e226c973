"""What a cluster has beside its API server before there is any node: the controllers, and who may do what."""

from aliquot.cli import identities
from aliquot.cli.parts import Parts
from aliquot.cli.supervisor import Supervisor
from aliquot.emulator.certificates import Authority
from aliquot.emulator.controllers.run import run_all
from aliquot.emulator.versions import Surface
from aliquot.kube import roles


class ControlPlane:
    """`authority` signs, and is whom pods are told to trust."""

    def __init__(self, parts: Parts, *, surface: Surface, authority: Authority | None) -> None:
        self._parts = parts
        self._surface = surface
        self._authority = authority
        self._controllers_client = parts.client("controllers", identities.CONTROLLER_MANAGER)
        self._installer = parts.client("installer", identities.INSTALLER)

    async def run(self, supervisor: Supervisor) -> None:
        """Returns once the controllers have been started."""
        await roles.install(self._installer, identities.cluster_roles())
        supervisor.start("controllers", self._controllers)

    async def become(self, surface: Surface, supervisor: Supervisor) -> None:
        """The API server is of another version now: the controllers begin anew, by what is served there."""
        await supervisor.stop("controllers")
        self._surface = surface
        supervisor.start("controllers", self._controllers)

    async def _controllers(self) -> None:
        await run_all(
            self._controllers_client,
            clock=self._parts.clock,
            rng=self._parts.rng("controllers"),
            root_ca_pem=self._authority.certificate.decode() if self._authority is not None else "",
            authority=self._authority,
            surface=self._surface,
        )
