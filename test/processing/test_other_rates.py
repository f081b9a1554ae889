"""The whole chain with other sources: rates whose period is no whole number of picoseconds, and no beacon."""

import pytest

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.short_sessions import make, station_with
from qkd_gs.qkd.protocol.satellite_sifting import DISCLOSED_NS
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.settings.station import StationSettings


def station(rate_hz, gate_ns, tolerance_ns):
    data = station_with('source', pulse_rate_hz=rate_hz).model_dump()
    data['key']['gate_ns'], data['detectors']['delay_tolerance_ns'] = gate_ns, tolerance_ns
    return StationSettings.model_validate(data)


@pytest.mark.parametrize(
    ('rate_hz', 'gate_ns', 'tolerance_ns', 'gain'), [(7.6e7, 2.0, 2.0, 4.0), (6.25e8, 1.2, 0.7, 0.5)]
)
def test_a_pass_makes_its_key(tmp_path, rate_hz, gate_ns, tolerance_ns, gain):
    made = make(tmp_path, station=station(rate_hz, gate_ns, tolerance_ns), gain=gain)
    key, timing = made.key, made.figures['timing']
    assert key['secret_bits'] > 1000
    assert key['qber'] < 0.02
    assert timing['sync_rms_ns'] < 0.1
    assert timing['counted_s'] == pytest.approx(8, abs=0.1)
    assert made.satellite.key_id == key['key_id']


def test_a_pass_without_a_beacon_makes_its_key(tmp_path):
    station_settings = station_with('source', beacon_rate_hz=0, public_pulses=PublicPulses(block=100_000, disclosed=32))
    settled = []
    made = make(tmp_path, station=station_settings, gain=4.0, settle=settled.append)
    key, timing = made.key, made.figures['timing']
    assert key['secret_bits'] > 1000
    assert timing['sync_rms_ns'] < 0.1
    assert abs(timing['common_offset_ns']) < 0.1  # the clock is that of the photons themselves
    over_ns = load_manifest(tmp_path / 'session').locked[-1].end_ns
    assert settled == [pytest.approx(over_ns + 2 * 10**9 + DISCLOSED_NS, abs=20_000_000)]  # 2 s of log behind the tags
    found = audit_session(tmp_path / 'session')
    assert found.agrees, found.differences
