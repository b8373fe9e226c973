from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aliquot.document import DocumentError
from aliquot.gpu import boards
from aliquot.gpu.mig_config.device_filter import DeviceFilter
from aliquot.gpu.mig_config.file import (
    Entry,
    ExplicitInstance,
    MigConfigFile,
    NoSuchConfig,
    load,
    parse,
    plain,
    spell,
)
from aliquot.gpu.profiles import ProfileName


def file_with(entry: str) -> str:
    """A file whose one entry is these lines; the first of them is line 4."""
    first, *rest = entry.splitlines()
    return "version: v1\nmig-configs:\n  one:\n  - " + "\n    ".join([first, *rest]) + "\n"


def entry_of(text: str) -> Entry:
    (entry,) = parse(file_with(text), source="f").choose("one")
    return entry


def complaint(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(text, source="f")
    return str(caught.value)


# --- whole files ---


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", [], id="an empty text"),
        pytest.param("# nothing yet\n", [], id="a comment alone"),
        pytest.param("version: v1\n", [], id="a version alone"),
        pytest.param('{"version": "v1"}', [], id="JSON"),
        pytest.param(file_with("devices: all\nmig-enabled: false"), ["one"], id="one configuration"),
        pytest.param(
            '{"mig-configs": {"off": [{"mig-enabled": false, "devices": "all"}]}, "version": "v1"}',
            ["off"],
            id="JSON with a configuration",
        ),
    ],
)
def test_files_that_are_taken(text: str, names: list[str]) -> None:
    assert list(parse(text, source="f").configs) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "f:1: field 'version' is missing"),
        ("mig-configs: {a: [{devices: all, mig-enabled: false}]}", "f:1: field 'version' is missing"),
        ("version: v2", "f:1: version 'v2' is not 'v1', the only one there is"),
        ("\nversion: v2\nprofiles: {}", "f:2: version 'v2' is not 'v1', the only one there is"),
        ("version: 1", "f:1: version: text is expected, not a whole number"),
        ("version: v1\nmig-config: {}", "f:2: unknown field 'mig-config'; did you mean 'mig-configs'?"),
        ("version: v1\nbogus: 1", "f:2: unknown field 'bogus'; known: mig-configs, version"),
        (
            "version: v1\nmig-configs: {}",
            "f:2: 'mig-configs' has no configuration: give one, or leave it out",
        ),
        ("version: v1\nmig-configs:", "f:2: mig-configs: an object is expected, not nothing"),
        ("version: v1\nmig-configs:\n  a: []", "f:3: configuration 'a' has no entry"),
        ("version: v1\nmig-configs:\n  a:\n  a:", "f:4: 'a' is given twice (first on line 3)"),
        ("- version: v1", "f:1: an object is expected, not a list"),
        ("version: v1\n---\nversion: v1", "f:3: a second document begins here; one is expected"),
    ],
)
def test_files_that_are_refused(text: str, message: str) -> None:
    assert complaint(text) == message


def test_a_file_is_read_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(file_with("devices: all\nmig-enabled: false"))
    assert load(path) == MigConfigFile({"one": (Entry(False),)})
    path.write_text("version: v3\n")
    with pytest.raises(DocumentError, match=r"config\.yaml:1: version 'v3'"):
        load(path)


# --- entries ---


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("devices: all\nmig-enabled: false", Entry(False)),
        ("devices: all\nmig-enabled: false\nmig-devices: {}", Entry(False)),
        ("devices: all\nmig-enabled: false\nmig-devices: null", Entry(False)),
        ("devices: all\nmig-enabled: true\nmig-devices: {}", Entry(True)),
        ("devices: all\nmig-enabled: true\nmig-devices: {1g.5gb: 2}", Entry(True, counts={"1g.5gb": 2})),
        ("devices: [0, 1, 2, 3]\nmig-enabled: false", Entry(False, (0, 1, 2, 3))),
        ("devices: [3, 1]\nmig-enabled: false", Entry(False, (3, 1))),
        ("devices: []\nmig-enabled: false", Entry(False, ())),
        ("device-filter: ''\ndevices: all\nmig-enabled: false", Entry(False)),
        ("device-filter: []\ndevices: all\nmig-enabled: false", Entry(False)),
        (
            "device-filter: MODEL\ndevices: all\nmig-enabled: false",
            Entry(False, filters=(DeviceFilter(None, word="MODEL"),)),
        ),
        (
            "device-filter: '0x20B010DE'\ndevices: all\nmig-enabled: false",
            Entry(False, filters=(DeviceFilter(0x20B010DE),)),
        ),
        (
            "device-filter: ['0x20B010DE', 0x20B110DE:0x134F10DE]\ndevices: all\nmig-enabled: false",
            Entry(False, filters=(DeviceFilter(0x20B010DE), DeviceFilter(0x20B110DE, 0x134F10DE))),
        ),
        (
            "devices: all\nmig-enabled: true\nmig-devices: {1g.5gb: 7, 2g.10gb: 0}",
            Entry(True, counts={"1g.5gb": 7, "2g.10gb": 0}),
        ),
        (
            "devices: all\nmig-enabled: true\nmig-devices: {1c.1g.5gb: 3, 1c.3g.20gb: 2, '1g.24gb-me': 1}",
            Entry(True, counts={"1g.5gb": 3, "1c.3g.20gb": 2, "1g.24gb-me": 1}),
        ),
        ("devices: all\nmig-enabled: true\nmig-devices: {0g.0gb: 100}", Entry(True, counts={"0g.0gb": 100})),
        ("devices: all\nmig-enabled: true\nmig-instances: []", Entry(True, instances=())),
        ("devices: all\nmig-enabled: false\nmig-instances: []", Entry(False)),
        (
            "devices: [0]\nmig-enabled: true\nmig-instances:\n"
            "- {profile: 3g.40gb, start: 4, compute: [1c.3g.40gb, 2c.3g.40gb]}\n"
            "- profile: 2c.2g.20gb\n"
            "- profile: 2g.20gb\n",
            Entry(
                True,
                (0,),
                instances=(
                    ExplicitInstance("3g.40gb", 4, ("1c.3g.40gb", "2c.3g.40gb")),
                    ExplicitInstance("2g.20gb"),
                    ExplicitInstance("2g.20gb"),
                ),
            ),
        ),
    ],
)
def test_entries_that_are_taken(text: str, entry: Entry) -> None:
    assert entry_of(text) == entry


ON = "devices: all\nmig-enabled: true\n"
PROFILE_FORM = "is no MIG profile name (like 1g.10gb, 1g.10gb+me or 1c.2g.20gb)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mig-enabled: false", "f:4: mig-configs.one[0]: field 'devices' is missing"),
        ("devices: all", "f:4: mig-configs.one[0]: field 'mig-enabled' is missing"),
        (
            "devices: all\nmig-enabled:",
            "f:5: mig-configs.one[0].mig-enabled: true or false is expected, not nothing",
        ),
        (
            "devices: all\nmig-enabled: 1",
            "f:5: mig-configs.one[0].mig-enabled: true or false is expected, not a whole number",
        ),
        (
            "devices: all\nmig-enabled: true",
            "f:4: mig-enabled is true, and there is no mig-devices: give {} for no slices",
        ),
        (
            f"{ON}mig-devices:",
            "f:4: mig-enabled is true, and there is no mig-devices: give {} for no slices",
        ),
        (
            "devices: all\nmig-enabled: false\nmig-devices: {1g.5gb: 1}",
            "f:4: slices are given, and mig-enabled is false: set it to true, or remove them",
        ),
        (
            "devices: all\nmig-enabled: false\nmig-instances: [{profile: 1g.5gb}]",
            "f:4: slices are given, and mig-enabled is false: set it to true, or remove them",
        ),
        (
            f"{ON}mig-device: {{}}",
            "f:6: unknown field 'mig-device' in mig-configs.one[0]; did you mean 'mig-devices'?",
        ),
        # which GPUs
        (
            "devices: bogus\nmig-enabled: false",
            "f:4: devices is 'all' or a list of indexes, not 'bogus'",
        ),
        (
            "devices: {}\nmig-enabled: false",
            "f:4: mig-configs.one[0].devices: text or a list is expected, not an object",
        ),
        (
            "devices:\nmig-enabled: false",
            "f:4: mig-configs.one[0].devices: text or a list is expected, not nothing",
        ),
        ("devices:\n- 0\n- -1\nmig-enabled: false", "f:6: GPU -1: indexes begin at 0"),
        ("devices:\n- 0\n- 1\n- 0\nmig-enabled: false", "f:7: GPU 0 is given twice"),
        (
            "devices: ['0']\nmig-enabled: false",
            "f:4: mig-configs.one[0].devices[0]: a whole number is expected, not text",
        ),
        (
            "devices: [true]\nmig-enabled: false",
            "f:4: mig-configs.one[0].devices[0]: a whole number is expected, not true or false",
        ),
        (
            "device-filter: 0x20B010DE\ndevices: all\nmig-enabled: false",
            'f:4: a device filter needs quotes, else it is a number: "0x20B010DE"',
        ),
        (
            "device-filter:\n- '0x20B010DE'\n- 0x20B110DE\ndevices: all\nmig-enabled: false",
            'f:6: a device filter needs quotes, else it is a number: "0x20B110DE"',
        ),
        (
            "device-filter: '0x20B0'\ndevices: all\nmig-enabled: false",
            "f:4: '0x20B0' names no vendor: NVIDIA's is 10DE, so 0x20B010DE",
        ),
        (
            "device-filter:\n- '0x20B010DE'\n- '0x20B0G0DE'\ndevices: all\nmig-enabled: false",
            "f:6: '0x20B0G0DE' is no device filter: give device and vendor as NVML reports them, like "
            "0x233010DE, and a subsystem like 0x233010DE:0x16C110DE",
        ),
        (
            "device-filter: {}\ndevices: all\nmig-enabled: false",
            "f:4: mig-configs.one[0].device-filter: a whole number or text or a list is expected, not an object",
        ),
        # how many slices
        (f"{ON}mig-devices:\n  bogus: 2", f"f:7: 'bogus' {PROFILE_FORM}"),
        (
            f"{ON}mig-devices:\n  1g.5g: 2",
            f"f:7: '1g.5g' {PROFILE_FORM}; did you mean '1g.5gb' or '1g.5gb+me'?",
        ),
        (
            f"{ON}mig-devices:\n  1g.10gb.me: 1",
            f"f:7: '1g.10gb.me' {PROFILE_FORM}; did you mean '1g.10gb+me'?",
        ),
        (
            f"{ON}mig-devices:\n  1g.5gb: 1\n  2g.10gb: -1",
            "f:8: mig-configs.one[0].mig-devices.2g.10gb: a whole number >= 0 is expected, not -1",
        ),
        (
            f"{ON}mig-devices: {{1g.5gb: many}}",
            "f:6: mig-configs.one[0].mig-devices.1g.5gb: a whole number is expected, not text",
        ),
        (
            f"{ON}mig-devices: {{1g.5gb: 0, 2g.10gb: 0}}",
            "f:6: all counts are zero: give {} for no slices",
        ),
        (
            "devices: all\nmig-enabled: false\nmig-devices: {1g.5gb: 0}",
            "f:4: slices are given, and mig-enabled is false: set it to true, or remove them",
        ),
        (
            f"{ON}mig-devices:\n  1g.5gb: 1\n  1c.1g.5gb: 2",
            "f:8: '1c.1g.5gb' and '1g.5gb' are the same profile: keep one of them",
        ),
        (
            f"{ON}mig-devices:\n  1g.5gb+me,gfx: 1\n  1g.5gb+gfx,me: 2",
            "f:8: '1g.5gb+gfx,me' and '1g.5gb+me,gfx' are the same profile: keep one of them",
        ),
        (f"{ON}mig-devices:\n  1g.5gb: 1\n  1g.5gb: 2", "f:8: '1g.5gb' is given twice (first on line 7)"),
        # which slices, in our own words
        (
            f"{ON}mig-devices: {{}}\nmig-instances: []",
            "f:7: give mig-devices or mig-instances, not both",
        ),
        (
            f"{ON}mig-instances:\n- start: 0",
            "f:7: mig-configs.one[0].mig-instances[0]: field 'profile' is missing",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40gb, at: 4}}",
            "f:7: unknown field 'at' in mig-configs.one[0].mig-instances[0]; known: compute, profile, start",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40g}}",
            f"f:7: '3g.40g' {PROFILE_FORM}; did you mean '3g.40gb'?",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40gb, start: -4}}",
            "f:7: mig-configs.one[0].mig-instances[0].start: a whole number >= 0 is expected, not -4",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40gb, start: 4}}\n- {{profile: 2g.20gb, start: 4}}",
            "f:8: two slices start at 4",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 1c.3g.40gb}}",
            "f:7: '1c.3g.40gb' is a part: name the whole here, and its parts under 'compute'",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40gb, compute: []}}",
            "f:7: no parts are given: leave it out for one that fills 3g.40gb",
        ),
        (
            f"{ON}mig-instances:\n- profile: 3g.40gb\n  compute:\n  - 1c.3g.40gb\n  - 1c.4g.40gb",
            "f:10: '1c.4g.40gb' is no part of 3g.40gb",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 1g.10gb, compute: [1g.10gb+me]}}",
            "f:7: '1g.10gb+me' is no part of 1g.10gb",
        ),
        (
            f"{ON}mig-instances:\n- {{profile: 3g.40gb, compute: [2c.3g.40gb, 2c.3g.40gb]}}",
            "f:7: the parts have 4 slices together, and 3g.40gb has 3",
        ),
    ],
)
def test_entries_that_are_refused(text: str, message: str) -> None:
    assert complaint(file_with(text)) == message


# --- choosing ---

SEVERAL = MigConfigFile({"all-disabled": (Entry(False),), "all-enabled": (Entry(True),)})


def test_a_configuration_is_chosen_by_name() -> None:
    assert SEVERAL.choose("all-enabled") == (Entry(True),)


def test_one_configuration_needs_no_name() -> None:
    assert MigConfigFile({"any": (Entry(True),)}).choose(None) == (Entry(True),)


@pytest.mark.parametrize(
    ("file", "name", "message"),
    [
        (SEVERAL, None, "which configuration? There are all-disabled, all-enabled"),
        (
            SEVERAL,
            "all-enable",
            "there is no configuration 'all-enable'; there are all-disabled, all-enabled; did you mean 'all-enabled'?",
        ),
        (SEVERAL, "x", "there is no configuration 'x'; there are all-disabled, all-enabled"),
        (MigConfigFile({}), None, "the file has no configurations"),
        (MigConfigFile({}), "x", "the file has no configurations"),
    ],
)
def test_what_cannot_be_chosen_says_what_can(file: MigConfigFile, name: str | None, message: str) -> None:
    with pytest.raises(NoSuchConfig) as caught:
        file.choose(name)
    assert str(caught.value) == message


# --- writing ---


def test_a_file_is_printed_as_mig_parted_prints_it() -> None:
    file = MigConfigFile(
        {
            "mixed": (
                Entry(False, (0, 1), (DeviceFilter(0x233010DE),)),
                Entry(
                    True,
                    (2, 3),
                    (DeviceFilter(0x233010DE), DeviceFilter(0x20B010DE, 0x134F10DE)),
                    {"1g.10gb+me": 1, "3g.40gb": 1, "1g.10gb": 2, "1g.5gb": 1},
                ),
                Entry(True, (4,)),
            ),
            "all-1g.10gb": (Entry(True, counts={"1g.10gb": 7}),),
            "all-1g.5gb": (Entry(True, counts={"1g.5gb": 7}),),
            "7": (Entry(False),),
        }
    )
    assert (
        spell(file)
        == """\
version: v1
mig-configs:
  "7":
  - devices: all
    mig-enabled: false
    mig-devices: {}
  all-1g.5gb:
  - devices: all
    mig-enabled: true
    mig-devices:
      1g.5gb: 7
  all-1g.10gb:
  - devices: all
    mig-enabled: true
    mig-devices:
      1g.10gb: 7
  mixed:
  - device-filter: "0x233010DE"
    devices: [0, 1]
    mig-enabled: false
    mig-devices: {}
  - device-filter: ["0x233010DE", '0x20B010DE:0x134F10DE']
    devices: [2, 3]
    mig-enabled: true
    mig-devices:
      1g.5gb: 1
      1g.10gb: 2
      1g.10gb+me: 1
      3g.40gb: 1
  - devices: [4]
    mig-enabled: true
    mig-devices: {}
"""
    )


def test_explicit_slices_are_printed_in_place_of_counts() -> None:
    instances = (ExplicitInstance("3g.40gb", 4, ("1c.3g.40gb", "2c.3g.40gb")), ExplicitInstance("2g.20gb"))
    (config,) = plain(MigConfigFile({"one": (Entry(True, instances=instances),)}))["mig-configs"].values()
    assert config == [
        {
            "devices": "all",
            "mig-enabled": True,
            "mig-instances": [
                {"profile": "3g.40gb", "start": 4, "compute": ["1c.3g.40gb", "2c.3g.40gb"]},
                {"profile": "2g.20gb"},
            ],
        }
    ]


WHOLE = sorted({profile.name for board in boards.boards() if board.mig for profile in board.mig.profiles})
PARTS = ["1c.2g.20gb", "1c.3g.40gb", "2c.3g.40gb", "1c.7g.80gb"]
ids = st.integers(0x10000, 0xFFFFFFFF)
words = st.sampled_from(
    ["MODEL", "NVIDIA A30", "yes", "null", "~", ".5", "+1", "<<", "=", "- a: b", "#", "'"]
)
filters = st.builds(DeviceFilter, ids, st.none() | ids) | st.builds(
    lambda word: DeviceFilter(None, word=word), words
)
selectors: dict[str, Any] = {
    "devices": st.none() | st.lists(st.integers(0, 99), unique=True, max_size=40).map(tuple),
    "filters": st.lists(filters, max_size=12).map(tuple),
}
counts = st.dictionaries(st.sampled_from(WHOLE + PARTS), st.integers(0, 7), max_size=4).filter(
    lambda found: not found or any(found.values())
)


@st.composite
def explicit(draw: st.DrawFn) -> ExplicitInstance:
    profile = draw(st.sampled_from(WHOLE))
    whole = ProfileName.parse(profile)
    sizes = draw(st.lists(st.integers(1, whole.gpu_slices), max_size=whole.gpu_slices))
    while sum(sizes) > whole.gpu_slices:
        sizes.pop()
    parts = [ProfileName(n, whole.gpu_slices, whole.memory_gb, whole.attributes) for n in sizes]
    return ExplicitInstance(profile, draw(st.none() | st.integers(0, 15)), tuple(map(str, parts)))


instances = st.lists(explicit(), max_size=4, unique_by=lambda one: (one.start, one.start is None and id(one)))
entries = (
    st.builds(Entry, st.just(False), **selectors)
    | st.builds(Entry, st.just(True), counts=counts, **selectors)
    | st.builds(Entry, st.just(True), instances=instances.map(tuple), **selectors)
)
config_names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), min_size=1)
files = st.builds(
    MigConfigFile,
    st.dictionaries(config_names, st.lists(entries, min_size=1, max_size=3).map(tuple), max_size=4),
)


@given(files)
def test_a_file_reads_as_it_was_spelled(file: MigConfigFile) -> None:
    assert parse(spell(file), source="f") == file


@given(files)
def test_any_yaml_reader_reads_the_same(file: MigConfigFile) -> None:
    assert yaml.safe_load(spell(file)) == plain(file)
