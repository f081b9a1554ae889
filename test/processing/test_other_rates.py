"""The whole chain at rates whose period is no whole number of picoseconds: orbit, clocks, photons, key."""

import pytest

from qkd_gs.bench.security.short_sessions import make, station_with
from qkd_gs.qkd.protocol.satellite_side import SETTLED_NS
from qkd_gs.session.manifest import load_manifest
from qkd_gs.settings.station import StationSettings


def station(rate_hz, gate_ns, tolerance_ns):
    data = station_with('source', pulse_rate_hz=rate_hz).model_dump()
    data['key']['gate_ns'], data['detectors']['delay_tolerance_ns'] = gate_ns, tolerance_ns
    return StationSettings.model_validate(data)


@pytest.mark.parametrize(
    ('rate_hz', 'gate_ns', 'tolerance_ns', 'gain'), [(7.6e7, 2.0, 2.0, 4.0), (6.25e8, 1.2, 0.7, 0.5)]
)
def test_a_pass_makes_its_key(tmp_path, rate_hz, gate_ns, tolerance_ns, gain):
    settled = []
    made = make(tmp_path, station=station(rate_hz, gate_ns, tolerance_ns), gain=gain, settle=settled.append)
    key, timing = made.key, made.figures['timing']
    assert key['secret_bits'] > 1000
    assert key['qber'] < 0.02
    assert timing['sync_rms_ns'] < 0.1
    assert timing['counted_s'] == pytest.approx(8, abs=0.1)
    assert made.satellite.key_id == key['key_id']
    over_ns = load_manifest(tmp_path / 'session').locked[-1].end_ns
    assert settled == [pytest.approx(over_ns + SETTLED_NS, abs=20_000_000)]  # light takes 2 ms, the beacon ends before
