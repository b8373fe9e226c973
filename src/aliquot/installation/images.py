"""Every image that an installation and its policy can pull, and the same from another registry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from aliquot.installation.labels import Json
from aliquot.installation.values import Values
from aliquot.kube.api.gpupolicy import Driver, GPUPolicySpec
from aliquot.operator.core.operands import Image, OperandName, manager_image, parse_image, shipped
from aliquot.operator.core.pools import Pool


@dataclass(frozen=True, slots=True)
class Listed:
    image: str
    what: str


def images(
    values: Values, objects: Iterable[Json], spec: GPUPolicySpec, systems: Iterable[str]
) -> list[Listed]:
    """`systems`: tags of operating systems (`ubuntu24.04`), for each of which there is a driver image of its own."""
    found = [Listed(one, "Aliquot") for one in sorted(set(_in_pods(objects)))]
    operands = of_operands(values, spec)
    if spec.driver.enabled and not spec.driver.preinstalled:
        driver = operands[OperandName.DRIVER]
        for system in systems:
            tag = driver_tag(driver, spec.driver, system)
            found.append(Listed(str(Image(driver.repository, driver.name, tag)), f"driver, on {system}"))
        found.append(Listed(str(manager_image(spec.driver)), "driver: unloads the last one"))
    for name, operand in (
        (OperandName.TOOLKIT, spec.toolkit),
        (OperandName.AGENT, spec.agent),
        (OperandName.EXPORTER, spec.exporter),
        (OperandName.VALIDATOR, spec.validator),
    ):
        if operand.enabled and not operand.preinstalled:
            found.append(Listed(str(operands[name]), str(name)))
    once: dict[str, str] = {}
    for one in found:
        once[one.image] = f"{once[one.image]}, {one.what}" if one.image in once else one.what
    return [Listed(image, what) for image, what in once.items()]


def driver_tag(driver: Image, spec: Driver, system: str) -> str:
    """Of precompiled drivers the kernel stands in it, which the nodes alone know."""
    return Pool(system, "KERNEL" if spec.use_precompiled else "").tag(driver.version)


def of_operands(values: Values, spec: GPUPolicySpec) -> Mapping[OperandName, Image]:
    given = {
        OperandName.DRIVER: spec.driver,
        OperandName.TOOLKIT: spec.toolkit,
        OperandName.AGENT: spec.agent,
        OperandName.EXPORTER: spec.exporter,
        OperandName.VALIDATOR: spec.validator,
    }
    return {
        name: Image(
            given[name].repository or image.repository,
            given[name].image or image.name,
            given[name].version or image.version,
        )
        for name, image in shipped(parse_image(values.image)).items()
    }


def moved_image(image: Image, registry: str) -> Image:
    """`nvcr.io/nvidia/driver` is `REGISTRY/nvidia/driver` there: as tools that copy images do it by themselves."""
    first, _, rest = image.repository.partition("/")
    has_host = "." in first or ":" in first or first == "localhost"
    path = rest if has_host else image.repository
    return Image("/".join(part for part in (registry.rstrip("/"), path) if part), image.name, image.version)


def moved(values: Values, spec: GPUPolicySpec, registry: str) -> tuple[Values, GPUPolicySpec]:
    """With all of their images in another registry."""
    operands = {name: moved_image(image, registry) for name, image in of_operands(values, spec).items()}
    changed = {
        name: msgspec.structs.replace(getattr(spec, name), repository=operands[OperandName(name)].repository)
        for name in ("driver", "toolkit", "exporter")
    }
    manager = moved_image(manager_image(spec.driver), registry)
    driver = changed["driver"]
    assert isinstance(driver, Driver)
    changed["driver"] = msgspec.structs.replace(
        driver, manager=msgspec.structs.replace(driver.manager, repository=manager.repository)
    )
    # Of ours the operator knows where they are, unless the policy names another.
    for name in ("agent", "validator"):
        operand = getattr(spec, name)
        if operand.repository or operand.image:
            changed[name] = msgspec.structs.replace(
                operand, repository=operands[OperandName(name)].repository
            )
    ours = str(moved_image(parse_image(values.image), registry))
    spec = msgspec.structs.replace(spec, **changed)
    policy = msgspec.structs.replace(values.policy, spec=spec)
    return msgspec.structs.replace(values, image=ours, policy=policy), spec


def _in_pods(objects: Iterable[Json]) -> Iterable[str]:
    for one in objects:
        template = one.get("spec", {}).get("template") if one["kind"] in ("Deployment", "DaemonSet") else None
        for container in template["spec"]["containers"] if template else ():
            yield container["image"]
