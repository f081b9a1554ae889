"""The transmitter log: what was packed comes back, pulse by pulse, and only pages that are asked for are read."""

import os

import h5py
import numpy as np
import pytest

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.satellite.log_transmitter import LogTransmitter
from qkd_gs.satellite.pack import pack_log
from qkd_gs.satellite.server import serve_log
from qkd_gs.settings.source import load_source
from qkd_gs.settings.station import SourceSettings

SOURCE = load_source('bench')
EPOCH_NS, FIRST = 1_772_366_398 * 10**9, 200_000_001


def states_file(path, pulses=100_001, seed=1, shares=(0.5, 0.25, 0.25)):
    rng = np.random.default_rng(seed)
    intensity = rng.choice(3, pulses, p=shares).astype(np.uint8)
    states = rng.integers(0, 4, pulses, np.uint8) | intensity << 2
    states.tofile(path)
    return states


def beacon_file(path, index=None, time_ps=None):
    index = np.arange(20_000, 20_500) if index is None else index
    time_ps = (
        index * 10**8 + np.random.default_rng(2).integers(-50_000, 50_000, len(index)) if time_ps is None else time_ps
    )
    path.write_text('pulse,ps\n' + ''.join(f'{n},{t}\n' for n, t in zip(index, time_ps, strict=True)))
    return time_ps


@pytest.fixture
def made(tmp_path):
    states, times = states_file(tmp_path / 's.u8'), beacon_file(tmp_path / 'b.csv')
    figures = pack(tmp_path)
    return LogTransmitter(tmp_path / 'log.h5'), states, times, figures


def pack(folder, first=FIRST, name='log.h5', source=SOURCE):
    return pack_log(folder / 's.u8', folder / 'b.csv', first, EPOCH_NS, source, folder / name, lambda *_: None)


def test_every_state_comes_back(made):
    transmitter, states, times_ps, figures = made
    assert figures['pulses'] == sum(figures['intensities'].values()) == len(states)
    asked = np.sort(np.random.default_rng(3).choice(len(states), 5000, replace=False))
    asked = np.unique(np.append(asked, [0, len(states) - 1]))
    found = transmitter.states(FIRST + asked)
    np.testing.assert_array_equal(found.basis | found.bit << 1 | found.intensity << 2, states[asked])
    np.testing.assert_array_equal(transmitter.counts(), np.bincount(states, minlength=12))
    assert figures['intensities'] == dict(
        zip(('signal', 'decoy', 'vacuum'), np.bincount(states >> 2).tolist(), strict=True)
    )
    log = transmitter.beacon_log(EPOCH_NS + int(times_ps[7]) // 1000, EPOCH_NS + int(times_ps[90]) // 1000 + 1)
    assert log.first_index in (20_007, 20_008)
    np.testing.assert_array_equal(log.time_ps[:][-1], times_ps[90])
    assert log.epoch_utc_ns == EPOCH_NS
    assert len(transmitter.beacon_log(0, 10).time_ps) == 0


@pytest.mark.parametrize(
    ('kind', 'state_mask', 'why'),
    [
        ('signal', 1, r'of the signal pulses are in basis DA: the bounds hold for even bases'),
        ('decoy', 1, r'of the decoy pulses are in basis DA'),
        ('vacuum', 2, r'of the vacuum pulses are of bit 1'),
    ],
)
def test_a_source_that_prefers_a_basis_or_a_bit_is_refused(tmp_path, kind, state_mask, why):
    states = states_file(tmp_path / 's.u8')
    of_kind = states >> 2 == ('signal', 'decoy', 'vacuum').index(kind)
    rare = of_kind & (states & state_mask > 0) & (np.random.default_rng(4).random(len(states)) < 0.2)
    (states & ~np.where(rare, np.uint8(state_mask), np.uint8(0))).tofile(tmp_path / 's.u8')
    beacon_file(tmp_path / 'b.csv')
    with pytest.raises(StationError, match=why):
        pack(tmp_path)
    assert not (tmp_path / 'log.h5').exists()


def test_the_states_of_a_log_that_somebody_else_wrote_are_checked(made, tmp_path, capsys):
    path = tmp_path / 'log.h5'
    assert main(['satellite', 'check', str(path)]) == 0
    with h5py.File(path, 'r+') as file:
        file['states'][: len(file['states']) // 2] &= 0b1110_1110  # basis HV for half of the pulses
    capsys.readouterr()
    assert main(['satellite', 'check', str(path)]) == 2
    told = capsys.readouterr()
    assert '100,001 pulses' in told.out
    assert 'of the signal pulses are in basis DA' in told.err


@pytest.mark.parametrize('pulse', [FIRST - 1, FIRST + 100_001, 0, 1 << 55])
def test_a_pulse_that_is_not_in_the_log_is_refused(made, pulse):
    with pytest.raises(StationError, match=rf'pulse {pulse} is not in the log'):
        made[0].states(np.array([pulse]))


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ('value', r's.u8: byte 77 is 12, which is no state'),
        ('shares', r's.u8: .* of the pulses are signal, the source says 50'),
        ('empty', r's.u8: is empty'),
        ('gap', r'b.csv:12: pulse 20011 follows 20009'),
        ('back', r'b.csv:12: the time does not go on'),
        ('rate', r'b.csv: has 9900'),
        ('word', r'b.csv: cannot be read'),
        ('header', r'b.csv: cannot be read'),
        ('one', r'b.csv: holds 1 pulses'),
    ],
)
def test_what_cannot_be_packed_is_named_and_nothing_stays(tmp_path, change, why):
    states_file(tmp_path / 's.u8', shares=(0.6, 0.2, 0.2) if change == 'shares' else (0.5, 0.25, 0.25))
    beacon_file(tmp_path / 'b.csv')
    lines = (tmp_path / 'b.csv').read_text().splitlines()
    if change in ('value', 'empty'):
        states = np.fromfile(tmp_path / 's.u8', np.uint8)
        states[77] = 12
        states[: 0 if change == 'empty' else None].tofile(tmp_path / 's.u8')
    elif change == 'gap':
        del lines[11]
    elif change == 'back':
        lines[11] = f'20010,{20_009 * 10**8 - 10**6}'
    elif change == 'rate':
        lines[1:] = [f'{n},{n * 101_010_101}' for n in range(20_000, 20_500)]
    elif change == 'word':
        lines[5] = '20004,late'
    elif change == 'header':
        lines[0] = 'number,time'
    elif change == 'one':
        del lines[2:]
    (tmp_path / 'b.csv').write_text('\n'.join(lines) + '\n')
    with pytest.raises(StationError, match=why):
        pack(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['b.csv', 's.u8']


def test_the_beacon_may_be_counted_in_pulses_of_the_source(tmp_path):
    states_file(tmp_path / 's.u8')
    index = np.arange(20_000, 20_500)
    beacon_file(tmp_path / 'b.csv', index * 10_000, index * 10**8)
    pack(tmp_path)
    assert LogTransmitter(tmp_path / 'log.h5').head.beacon_index == 20_000


def test_the_log_is_for_its_owner_alone(made, tmp_path):
    assert (tmp_path / 'log.h5').stat().st_mode & 0o777 == 0o600
    os.chmod(tmp_path / 'log.h5', 0o640)
    keys = KeyFolder.create(tmp_path / 'keys', bytes(range(256)) * 4)
    with pytest.raises(StationError, match=r'log.h5: has mode 0640'):
        serve_log(made[0], keys, None, None, True, lambda *_: None)


def test_an_existing_log_is_not_written_over(made, tmp_path):
    with pytest.raises(StationError, match='exists already'):
        pack(tmp_path)


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (lambda file: file.attrs.update(format='x'), 'is not a transmitter log'),
        (lambda file: file.attrs.update(version=2), 'version 2 is not 1'),
        (lambda file: file.attrs.update(pulses=7), 'its states are not 7'),
        (lambda file: file.attrs.update(first_pulse=-1), 'are impossible'),
        (lambda file: file.attrs.update(source='{}'), 'source: pulse_rate_hz: Field required'),
        (lambda file: file.attrs.update(source='no JSON'), 'source: is not JSON'),
        (lambda file: file.__delitem__('beacon'), 'not a sound transmitter log'),
    ],
)
def test_a_log_that_is_not_sound_is_refused(made, tmp_path, change, why):
    with h5py.File(tmp_path / 'log.h5', 'a') as file:
        change(file)
    with pytest.raises(StationError, match=why):
        LogTransmitter(tmp_path / 'log.h5')


def test_a_state_that_was_damaged_is_found(made, tmp_path):
    with h5py.File(tmp_path / 'log.h5', 'a') as file:
        file['states'][500] = 0xFF
    transmitter = LogTransmitter(tmp_path / 'log.h5')
    with pytest.raises(StationError, match='without a state'):
        transmitter.states(np.array([FIRST + 1000]))
    with pytest.raises(StationError, match=f'pulse {FIRST + 1000} has no state'):
        transmitter.counts()


def test_what_is_no_file_is_no_log(tmp_path):
    (tmp_path / 'log.h5').write_bytes(b'no log')
    for name in ('log.h5', 'missing.h5'):
        with pytest.raises(StationError, match='not a sound transmitter log'):
            LogTransmitter(tmp_path / name)


def test_a_source_without_a_beacon_has_a_log_without_one(tmp_path):
    open_source = SourceSettings.model_validate(
        SOURCE.model_dump() | {'beacon_rate_hz': 0, 'public_pulses': {'block': 1000}}
    )
    states = states_file(tmp_path / 's.u8')
    pack_log(tmp_path / 's.u8', None, FIRST, EPOCH_NS, open_source, tmp_path / 'log.h5', lambda *_: None)
    transmitter = LogTransmitter(tmp_path / 'log.h5')
    last = FIRST + len(states) - 1
    assert transmitter.logged(EPOCH_NS, EPOCH_NS + 10**15) == (FIRST, last, EPOCH_NS)
    sent_ns = EPOCH_NS + round((FIRST + 500) / open_source.pulse_rate_hz * 1e9)
    assert transmitter.logged(sent_ns, EPOCH_NS + 10**15)[0] == pytest.approx(FIRST + 500, abs=1)
    for beacon, source, why in ((None, SOURCE, 'give its times'), (tmp_path / 'b.csv', open_source, 'has no beacon')):
        with pytest.raises(StationError, match=why):
            pack_log(tmp_path / 's.u8', beacon, FIRST, EPOCH_NS, source, tmp_path / 'other.h5', lambda *_: None)
