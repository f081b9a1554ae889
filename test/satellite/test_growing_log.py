"""A log in many files is the log in one, whenever they come; what does not follow is refused; no wait is endless."""

import os
import shutil

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol.messages import LogHead, log_blocks, read_log
from qkd_gs.satellite.growing_log import LATE_NS, GrowingLog
from qkd_gs.satellite.log_transmitter import LogTransmitter
from qkd_gs.satellite.pack import pack_log
from qkd_gs.satellite.server import open_log, serve_log
from qkd_gs.settings.source import load_source

SECOND = 10**9
RATE, OF_BEACON = 200_000, 10_000  # pulses a second
SOURCE = load_source('bench').model_copy(update={'pulse_rate_hz': float(RATE), 'beacon_rate_hz': float(OF_BEACON)})
EPOCH_NS, START_S, FILES, FILE_S = 1_772_366_398 * SECOND, 20, 6, 3
START_NS, END_NS = EPOCH_NS + START_S * SECOND, EPOCH_NS + (START_S + FILES * FILE_S) * SECOND
ALL = START_NS - 10**6, END_NS - 10**6  # the beacon's clock is fast: its last pulse leaves 0.76 ms before the end


class Clock:
    """A clock that goes on when somebody sleeps; what was due by then comes."""

    def __init__(self, now_ns, come=lambda now_ns: None):
        self.now_ns, self.come = now_ns, come
        come(now_ns)

    def now(self):
        return self.now_ns

    def sleep(self, seconds):
        self.now_ns += round(seconds * SECOND)
        self.come(self.now_ns)


@pytest.fixture(scope='module')
def packed(tmp_path_factory):
    """A log as a whole, and the same in files."""
    folder = tmp_path_factory.mktemp('packed')
    rng = np.random.default_rng(1)
    pulses = FILES * FILE_S * RATE
    states = rng.integers(0, 4, pulses, np.uint8) | rng.choice(3, pulses, p=(0.5, 0.25, 0.25)).astype(np.uint8) << 2
    index = START_S * OF_BEACON + np.arange(FILES * FILE_S * OF_BEACON)
    # a beacon that goes by a clock of its own, 20 ppm fast, and jitters by 0.3 us
    times_ps = (index * 1e8 * (1 - 2e-5)).astype(np.int64) + rng.integers(-300_000, 300_000, len(index))
    (folder / 'files').mkdir(mode=0o700)

    def pack(name, first_s, end_s):
        states[first_s * RATE : end_s * RATE].tofile(folder / 's.u8')
        part = slice(first_s * OF_BEACON, end_s * OF_BEACON)
        table = '\n'.join(f'{n},{t}' for n, t in zip(index[part], times_ps[part], strict=True))
        (folder / 'b.csv').write_text(f'pulse,ps\n{table}\n')
        start = (START_S + first_s) * RATE
        pack_log(folder / 's.u8', folder / 'b.csv', start, EPOCH_NS, SOURCE, folder / name, lambda *_: None)

    pack('whole.h5', 0, FILES * FILE_S)
    for k in range(FILES):
        pack(f'files/{k}.h5', k * FILE_S, (k + 1) * FILE_S)
    return folder, states, times_ps


@pytest.fixture
def folder(packed, tmp_path):
    shutil.copytree(packed[0] / 'files', tmp_path / 'log')
    return tmp_path / 'log'


def delivered(packed, tmp_path, late_s=None, never=()):
    """A folder into which each file is linked when its pulses are sent, and a clock that brings them."""
    log = tmp_path / 'log'
    log.mkdir(mode=0o700)

    def come(now_ns):
        for k in range(FILES):
            due_ns = START_NS + (k + 1) * FILE_S * SECOND + round((late_s or {}).get(k, 0.2) * SECOND)
            if now_ns >= due_ns and k not in never and not (log / f'{k}.h5').exists():
                os.link(packed[0] / 'files' / f'{k}.h5', log / f'{k}.h5')

    return log, Clock(START_NS + (FILE_S + 1) * SECOND, come)


def sent(log, clock):
    """The beacon log as the ground reads it, of the messages that the satellite sends."""
    head = LogHead(first_index=log.first_index, pulses=len(log.time_ps), epoch_utc_ns=log.epoch_utc_ns)

    def wait_until(t_ns):
        while clock.now_ns < t_ns:
            clock.sleep((t_ns - clock.now_ns) * 1e-9)

    return read_log(head, log_blocks(log, wait_until), 1e12 / OF_BEACON, Spool())


def test_files_are_one_log(packed, folder):
    whole, clock = LogTransmitter(packed[0] / 'whole.h5'), Clock(END_NS + 3600 * SECOND)
    growing = GrowingLog(folder, clock.now, clock.sleep)
    assert growing.head == whole.head
    pulse = START_S * RATE + np.sort(np.random.default_rng(2).choice(len(packed[1]), 9000, replace=False))
    for asked in (pulse, pulse[::-1].copy(), pulse[:0]):
        found = growing.states(asked)
        for name in ('intensity', 'basis', 'bit'):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole.states(asked), name))
    np.testing.assert_array_equal(growing.counts(), whole.counts())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-3000, 25_000), st.integers(0, 30_000))
def test_any_part_of_a_log_that_is_past_is_that_of_the_whole(packed, first_ms, length_ms):
    first_ns = START_NS + first_ms * 10**6 + 50
    last_ns, clock = first_ns + length_ms * 10**6, Clock(END_NS + 3600 * SECOND)
    growing, whole = GrowingLog(packed[0] / 'files', clock.now, clock.sleep), LogTransmitter(packed[0] / 'whole.h5')
    log, due = growing.beacon_log(first_ns, last_ns), whole.beacon_log(first_ns, last_ns)
    assert (log.epoch_utc_ns, len(log.time_ps)) == (due.epoch_utc_ns, len(due.time_ps))
    assert growing.logged(first_ns, last_ns) == whole.logged(first_ns, last_ns)
    assert clock.now_ns == END_NS + 3600 * SECOND  # nothing was waited for
    if len(due.time_ps):
        assert log.first_index == due.first_index
        np.testing.assert_array_equal(log.time_ps[:], due.time_ps[:])
        around = (packed[2][0] + 5 * 10**12, packed[2][0] + 6 * 10**12, 10)
        np.testing.assert_array_equal(log.time_ps.around(*around), due.time_ps.around(*around))


def test_a_log_of_pulses_to_come_is_sent_as_they_leave(packed, tmp_path):
    log, clock = delivered(packed, tmp_path)
    growing = GrowingLog(log, clock.now, clock.sleep)
    asked = START_NS + 2 * SECOND, END_NS - SECOND
    found = growing.beacon_log(*asked)
    due = LogTransmitter(packed[0] / 'whole.h5').beacon_log(*asked)
    assert abs(len(found.time_ps) - len(due.time_ps)) <= 1  # predicted, 14 s ahead
    assert clock.now_ns < START_NS + 5 * SECOND
    read = sent(found, clock)
    assert END_NS <= clock.now_ns < END_NS + SECOND  # and the last file came 0.2 s after its last pulse
    length = min(len(found.time_ps), len(due.time_ps))
    np.testing.assert_array_equal(read.time_ps[:length], due.time_ps[:length])
    assert read.first_index == due.first_index


def test_states_of_pulses_just_sent_are_waited_for_and_of_others_not(packed, tmp_path):
    log, clock = delivered(packed, tmp_path)
    growing = GrowingLog(log, clock.now, clock.sleep)
    pulse = (START_S + 4) * RATE - 1  # sent at this moment; its file comes two seconds later
    state = growing.states(np.array([pulse]))
    assert state.bit[0] == packed[1][pulse - START_S * RATE] >> 1 & 1
    assert START_NS + 6 * SECOND <= clock.now_ns < START_NS + 7 * SECOND
    for other in (START_S * RATE - 1, (START_S + 12) * RATE, 1 << 55):
        before_ns = clock.now_ns
        with pytest.raises(StationError, match=rf'log: pulse {other} is not in the log'):
            growing.states(np.array([other]))
        assert clock.now_ns == before_ns


def test_a_file_that_is_late_is_waited_for(packed, tmp_path):
    log, clock = delivered(packed, tmp_path, late_s={2: 26.0, 3: 10.0})  # and so comes behind its successors
    growing = GrowingLog(log, clock.now, clock.sleep)
    read = sent(growing.beacon_log(*ALL), clock)
    np.testing.assert_array_equal(read.time_ps[:], packed[2][: len(read.time_ps)])
    assert len(read.time_ps) > len(packed[2]) - 5
    assert growing.files == FILES


def test_a_log_that_ends_ends_the_run(packed, tmp_path):
    log, clock = delivered(packed, tmp_path, never=(3, 4, 5))
    growing = GrowingLog(log, clock.now, clock.sleep)
    found = growing.beacon_log(*ALL)
    with pytest.raises(
        StationError, match=r'/log: the log ends with pulse 5799999, sent at 2026-03-01T12:00:27\.000'
    ) as told:
        sent(found, clock)
    assert 'has not come within 30 s' in str(told.value)
    late_ns = START_NS + 9 * SECOND + LATE_NS
    assert late_ns < clock.now_ns < late_ns + 8 * SECOND  # of the block that is missing
    with pytest.raises(StationError, match='the log ends with pulse 5799999'):
        growing.states(np.array([5_800_000]))
    assert len(growing.beacon_log(*ALL).time_ps) == 9 * OF_BEACON  # asked for now, it is as long as it is


def test_a_log_of_the_past_whose_end_is_still_to_come_is_waited_for(packed, tmp_path):
    log, clock = delivered(packed, tmp_path, late_s={5: 20.0})
    while clock.now_ns < END_NS + SECOND:
        clock.sleep(0.5)
    growing = GrowingLog(log, clock.now, clock.sleep)
    assert len(growing.beacon_log(*ALL).time_ps) == pytest.approx(len(packed[2]), abs=3)
    assert END_NS + 20 * SECOND <= clock.now_ns < END_NS + 21 * SECOND


@pytest.mark.parametrize('ask', ['log', 'states', 'counts'])
def test_a_file_that_is_missing_is_told(packed, tmp_path, ask):
    log, clock = delivered(packed, tmp_path, never=(2,))
    growing = GrowingLog(log, clock.now, clock.sleep)
    told = r'log/3.h5: begins with pulse 5800000, but the log before it ends with pulse 5199999'
    if ask == 'log':
        with pytest.raises(StationError, match=told):
            sent(growing.beacon_log(*ALL), clock)
    clock.sleep(100.0)
    with pytest.raises(StationError, match=told):
        growing.states(np.array([5_199_999, 5_800_000])) if ask == 'states' else growing.counts()
    with pytest.raises(StationError, match=told):
        growing.beacon_log(*ALL)
    assert len(growing.beacon_log(START_NS, START_NS + 5 * SECOND).time_ps) > 4 * OF_BEACON  # what is before the gap


def other_source(file):
    file.attrs['source'] = file.attrs['source'].replace('"mu_signal":0.8', '"mu_signal":0.7')


def earlier_beacon(file):
    file['beacon/time_ps'].attrs['first_index'] -= 1


def later_beacon(file):
    file['beacon/time_ps'].attrs['first_index'] += 1


def shifted_beacon(file):
    file['beacon/time_ps'][:] += 5 * 10**6


def disordered_beacon(file):
    file['beacon/time_ps'][7] = file['beacon/time_ps'][9]


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (lambda file: file.attrs.update(epoch_utc_ns=EPOCH_NS + 1), 'has another epoch than 2.h5'),
        (other_source, 'is of another source than 2.h5'),
        (
            lambda file: file.attrs.update(first_pulse=5_799_999),
            'begins with pulse 5799999 .* but 2.h5 ends with 5799999',
        ),
        (earlier_beacon, 'and pulse 289999 of the beacon, but 2.h5 ends with 5799999 and 289999'),
        (later_beacon, 'its beacon begins with pulse 290001'),
        (shifted_beacon, 'its beacon begins with pulse 290000 at'),
        (disordered_beacon, "the beacon's time does not go on"),
        (lambda file: file.attrs.update(version=2), 'version 2 is not 1'),
        (lambda file: file.__delitem__('states'), 'is not a sound transmitter log'),
    ],
)
def test_a_file_that_does_not_belong_to_the_log_is_refused(folder, change, why):
    with h5py.File(folder / '3.h5', 'r+') as file:
        change(file)
    clock = Clock(END_NS)
    with pytest.raises(StationError, match=rf'3.h5: .*{why}'):
        GrowingLog(folder, clock.now, clock.sleep)
    (folder / '3.h5').rename(folder / '.3.h5.new')  # a draft
    growing = GrowingLog(folder, clock.now, clock.sleep)
    (folder / '.3.h5.new').rename(folder / '3.h5')
    for _ in range(2):  # and it is not forgotten
        with pytest.raises(StationError, match=why):
            growing.states(np.array([6_000_000]))


@pytest.mark.parametrize('how', ['open', 'cut', 'other', 'link', 'copy'])
def test_what_must_not_be_in_the_folder_is_named(folder, how):
    name = '3.h5'
    if how == 'open':
        (folder / name).chmod(0o640)
    elif how == 'cut':
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1000])
    elif how == 'other':
        name = 'notes.txt'
        (folder / name).touch(0o600)
    elif how == 'link':
        (folder / name).rename(folder / '.3')
        (folder / name).symlink_to(folder / '.3')
    else:
        name = '3a.h5'
        shutil.copy(folder / '3.h5', folder / name)
    told = {'open': 'has mode 0640', 'link': 'is a symbolic link', 'copy': 'begins with pulse 5800000'}
    with pytest.raises(StationError, match=rf'{name}: .*{told.get(how, "is not a sound transmitter log")}'):
        GrowingLog(folder, lambda: END_NS, None)


def test_a_folder_that_others_can_reach_is_not_served(folder, tmp_path):
    keys = KeyFolder.create(tmp_path / 'keys', bytes(range(256)) * 4)
    folder.chmod(0o750)
    with pytest.raises(StationError, match=r'log: has mode 0750, so others can reach it'):
        serve_log(open_log(folder), keys, None, None, True, lambda *_: None)


def test_a_file_that_was_exchanged_is_noticed(folder):
    growing = GrowingLog(folder, lambda: END_NS, None)
    growing._opened.cache_clear()
    shutil.copy(folder / '3.h5', folder / '4.h5')
    with pytest.raises(StationError, match=r'4\.h5: is another log than the one that was here'):
        growing.states(np.array([6_500_000]))


def test_the_command_checks_a_folder(folder, capsys):
    assert main(['satellite', 'check', str(folder)]) == 0
    assert ', 6 file(s): 3,600,000 pulses of 200000 Hz from number 4,000,000 on' in capsys.readouterr().out
    (folder / '3.h5').unlink()
    assert main(['satellite', 'check', str(folder)]) == 2
    assert '4.h5: begins with pulse 6400000, but the log before it ends with pulse 5799999' in capsys.readouterr().err
    for path in folder.iterdir():
        path.unlink()
    assert main(['satellite', 'check', str(folder)]) == 2
    assert 'holds no transmitter log yet' in capsys.readouterr().err
