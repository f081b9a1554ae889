"""Own serialization of messages against that of the middleware, for every plain type of the station."""

import inspect

import pytest
import qkd_gs.msg
from geometry_msgs.msg import Quaternion, TransformStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import UInt8

from qkd_gs.nodes.conversions.cdr import Codec, build, is_plain
from qkd_gs.nodes.runtime.authentic import is_signed

KINDS = [kind for _, kind in inspect.getmembers(qkd_gs.msg, inspect.isclass)]
PLAIN = [kind for kind in KINDS if is_plain(kind)]
VALUES = {
    'boolean': st.booleans(),
    'uint8': st.integers(0, 2**8 - 1),
    'int32': st.integers(-(2**31), 2**31 - 1),
    'uint32': st.integers(0, 2**32 - 1),
    'int64': st.integers(-(2**63), 2**63 - 1),
    'uint64': st.integers(0, 2**64 - 1),
    'float': st.floats(width=32, allow_nan=False),
    'double': st.floats(allow_nan=False),
    'string': st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=40),
}


@st.composite
def messages_of(draw, kind):
    message = kind()
    for name, type_name in kind.get_fields_and_field_types().items():
        part = getattr(message, name)
        value = draw(VALUES[type_name]) if type_name in VALUES else draw(messages_of(type(part)))
        setattr(message, name, value)
    return message


def test_every_signed_type_is_plain():
    assert [kind for kind in KINDS if is_signed(kind) and not is_plain(kind)] == []
    assert len(PLAIN) >= 10


@pytest.mark.parametrize('kind', PLAIN)
def test_the_middleware_reads_what_we_write_and_we_what_it_writes(kind):
    codec = Codec(kind)

    @given(messages_of(kind))
    def check(message):
        ours, theirs = codec.encode(message), serialize_message(message)
        assert len(ours) == len(theirs)
        assert deserialize_message(ours, kind) == message
        assert codec.decode(theirs) == message
        assert repr(codec.decode(ours)) == repr(message)  # types, too

    check()


@pytest.mark.parametrize('kind', [*PLAIN, Quaternion, TransformStamped])  # a quaternion without rotation has w = 1
def test_a_built_message_is_that_of_the_constructor(kind):
    assert repr(build(kind)) == repr(kind())

    @given(messages_of(kind))
    def check(message):
        fields = {name: getattr(message, name) for name in kind.get_fields_and_field_types()}
        assert repr(build(kind, **fields)) == repr(kind(**fields))

    check()


def test_parts_that_are_left_out_belong_to_one_message_alone():
    one, other = build(qkd_gs.msg.MountState), build(qkd_gs.msg.MountState)
    one.header.stamp.sec = 1
    assert other.header.stamp.sec == 0


@given(messages_of(qkd_gs.msg.SessionState), st.data())
def test_damaged_messages_are_refused_or_read_as_the_middleware_does(message, data):
    whole = bytearray(Codec(qkd_gs.msg.SessionState).encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    try:
        read = Codec(qkd_gs.msg.SessionState).decode(damaged)
    except ValueError:
        return
    assert repr(read) == repr(deserialize_message(damaged, qkd_gs.msg.SessionState))


def test_a_message_of_one_field():
    assert deserialize_message(Codec(UInt8).encode(UInt8(data=3)), UInt8) == UInt8(data=3)


def test_what_it_cannot_do_is_refused():
    with pytest.raises(TypeError, match='JointState'):
        Codec(JointState)
    with pytest.raises(TypeError, match="no field 'azimuth'"):
        build(qkd_gs.msg.MountState, azimuth=1.0)
