"""The transform message is Jazzy's own, wherever it comes from; set-up builds it only where ROS has none."""

import json
import subprocess
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import pytest
import tf2_msgs
from rosbags.typesys import Stores, get_typestore

ROOT = Path(__file__).resolve().parents[2]
NAME = 'tf2_msgs/msg/TFMessage'
BROUGHT = Path(sys.prefix, 'share', 'tf2_msgs', 'brought_by_qkd_gs')


def share_of_tf2_msgs():
    """The one that the Python module belongs to."""
    folders = (folder / 'share' / 'tf2_msgs' for folder in Path(tf2_msgs.__file__).parents)
    return next(folder for folder in folders if folder.is_dir())


def test_the_compiled_message_is_jazzys():
    """A recorder elsewhere refuses, or silently misses, a topic whose type has another hash."""
    described = json.loads((share_of_tf2_msgs() / 'msg' / 'TFMessage.json').read_text(encoding='utf-8'))
    compiled = next(entry['hash_string'] for entry in described['type_hashes'] if entry['type_name'] == NAME)
    assert compiled == get_typestore(Stores.ROS2_JAZZY).hash_rihs01(NAME)


def test_it_can_be_filled():
    from geometry_msgs.msg import TransformStamped
    from tf2_msgs.msg import TFMessage

    assert len(TFMessage(transforms=[TransformStamped()]).transforms) == 1


@pytest.mark.skipif(not BROUGHT.exists(), reason='ROS itself has brought it')
def test_pip_owns_what_set_up_brought():
    installed = next(iter(distributions(name='qkd_gs', path=[sysconfig.get_path('purelib')])))
    owned = {Path(file.locate()).resolve() for file in installed.files}
    there = [path for path in BROUGHT.parent.rglob('*') if path.is_file()]
    there += [path for path in Path(tf2_msgs.__file__).parent.rglob('*.so')]
    there += list(Path(sys.prefix, 'lib').glob('libtf2_msgs__*.so'))
    assert len(there) > 20
    assert not [path for path in there if path.resolve() not in owned]


def test_nothing_is_built_where_ros_has_it(tmp_path):
    config = tmp_path / 'ros' / 'share' / 'tf2_msgs' / 'cmake' / 'tf2_msgsConfig.cmake'
    config.parent.mkdir(parents=True)
    config.write_text('set(tf2_msgs_FOUND TRUE)\n')
    build, prefix = tmp_path / 'build', tmp_path / 'prefix'
    source = ROOT / 'interfaces' / 'tf2_msgs'
    options = [f'-DCMAKE_PREFIX_PATH={tmp_path / "ros"}', f'-DCMAKE_INSTALL_PREFIX={prefix}']
    cmake = [sys.executable, '-m', 'cmake']
    subprocess.run([*cmake, '-S', source, '-B', build, *options], check=True, capture_output=True)
    subprocess.run([*cmake, '--build', build], check=True, capture_output=True)
    subprocess.run([*cmake, '--install', build], check=True, capture_output=True)
    assert not [path for path in prefix.rglob('*') if path.is_file()]
