"""`aliquot install`: puts Aliquot into a cluster, or prints what that would be."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aliquot.cli.connect import cluster_options, connect, run
from aliquot.cli.installation.namespace import namespace_option
from aliquot.cli.parameters import GivenName, Names, Seconds, each_once

if TYPE_CHECKING:
    from aliquot.installation.rendering import Offers
    from aliquot.installation.values import Values
    from aliquot.kube.api.gpupolicy import GPUPolicySpec

_LEFT_OUT = ("scheduler", "partitioner", "admission", "discovery")
_NO_POLICY, _DEFAULT_POLICY = "none", "default"
_MUTATING = "MutatingAdmissionPolicy"
_MONITORS = "monitoring.coreos.com/v1/PodMonitor"
_CERTIFICATE = "cert-manager.io/v1/Certificate"
_SYSTEMS = ("ubuntu22.04", "ubuntu24.04", "rhel9")


@click.command()
@click.option(
    "--dry-run", is_flag=True, help="Let the cluster judge it, show what would change, and change nothing."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "crds"]),
    help="Print the objects, for kubectl or a repository; asks no cluster. crds: the definitions of our kinds alone.",
)
@click.option(
    "--api-version",
    "api_versions",
    type=GivenName(),
    multiple=True,
    metavar="GROUP/VERSION/KIND",
    help=f"With -o: what the cluster serves beside the usual, like {_MONITORS}; may be given several times.  "
    f"[default: admissionregistration.k8s.io/v1/{_MUTATING}, of Kubernetes 1.36 and later]",
)
@click.option(
    "--image",
    type=GivenName(),
    metavar="REPOSITORY/NAME:TAG",
    help="Aliquot's own.  [default: that of the values]",
)
@click.option(
    "--registry",
    type=GivenName(),
    help="Where copies of all images are, ours and NVIDIA's, like registry.example.com.",
)
@click.option(
    "--values",
    "values_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Values of the Helm chart, as a file.",
)
@click.option(
    "--without",
    type=Names(_LEFT_OUT),
    multiple=True,
    callback=each_once,
    metavar="PARTS",
    help=f"Parts to leave out, with commas, or given several times: {', '.join(_LEFT_OUT)}.",
)
@click.option(
    "--policy",
    default=_NO_POLICY,
    show_default=True,
    metavar="FILE|default|none",
    help="A GPUPolicy to be applied at the end; default: all nodes with GPUs, as shipped.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until everything runs.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="For --wait: until what an uninstall has begun is over, and again until everything runs.",
)
@click.option(
    "--any-version", is_flag=True, help="Also into a Kubernetes that this Aliquot was never tried against."
)
@click.option(
    "--images", "list_images", is_flag=True, help="Print every image that this can pull, and no more."
)
@click.option(
    "--system",
    "systems",
    type=GivenName(),
    multiple=True,
    default=_SYSTEMS,
    show_default=True,
    help="With --images: what nodes run, of which there is a driver image each; may be given several times.",
)
@click.option(
    "--from-clusterpolicy",
    "cluster_policy",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE|-",
    help="Print the GPUPolicy that an NVIDIA ClusterPolicy or NVIDIADriver comes to, and what of it has no counterpart.",
)
@namespace_option
@cluster_options
def install(
    dry_run: bool,
    output: str | None,
    api_versions: tuple[str, ...],
    image: str | None,
    registry: str | None,
    values_file: Path | None,
    without: tuple[str, ...],
    policy: str,
    wait: bool,
    timeout_s: float,
    any_version: bool,
    list_images: bool,
    systems: tuple[str, ...],
    cluster_policy: Path | None,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Give the cluster all that Aliquot is: its kinds, rights, parts and what they may talk to. Safe to repeat: what an earlier
    Aliquot had and this one has not goes. Nodes stay as they are until there is a GPUPolicy."""
    if cluster_policy is not None:
        _translate(cluster_policy)
        return
    values, named = _values(values_file, image, without), _policy(policy)
    values = _with_policy(values, named)
    if registry is not None:
        from aliquot.installation.images import moved

        values, _ = moved(values, values.policy.spec, registry)
    if list_images:
        _print_images(values, systems)
    elif output is not None:
        _print(values, _offers(api_versions), definitions_alone=output == "crds")
    else:
        _refuse_if_wrong(values)
        run(lambda: _install(values, dry_run, wait, timeout_s, any_version, kubeconfig, context))


def _values(path: Path | None, image: str | None, without: Sequence[str]) -> "Values":
    import msgspec

    from aliquot.installation.values import BadValues, Part, Values, checked, read
    from aliquot.installation.values import without as left_out

    try:
        values = Values() if path is None else read(path)
        if image is not None:
            values = msgspec.structs.replace(values, image=image)
        return left_out(checked(values), [Part(one) for one in without])
    except BadValues as error:
        raise click.ClickException(str(error)) from error


def _policy(given: str) -> "tuple[str, GPUPolicySpec] | None":
    """(name, spec) of what --policy names."""
    from aliquot.kube.api.gpupolicy import GPUPolicy, GPUPolicySpec

    if given == _NO_POLICY:
        return None
    if given == _DEFAULT_POLICY:
        return _DEFAULT_POLICY, GPUPolicySpec()
    from aliquot import document

    path = Path(given)
    if not path.is_file():
        raise click.BadParameter(
            f"'{given}' is neither a file, nor default, nor none.", param_hint="--policy"
        )
    try:
        found = document.load_file(path, GPUPolicy)
    except document.DocumentError as error:
        raise click.ClickException(str(error)) from error
    if found.kind != "GPUPolicy":
        raise click.ClickException(f"{path}: a GPUPolicy is expected, not a {found.kind}")
    return found.metadata.name, found.spec


def _with_policy(values: "Values", named: "tuple[str, GPUPolicySpec] | None") -> "Values":
    import msgspec

    if named is None:
        return values
    policy = msgspec.structs.replace(values.policy, create=True, name=named[0], spec=named[1])
    return msgspec.structs.replace(values, policy=policy)


def _refuse_if_wrong(values: "Values") -> None:
    """As the operator would, which lets what runs go on: but here nobody has to find out later."""
    from aliquot.installation.rendering import policy
    from aliquot.kube.api.gpupolicy import GPUPolicy
    from aliquot.kube.api.meta import ObjectMeta
    from aliquot.operator.core.operands import parse_image, shipped
    from aliquot.operator.core.policies import Refused, read

    if not values.policy.create:
        return
    name = policy(values.policy)["metadata"]["name"]
    try:
        read(
            GPUPolicy(metadata=ObjectMeta(name=name), spec=values.policy.spec),
            0.0,
            shipped(parse_image(values.image)),
        )
    except Refused as error:
        raise click.ClickException(f"GPUPolicy {name}: {error}") from error


def _offers(api_versions: Sequence[str]) -> "Offers":
    from aliquot.installation.rendering import Offers

    if not api_versions:
        return Offers()
    mutating = [
        one.split("/")[1] for one in api_versions if one.endswith(f"/{_MUTATING}") and one.count("/") == 2
    ]
    best = next((one for one in ("v1", "v1beta1", "v1alpha1") if one in mutating), "")
    return Offers(best, _MONITORS in api_versions, _CERTIFICATE in api_versions)


def _print(values: "Values", offers: "Offers", *, definitions_alone: bool) -> None:
    from aliquot.admission.installation import manifests
    from aliquot.installation import rendering
    from aliquot.kube import crds

    if definitions_alone:
        click.echo(crds.manifests(), nl=False)
        return
    policy = [rendering.policy(values.policy)] if values.policy.create else []
    click.echo(manifests([*crds.ALL, *rendering.objects(values, offers), *policy]), nl=False)


def _print_images(values: "Values", systems: Sequence[str]) -> None:
    from aliquot.installation import rendering
    from aliquot.installation.images import images

    spec = values.policy.spec
    for one in images(values, rendering.objects(values, rendering.Offers("")), spec, systems):
        click.echo(one.image)
    if spec.driver.use_precompiled:
        click.echo("note: KERNEL stands for the kernel of the nodes, as uname -r says it", err=True)


async def _install(
    values: "Values",
    dry_run: bool,
    wait: bool,
    timeout_s: float,
    any_version: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    from aliquot.installation import applying, cluster, going, rendering, waiting
    from aliquot.kube.crds import NotEstablished

    async with connect(kubeconfig, context) as client:
        try:
            found = await cluster.look(client, any_version=any_version)
            if found.helm_release:
                namespace, _, name = found.helm_release.partition("/")
                raise click.ClickException(
                    f"Helm has installed it, as release {name} in {namespace}: helm upgrade, or helm uninstall first"
                )
            # A cluster that is only asked, and who does not wait, hear of it at once.
            async for line in going.gone(client, timeout_s if wait and not dry_run else 0.0):
                click.echo(line)
            objects = rendering.objects(values, found.offers)
            policy = rendering.policy(values.policy) if values.policy.create else None
            told = 0
            async for change in applying.apply(client, objects, policy=policy, dry_run=dry_run):
                if change.what != "unchanged":
                    told += 1
                    click.echo(f"{change}{' (dry run)' if dry_run else ''}")
            if not told:
                click.echo("everything is as it should be")
            if wait and not dry_run:
                async for line in waiting.ready(client, objects, timeout_s):
                    click.echo(line)
        except (cluster.Unsuitable, going.StillThere, waiting.NotReady, NotEstablished) as error:
            raise click.ClickException(str(error)) from error


def _translate(path: Path) -> None:
    from aliquot.installation.clusterpolicy.reading import NotAPolicy, translate

    text = sys.stdin.read() if str(path) == "-" else path.read_text()
    try:
        found = translate(text, source=str(path))
    except NotAPolicy as error:
        raise click.ClickException(str(error)) from error
    import yaml

    documents: list[dict[str, Any]] = list(found.policies)
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)
    for line in found.notes:
        click.echo(line, err=True)
