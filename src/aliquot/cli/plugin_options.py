"""The options of NVIDIA's device plugin: their names, their environment variables, their configuration file."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from aliquot.node.configuration import Configuration
    from aliquot.node.plugin_config.file import Flags, PluginConfig
    from aliquot.node.plugin_config.settings import Settings

_F = TypeVar("_F", bound=Callable[..., Any])


class _Option(NamedTuple):
    names: tuple[str, ...]
    variables: tuple[str, ...]
    field: str
    """In the file, below `flags`: `plugin.passDeviceSpecs`."""
    kind: str = "text"
    """`text`, `truth` or `words`."""
    help: str = ""


_OPTIONS = (
    _Option(
        ("--mig-strategy",), ("MIG_STRATEGY",), "migStrategy", help="none, single or mixed.  [default: mixed]"
    ),
    _Option(
        ("--fail-on-init-error",),
        ("FAIL_ON_INIT_ERROR",),
        "failOnInitError",
        "truth",
        "Exit where the driver does not answer at the start; else stay, say so, and look again.  [default: true]",
    ),
    _Option(
        ("--driver-root", "--nvidia-driver-root"),
        ("NVIDIA_DRIVER_ROOT",),
        "nvidiaDriverRoot",
        help="Where the driver is on the host.  [default: /]",
    ),
    _Option(
        ("--dev-root", "--nvidia-dev-root"),
        ("NVIDIA_DEV_ROOT",),
        "nvidiaDevRoot",
        help="Where device nodes are on the host.  [default: the driver root]",
    ),
    _Option(
        ("--pass-device-specs",),
        ("PASS_DEVICE_SPECS",),
        "plugin.passDeviceSpecs",
        "truth",
        "Tell kubelet of the device nodes, so that containers keep them.  [default: true]",
    ),
    _Option(
        ("--device-list-strategy",),
        ("DEVICE_LIST_STRATEGY",),
        "plugin.deviceListStrategy",
        "words",
        "How containers learn of their devices: envvar, volume-mounts, cdi-annotations, cdi-cri.  [default: envvar]",
    ),
    _Option(
        ("--device-id-strategy",),
        ("DEVICE_ID_STRATEGY",),
        "plugin.deviceIDStrategy",
        help="uuid or index.  [default: uuid]",
    ),
    _Option(("--gdrcopy-enabled",), ("GDRCOPY_ENABLED",), "gdrcopyEnabled", "truth"),
    _Option(("--gds-enabled",), ("GDS_ENABLED",), "gdsEnabled", "truth"),
    _Option(("--mofed-enabled",), ("MOFED_ENABLED",), "mofedEnabled", "truth"),
    _Option(("--cdi-annotation-prefix",), ("CDI_ANNOTATION_PREFIX",), "plugin.cdiAnnotationPrefix"),
    _Option(
        ("--nvidia-cdi-hook-path", "--nvidia-ctk-path"),
        ("NVIDIA_CDI_HOOK_PATH", "NVIDIA_CTK_PATH"),
        "plugin.nvidiaCTKPath",
    ),
    _Option(
        ("--driver-root-ctr-path", "--container-driver-root"),
        ("DRIVER_ROOT_CTR_PATH", "CONTAINER_DRIVER_ROOT"),
        "plugin.containerDriverRoot",
    ),
    _Option(
        ("--mps-root",),
        ("MPS_ROOT",),
        "mpsRoot",
        help="Directory of the host for MPS; without it there is no MPS.",
    ),
    _Option(
        ("--shared-devices-allocation-policy",),
        ("SHARED_DEVICES_ALLOCATION_POLICY",),
        "plugin.sharedDevicesAllocationPolicy",
        help="distributed or packed.  [default: distributed for shares, packed for slices]",
    ),
    _Option(("--device-discovery-strategy",), ("DEVICE_DISCOVERY_STRATEGY",), "deviceDiscoveryStrategy"),
    _Option(
        ("--no-timestamp",), ("GFD_NO_TIMESTAMP",), "gfd.noTimestamp", "truth", "Leave out gfd.timestamp."
    ),
    _Option(("--machine-type-file",), ("GFD_MACHINE_TYPE_FILE",), "gfd.machineTypeFile"),
)
_VARIABLES = ("CONFIG_MAP", *(name for option in _OPTIONS for name in option.variables))


def plugin_options(command: _F) -> _F:
    """Adds them; the command gets `given`, what was said on the command line or in the environment, as `Flags`."""

    @functools.wraps(command)
    def with_given(*args: Any, **kwargs: Any) -> Any:
        values = {option.field: kwargs.pop(_parameter(option)) for option in _OPTIONS}
        return command(*args, given=_flags(values), **kwargs)

    wrapped: Any = with_given
    for option in reversed(_OPTIONS):
        wrapped = click.option(
            *option.names,
            _parameter(option),
            envvar=list(option.variables),
            type=click.BOOL if option.kind == "truth" else str,
            # "--gds-enabled" alone is how NVIDIA's plugin is told yes.
            is_flag=False,
            flag_value="true" if option.kind == "truth" else None,
            default=None,
            help=f"{option.help}  [env: {option.variables[0]}]".strip(),
        )(wrapped)
    return wrapped  # type: ignore[no-any-return]


def arguments_of(
    arguments: Sequence[str], environment: Mapping[str, str], *, config_map: str
) -> "tuple[Flags, str]":
    """What the command line of another process says, and its ConfigMap. Options that are not the plugin's are passed over.
    Raises click.UsageError."""
    ours = {name: environment[name] for name in _VARIABLES if name in environment}
    return _arguments_of(tuple(arguments), tuple(ours.items()), config_map)


@functools.lru_cache(maxsize=64)
def _arguments_of(
    arguments: tuple[str, ...], variables: tuple[tuple[str, str], ...], config_map: str
) -> "tuple[Flags, str]":
    """Of a fleet's agents all say the same, and there are hundreds of them."""
    environment = dict(variables)
    options = [
        click.Option(
            [*option.names, _parameter(option)],
            type=click.BOOL if option.kind == "truth" else str,
            is_flag=False,
            flag_value="true" if option.kind == "truth" else None,
        )
        for option in _OPTIONS
    ]
    named = click.Option(["--config-map"], default=environment.get("CONFIG_MAP", config_map))
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    command = click.Command("aliquot", params=[*options, named], context_settings=settings)
    said = command.make_context("aliquot", list(arguments)).params
    values: dict[str, Any] = {}
    for option, parsed in zip(_OPTIONS, options, strict=True):
        value = said[_parameter(option)]
        if value is None and (found := next(filter(environment.get, option.variables), None)):
            value = parsed.type.convert(environment[found], parsed, None)
        values[option.field] = value
    return _flags(values), said["config_map"]


def config_file_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--config-file",
        envvar="CONFIG_FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Configuration of NVIDIA's device plugin, version v1.  [env: CONFIG_FILE]",
    )(command)


def read_config(path: Path | None) -> "PluginConfig":
    """Raises click.ClickException."""
    from aliquot.document import DocumentError
    from aliquot.node.plugin_config import file

    try:
        return file.load(path) if path is not None else file.PluginConfig()
    except DocumentError as error:
        raise click.ClickException(str(error)) from error


def follow(
    given: "Flags", path: Path | None, config_map: str, default: str, fallbacks: str
) -> "Configuration":
    """What the agent goes by; a file is read at once, so that a fault in it is seen here. Raises click.ClickException."""
    from aliquot.node.configuration import Configuration
    from aliquot.node.plugin_config.choice import Fallback

    try:
        strategies = [Fallback(word.strip()) for word in fallbacks.split(",") if word.strip()]
    except ValueError as error:
        raise click.BadParameter(
            f"{error}: give named, single or empty", param_hint="--config-fallback-strategies"
        ) from None
    settings = settle(given, read_config(path))
    return Configuration(
        given,
        path=path,
        config_map="" if path is not None else config_map,
        default=default,
        fallbacks=strategies,
        settings=settings if path is not None or not config_map else None,
    )


def settle(given: "Flags", config: "PluginConfig") -> "Settings":
    """Raises click.ClickException."""
    from aliquot.node.plugin_config.settings import SettingsError, resolve

    try:
        return resolve(given, config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _parameter(option: _Option) -> str:
    return option.names[0].lstrip("-").replace("-", "_")


def _flags(values: dict[str, Any]) -> "Flags":
    """Raises click.BadParameter."""
    from aliquot.document.fitting import Misfit, fit
    from aliquot.node.plugin_config.file import Flags

    flags: dict[str, Any] = {}
    for option in _OPTIONS:
        value = values[option.field]
        if value is None:
            continue
        if option.kind == "words":
            value = [word.strip() for word in value.split(",") if word.strip()]
        place = flags
        *sections, name = option.field.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
        try:
            fit(flags, Flags)
        except Misfit as misfit:
            said = str(misfit).partition(": ")[2] or str(misfit)
            raise click.BadParameter(said, param_hint=f"{option.names[0]} (${option.variables[0]})") from None
    return fit(flags, Flags)
