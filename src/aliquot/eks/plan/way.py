"""What all parts of a hop know, and how they write a step down."""

from datetime import date

from msgspec import Struct

from aliquot.eks.estate.estate import Addon, Estate
from aliquot.eks.plan.calls import shown
from aliquot.eks.plan.placing import Placement
from aliquot.eks.plan.plan import Hop, Options
from aliquot.eks.plan.targets import Targets
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from aliquot.eks.upgrade.acts.table import Act
from aliquot.eks.upgrade.states import State
from aliquot.eks.upgrade.steps import Step

MINUTE_S = 60.0


class Way(Struct, frozen=True, kw_only=True):
    """All that a part of a hop may look at."""

    estate: Estate
    """As it is when the part begins."""
    placement: Placement
    hop: Hop
    last: bool
    targets: Targets
    options: Options
    plan: str
    """Its id, which is what is approved."""
    today: date
    instead: dict[str, str] = {}
    """By node group that is gone since the hop began, the one in its place."""

    @property
    def cluster(self) -> str:
        return self.estate.cluster.name

    @property
    def rest(self) -> bool:
        """The control plane is there; only what follows it is left."""
        return self.hop.now == self.hop.to

    def addon_to(self, addon: Addon, build: str) -> AddonBuild:
        return AddonBuild(
            cluster=self.cluster,
            name=addon.name,
            build=build,
            configuration=addon.configuration,
            role_arn=addon.role_arn,
            conflicts=self.options.conflicts_of(addon.name),
        )

    def smoke(self, state: State, act: SmokeJob) -> Step:
        where = f"smoke/{act.group}/{act.name}" if act.group else f"smoke/{act.name}"
        on = f" on node group {act.group}" if act.group else ""
        return self.step(
            state,
            f"Job {act.namespace}/{act.name} succeeds{on}",
            act,
            where,
            minutes=(5, act.limit_s / MINUTE_S),
        )

    def step(
        self,
        state: State,
        what: str,
        act: Act,
        name: str = "",
        *,
        minutes: tuple[float, float],
        disrupts: str = "",
        back: str = "",
    ) -> Step:
        """`minutes`: expected, and at most."""
        return Step(
            id=f"{self.hop.to}/{state}" + (f"/{name}" if name else ""),
            state=state,
            hop=self.hop.to,
            what=what,
            act=act,
            call=shown(act, self.estate),
            expected_s=minutes[0] * MINUTE_S,
            at_most_s=minutes[1] * MINUTE_S,
            disrupts=disrupts,
            back=back,
        )
