"""The interfaces: constants are the code's enums, every field says its unit, and nothing carries a key bit."""

import re
from pathlib import Path

import pytest
from rosbags.typesys import get_types_from_msg

from qkd_gs.calibration.observing.observation import ObservationKind
from qkd_gs.devices.mount import MountMode
from qkd_gs.monitoring.snapshot import KeyStep
from qkd_gs.share import share_path
from qkd_gs.tracking.types import CameraRole, Phase

MESSAGES = sorted(share_path('msg').glob('*.msg'))
UNITS = {
    'rad',
    'rad/s',
    'rad/s^2',
    'urad',
    'm',
    'm/s',
    's',
    'ns',
    'Hz',
    'px',
    'e-',
    'W',
    'counts',
    'bit',
    '1',
    'state',
    'text',
}


def parsed(path: Path):
    """Constants and fields, by a parser of another make than ROS's own."""
    name = f'qkd_gs/msg/{path.stem}'
    constants, fields = get_types_from_msg(path.read_text(encoding='utf-8'), name)[name]
    return {key: value for key, _, value in constants}, [name for name, _ in fields]


@pytest.mark.parametrize(
    ('message', 'enum'),
    [('MountState', MountMode), ('SessionState', Phase), ('Spot', CameraRole), ('KeyState', KeyStep)],
)
def test_constants_are_the_enum(message, enum):
    constants, _ = parsed(share_path('msg', f'{message}.msg'))
    assert constants == {member.name: member.value for member in enum}


def test_the_tasks_of_an_observation_are_the_enum():
    goal = share_path('action', 'Observe.action').read_text(encoding='utf-8').split('---')[0]
    written = {name: int(value) for name, value in re.findall(r'^uint8 ([A-Z_]+)=(\d+)', goal, re.MULTILINE)}
    assert written == {member.name: member.value for member in ObservationKind}


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_header_is_first(path):
    assert parsed(path)[1][0] == 'header'


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_every_field_says_its_unit(path):
    text = path.read_text(encoding='utf-8')
    for field in parsed(path)[1]:
        line = re.search(rf'^\S+ {field}\b.*$', text, re.MULTILINE).group()
        unit = re.search(r'# \[([^]]+)\] \S', line)
        assert unit, f'{path.name}: {line}'
        assert unit.group(1) in UNITS, f'{path.name}: {line}'


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_a_field_named_by_its_unit_says_that_unit(path):
    written = {'_rad': 'rad', '_rad_s': 'rad/s', '_rad_s2': 'rad/s^2', '_urad': 'urad', '_m': 'm', '_m_s': 'm/s'}
    written |= {'_s': 's', '_ns': 'ns', '_hz': 'Hz', '_px': 'px', '_w': 'W'}
    for line in path.read_text(encoding='utf-8').splitlines():
        field = re.match(r'float64 (\w+)', line)
        if field and (suffix := max((end for end in written if field[1].endswith(end)), key=len, default=None)):
            assert f'[{written[suffix]}]' in line, f'{path.name}: {line}'


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_no_stream_crosses_a_topic(path):
    """A list in a message could carry tags, channels or bits."""
    fields = [line for line in path.read_text(encoding='utf-8').splitlines() if line and not line.startswith('#')]
    assert not [line for line in fields if '[' in line.split('#')[0]]


@pytest.mark.parametrize('path', MESSAGES, ids=lambda path: path.stem)
def test_the_compiled_message_is_the_written_one(path):
    """Fails with an ImportError or an old field when the environment was not built again: `make setup`."""
    import qkd_gs.msg

    compiled = getattr(qkd_gs.msg, path.stem)
    constants, fields = parsed(path)
    assert list(compiled.get_fields_and_field_types()) == fields
    assert {name: getattr(compiled, name) for name in constants} == constants


def test_the_list_of_interfaces_is_complete():
    text = share_path('doc', 'interfaces.md').read_text(encoding='utf-8').split('## Topics')[0]
    listed = re.findall(r'^\| `(\w+)` \|', text, re.MULTILINE)
    assert sorted(listed) == [path.stem for path in MESSAGES]
