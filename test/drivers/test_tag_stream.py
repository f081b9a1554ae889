"""The driver of the tag stream against the reference sender."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pty_peer import soon
from pydantic import ValidationError

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.rig import Counterpart, Rig
from qkd_gs.devices.conformance.tdc import TdcConformance, TdcTraits
from qkd_gs.devices.driver import driver
from qkd_gs.drivers.tag_stream.frames import (
    MOST_TICKS,
    BrokenStream,
    Flag,
    Frame,
    FrameReader,
    Kind,
    encode,
    pack_tags,
    unpack_tags,
)
from qkd_gs.drivers.tag_stream.options import TagStreamOptions
from qkd_gs.drivers.tag_stream.receiver import TagStreamTdc, tag_stream
from qkd_gs.drivers.tag_stream.sender import HELLO, MadeUp, TagSender
from qkd_gs.errors import DeviceFault
from qkd_gs.timing.tags import Channel

CHANNELS = {1: 'H', 2: 'V', 3: 'D', 4: 'A', 5: 'BEACON', 6: 'PPS'}
OPTIONS = TagStreamOptions(host='127.0.0.1', channels=CHANNELS)


@pytest.mark.parametrize(('marked', 'code'), [(False, 'tdc.simulated'), (True, '')])
def test_simulated_tags_are_taken_only_by_a_station_that_is_marked_as_simulated(marked, code):
    sender = Sender(HELLO | {'simulated': True})
    assert fault_of(TagStreamTdc(OPTIONS, sender.connect, simulated=marked).open) == code


class Sender(Counterpart):
    """The reference sender at the other end of a pair of sockets, in the test's time."""

    def __init__(self, hello=HELLO, buffer_bytes=1 << 24, tick_ps=1):
        self._hello, self._buffer_bytes, self._tick_ps = hello, buffer_bytes, tick_ps
        self.sender, self.silent, self.source = None, False, MadeUp(rate_hz=500.0)
        self._began_ns = self._sent_ps = 0
        self.given = []

    def connect(self, where, timeout_s):
        ours, theirs = socket.socketpair()
        self._end = ours
        self.sender = TagSender(ours, self._hello, self._buffer_bytes)
        self.sender.pump()
        return theirs

    def advance(self, now_ns):
        if self.sender is None or self.silent:
            return
        try:
            if self.sender.orders():
                self._began_ns, self._sent_ps, self.given = now_ns, 0, []
            if self.sender.run:
                end_ps = (now_ns - self._began_ns) * 1000
                ticks, inputs = self.source.tags(self._sent_ps, end_ps)
                self.given.append((ticks, inputs))
                self.sender.tags(ticks // self._tick_ps, inputs, end_ps // self._tick_ps)
                self._sent_ps = end_ps
            else:
                self.sender.alive()
            self.sender.pump()
        except OSError:
            self.sender = None  # the driver has closed the connection

    def silence(self):
        self.silent = True

    def cut(self):
        self._end.close()
        self.sender = None


def rig_of(sender, options=OPTIONS):
    made = driver(TagStreamOptions)(lambda context: TagStreamTdc(context.options, sender.connect))
    return Rig(made, options, sender)


class TestTagStream(TdcConformance):
    traits = TdcTraits(silent_s=1.2)

    @pytest.fixture
    def rig(self):
        return rig_of(Sender())


@pytest.fixture
def sender():
    return Sender()


@pytest.fixture
def rig(sender):
    rig = rig_of(sender)
    yield rig
    rig.close()


def running(rig, seconds=0.5):
    device = rig.open()
    device.start(rig.now_ns)
    blocks = []
    rig.run(seconds, lambda now_ns: blocks.append(device.poll(now_ns)))
    assert sum(map(len, blocks))
    return device, blocks


def test_every_tag_arrives_once_on_its_channel(rig, sender):
    device, blocks = running(rig, 2.0)
    blocks.append(device.poll(rig.now_ns))
    ticks = np.concatenate([one[0] for one in sender.given])
    inputs = np.concatenate([one[1] for one in sender.given])
    assert np.array_equal(np.concatenate([block.time_ps for block in blocks]), ticks)
    assert np.array_equal(np.concatenate([block.channel for block in blocks]), inputs)


def test_ticks_of_a_fraction_of_a_picosecond_become_picoseconds():
    sender = Sender(hello=HELLO | {'tick_ps': [125, 8]}, tick_ps=125 / 8)
    sender.sender = None
    reader = TagStreamTdc(OPTIONS, sender.connect)
    reader.open()
    ticks = np.array([0, 1, 8, 10**15, MOST_TICKS - 1])
    expected = [int(tick) * 125 // 8 for tick in ticks]
    assert reader._picoseconds(ticks).tolist() == expected
    reader.close()


def test_inputs_may_be_wired_in_any_order(sender):
    wired = {7: 'H', 2: 'V', 3: 'D', 4: 'A', 5: 'BEACON', 6: 'PPS'}
    rig = rig_of(sender, TagStreamOptions(host='127.0.0.1', channels=wired))
    device, blocks = running(rig)
    seen = set(np.concatenate([block.channel for block in blocks]).tolist())
    assert Channel.H not in seen
    assert int(device.health()['tags_on_unused_inputs']) > 0
    rig.close()


def raised_after_the_good(rig, device, code):
    """Poll until a fault; the tags that came before it, and the time it took."""
    begin_ns, blocks = rig.now_ns, []

    def told():
        try:
            blocks.append(device.poll(rig.now_ns))
        except DeviceFault as fault:
            return fault.code == code
        return False

    assert rig.until(told, 3.0), f'{code} is not reported'
    return blocks, (rig.now_ns - begin_ns) * 1e-9


def test_an_overflow_is_told_after_the_tags_before_it(rig, sender):
    device, _ = running(rig)
    before_ps = sender._sent_ps
    rig.advance(0.1)
    sender.sender._overflow = True
    good_ps = sender._sent_ps
    blocks, took_s = raised_after_the_good(rig, device, 'tdc.overflow')
    times = np.concatenate([block.time_ps for block in blocks])
    assert before_ps - 10**10 <= times.min()
    assert good_ps - 10**9 < times.max() < good_ps
    assert took_s < 0.3
    assert fault_of(lambda: device.poll(rig.now_ns)) == 'tdc.overflow'


def test_a_station_that_does_not_read_makes_the_sender_overflow_and_is_told():
    sender = Sender(buffer_bytes=200_000)
    sender.source = MadeUp(rate_hz=50_000.0)
    rig = rig_of(sender)
    device = rig.open()
    device.start(rig.now_ns)
    rig.advance(3.0)  # 5 MB: more than buffer and sockets hold
    blocks, _ = raised_after_the_good(rig, device, 'tdc.overflow')
    times = np.concatenate([block.time_ps for block in blocks])
    given = np.concatenate([one[0] for one in sender.given])
    assert np.array_equal(times, given[: len(times)])  # nothing before the overflow is lost
    device.close()
    device.open()
    device.start(rig.now_ns)
    again = []
    rig.run(0.3, lambda now_ns: again.append(device.poll(now_ns)))
    assert sum(map(len, again))
    rig.close()


def test_a_missing_frame_is_told(rig, sender):
    device, _ = running(rig)
    sender.sender._sequence += 1
    _, took_s = raised_after_the_good(rig, device, 'tdc.sequence')
    assert took_s < 0.3


def test_a_reference_that_is_lost_during_a_run_is_told(rig, sender):
    device, _ = running(rig)
    sender.sender.unlocked = True
    raised_after_the_good(rig, device, 'tdc.clock')
    device.close()
    device, _ = running(rig)
    assert device.health()['reference'] == 'locked'


def test_tags_before_the_end_of_the_last_frame_are_told(rig, sender):
    device, _ = running(rig)
    sender.sender.tags(np.array([5]), np.array([1], np.uint8), sender._sent_ps + 1)
    raised_after_the_good(rig, device, 'tdc.disorder')


def test_nonsense_is_told(rig, sender):
    device, _ = running(rig)
    sender._end.sendall(b'HTTP/1.1 200 OK\r\n\r\n' + bytes(64))
    raised_after_the_good(rig, device, 'tdc.garbled')


def test_a_connection_that_ends_is_told_after_its_tags(rig, sender):
    device, _ = running(rig)
    rig.advance(0.1)
    sender.cut()
    blocks, took_s = raised_after_the_good(rig, device, 'tdc.silent')
    assert sum(map(len, blocks))
    assert took_s < 0.1


def test_tags_of_an_ended_run_do_not_come_into_the_next(rig):
    device, _ = running(rig)
    rig.advance(0.2)
    device.stop(rig.now_ns)
    device.start(rig.now_ns)
    rig.advance(0.05)
    assert device.poll(rig.now_ns).time_ps.max() < 10**11


def test_another_tdc_is_refused(sender):
    assert fault_of(rig_of(sender, OPTIONS.model_copy(update={'serial_number': 'S2'})).open) == 'tdc.other'


@pytest.mark.parametrize('hello', [{}, {'model': 'x', 'serial_number': 'y', 'tick_ps': [0, 1]}, HELLO | {'tick_ps': 5}])
def test_a_greeting_that_is_none_is_refused(hello):
    assert fault_of(rig_of(Sender(hello=hello)).open) == 'tdc.garbled'


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'host': '8.8.8.8'}, 'not encrypted'),
        ({'channels': {**CHANNELS, 7: 'H'}}, 'needs one input'),
        ({'channels': {1: 'H'}}, 'needs one input'),
        ({'channels': {0: 'H', **{k: v for k, v in CHANNELS.items() if k > 1}}}, 'from 1 to 255'),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        TagStreamOptions(**({'host': 'localhost', 'channels': CHANNELS} | changes))


FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    flags=st.sampled_from([Flag(0), Flag.OVERFLOW, Flag.UNLOCKED, Flag.OVERFLOW | Flag.UNLOCKED]),
    run=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**32 - 1),
    end_ticks=st.integers(0, 2**64 - 1),
    payload=st.binary(max_size=100),
)


@given(st.lists(FRAMES, max_size=5), st.integers(1, 64))
def test_frames_survive_the_wire_in_pieces_of_any_size(frames, size):
    data = b''.join(map(encode, frames))
    reader = FrameReader()
    read = [frame for at in range(0, len(data), size) for frame in reader.feed(data[at : at + size])]
    assert read == frames


@given(FRAMES, st.data())
def test_a_changed_byte_is_never_taken_for_a_frame(frame, data):
    good = bytearray(encode(frame))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    try:
        assert FrameReader().feed(bytes(good)) == []  # it waits for a longer payload
    except BrokenStream:
        pass


@given(st.lists(st.tuples(st.integers(0, MOST_TICKS - 1), st.integers(1, 255)), max_size=50))
def test_tags_survive_the_wire(tags):
    ticks = np.array([one[0] for one in tags], np.int64)
    inputs = np.array([one[1] for one in tags], np.uint8)
    back = unpack_tags(pack_tags(ticks, inputs))
    assert np.array_equal(back[0], ticks)
    assert np.array_equal(back[1], inputs)


def test_a_long_block_is_sent_in_several_frames_without_losing_equal_times(rig, sender):
    device, _ = running(rig, 0.1)
    rig.advance(0.02)
    device.poll(rig.now_ns)
    begin = sender._sent_ps
    ticks = np.sort(np.concatenate([begin + np.arange(70_000) * 7, np.full(70_000, begin + 65_536 * 7)]))
    sender.sender.tags(ticks, np.ones(len(ticks), np.uint8), begin + 10**7)
    got = []

    def all_there():
        sender.sender.pump()
        got.append(device.poll(rig.now_ns))
        return sum(map(len, got)) == len(ticks)

    assert soon(all_there)
    assert np.array_equal(np.concatenate([block.time_ps for block in got]), ticks)


# --- the sender in a process of its own ---


@pytest.fixture
def process():
    command = [sys.executable, '-m', 'qkd_gs.drivers.tag_stream.sender', '--listen', '127.0.0.1:0', '--rate', '20000']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    process.port = int(re.fullmatch(r'127\.0\.0\.1:(\d+)\n', process.stdout.readline())[1])
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_process_that_hangs_is_told(process):
    device = Rig(tag_stream, OPTIONS.model_copy(update={'port': process.port})).open()
    process.send_signal(signal.SIGSTOP)
    assert soon(lambda: fault_of(lambda: device.poll(time.time_ns())) == 'tdc.silent')
    device.close()


def test_a_process_that_is_killed_is_told(process):
    device = Rig(tag_stream, OPTIONS.model_copy(update={'port': process.port, 'timeout_s': 5.0})).open()
    assert 'PPS is there' in device.self_test()
    process.kill()
    assert soon(lambda: fault_of(lambda: device.poll(time.time_ns())) == 'tdc.silent')
    device.close()
    assert fault_of(device.open) == 'tdc.silent'
