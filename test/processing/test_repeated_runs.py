"""A session that is processed again says what it said before, and both sides have the same key or none."""

import numpy as np
import pytest
from short_sessions import short_session

from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.pipeline import tie_breaker_of
from qkd_gs.processing.tag_runs import scan_session
from qkd_gs.processing.timing_stage import number_clicks
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.sim.photons.satellite_record import load_record


@pytest.fixture(scope='module')
def taken(tmp_path_factory):
    folder = tmp_path_factory.mktemp('taken')
    keys = KeyFolder.create(folder / 'keys')
    manifest = short_session(seconds=8.0, before_s=4.0, gain=8.0).write(folder / 'session', keys.sealing_public_key())
    return folder / 'session', keys, manifest


@pytest.mark.parametrize('simulated', [False, True])
def test_the_announcement_of_a_session_is_always_the_same(taken, simulated):
    """Cross clicks have random bases: drawn anew, they would be announced in both."""
    folder, keys, manifest = taken
    manifest = manifest.model_copy(update={'simulated': simulated})

    def numbered():
        scanned = scan_session(folder, manifest, keys.sealing_private_key())
        log = load_record(folder).transmitter().beacon_log(*scanned.log_span_ns)
        return number_clicks(manifest, scanned, log, tie_breaker_of(manifest), Spool(), lambda step: None)

    first, again = numbered(), numbered()
    assert first.cross_clicks > 20
    assert first.pulse_spans == again.pulse_spans
    assert list(first.detections.announcements()) == list(again.detections.announcements())
    bits = [np.concatenate([block.bit for block in timed.detections.taken()]) for timed in (first, again)]
    np.testing.assert_array_equal(*bits)
