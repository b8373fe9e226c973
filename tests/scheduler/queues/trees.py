"""Random trees of queues, small enough to reckon by hand."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from aliquot.scheduler.core.pod import CPU, MEMORY, Amounts
from aliquot.scheduler.core.queues.terms import GPU, UNLIMITED, QueueSpec, Terms, of_model
from aliquot.scheduler.core.queues.tree import QueueTree

H100 = of_model("H100")
thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""No test may depend on how fast the machine is."""

COUNTED = (GPU, CPU, MEMORY, H100)

quotas = st.one_of(st.none(), st.just(0), st.integers(1, 12), st.just(UNLIMITED))
limits = st.one_of(st.just(UNLIMITED), st.integers(0, 20))
terms = st.builds(Terms, quota=quotas, limit=limits, weight_milli=st.sampled_from((0, 500, 1000, 3000)))
amounts: st.SearchStrategy[Amounts] = st.dictionaries(
    st.sampled_from(COUNTED), st.integers(1, 15), max_size=4
)


@st.composite
def specs(draw: st.DrawFn, most: int = 7) -> list[QueueSpec]:
    """Without problems: each has one before it, or nothing, above it."""
    found: list[QueueSpec] = []
    for number in range(draw(st.integers(0, most))):
        found.append(
            QueueSpec(
                name=f"q{number}",
                parent=draw(st.sampled_from(["", *(spec.name for spec in found)])),
                priority=draw(st.sampled_from((100, 100, 50))),
                terms=draw(st.dictionaries(st.sampled_from(COUNTED), terms, max_size=3)),
                created_s=draw(st.integers(0, 2)),
            )
        )
    return found


trees = specs().map(QueueTree)


@st.composite
def by_leaf(draw: st.DrawFn, tree: QueueTree) -> dict[str, Amounts]:
    return {leaf: draw(amounts) for leaf in tree.leaves if draw(st.booleans())}
