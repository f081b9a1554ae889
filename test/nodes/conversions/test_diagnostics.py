"""Own serialization of heartbeats against that of the middleware."""

import struct

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from qkd_gs.nodes.conversions.diagnostics import Status, _read, read, written

TEXT = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=30)
STATUS = st.builds(Status, st.integers(0, 255), TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=8))


def in_ros(status):
    values = [KeyValue(key=key, value=value) for key, value in status.values.items()]
    level, name, message, hardware_id, _ = status
    return DiagnosticStatus(
        level=bytes([level]), name=name, message=message, hardware_id=hardware_id, values=values
    )  # fmt: skip


@given(st.integers(0, 2**31 * 10**9 - 1), STATUS)
def test_the_middleware_reads_what_is_written(t_ns, status):
    message = deserialize_message(written(t_ns, status), DiagnosticArray)
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == t_ns
    assert message.status == [in_ros(status)]
    assert len(written(t_ns, status)) == len(serialize_message(message))  # whose gaps hold anything


@given(st.lists(STATUS, max_size=4), TEXT)
def test_what_the_middleware_writes_is_read(statuses, frame):
    message = DiagnosticArray(status=[in_ros(status) for status in statuses])
    message.header.frame_id = frame
    assert read(serialize_message(message)) == statuses


def test_big_endian_is_read_by_the_middleware():
    assert read(b'\x00\x00\x00\x00' + bytes(8) + b'\x00\x00\x00\x01\x00\x00\x00\x00' + bytes(4)) == []


@given(st.data())
def test_of_a_cut_one_the_middleware_has_the_word(data):
    whole = written(0, Status(2, 'mount: mount', 'no power', 'mount', {'state': 'active', 'pid': '7'}))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises((ValueError, struct.error)):
        _read(cut)
