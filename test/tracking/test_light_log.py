"""The log of times without light keeps each reason with its span."""

from qkd_gs.orbit.timescale import parse_utc
from qkd_gs.tracking.record.light_log import LightLog

BOTH = 'laser.aircraft laser.time'
BEGIN = parse_utc('2026-11-28T12:00:00Z')


def test_spans_have_their_reasons_and_light_that_nobody_wants_is_not_missed():
    log = LightLog()
    for k in range(100):
        wanted, permitted = k >= 10, not 20 <= k < 50
        reasons = () if permitted else ('laser.aircraft',) if k < 40 else ('laser.aircraft', 'laser.time')
        log.step(BEGIN + k * 10**9, wanted, permitted, reasons)
    assert log.part() == {
        'light_off': [
            {'from': '2026-11-28T12:00:20.000Z', 'to': '2026-11-28T12:00:39.000Z', 'reasons': 'laser.aircraft'},
            {
                'from': '2026-11-28T12:00:40.000Z',
                'to': '2026-11-28T12:00:49.000Z',
                'reasons': 'laser.aircraft laser.time',
            },
        ]
    }


def test_a_pass_with_light_all_along_says_nothing():
    log = LightLog()
    log.step(BEGIN, True, True, ())
    log.step(BEGIN + 1, False, False, ('beacon.elevation',))
    assert log.part() == {}


def test_a_reason_that_flickers_fills_no_disk():
    log = LightLog()
    for k in range(5000):
        log.step(BEGIN + k * 10**8, True, False, (f'reason.{k % 2}',))
    spans = log.part()['light_off']
    assert len(spans) == 100
    assert spans[-1]['to'] == '2026-11-28T12:08:19.900Z'
