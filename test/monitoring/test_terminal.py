"""The terminal view: everything is there in words, in 80 columns and 24 lines, with and without colour."""

from dataclasses import replace
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from running_station import COMING, NOW_NS, WALL_S, S, running_board

from qkd_gs.monitoring.bars import bar, ceiling_of, sparkline
from qkd_gs.monitoring.health import health_of
from qkd_gs.monitoring.plain import plain_status
from qkd_gs.monitoring.readiness import Level, Readiness
from qkd_gs.monitoring.snapshot import KeyProgress, KeyStep, Snapshot
from qkd_gs.monitoring.terminal import view

RUNNING = running_board().snapshot(NOW_NS, WALL_S, 2.0)


def shown(now, width=80, colour=False):
    console = Console(width=width, force_terminal=colour, no_color=not colour, color_system='256' if colour else None)
    with console.capture() as capture:
        console.print(view(now))
    return capture.get()


@pytest.mark.parametrize(
    'words',
    [
        'tracking, locked, 43.1 deg',
        '2018-10-03 15:55:02 UTC x2',
        'fine',
        'MICIUS, 72.1° at 15:56:42, ends in 06:20',
        '43.1° ██',
        '812 km',
        '4.0 µrad RMS',
        '+0.301 s along the track, +1002 m across',
        'H+V       3,998/s',
        'D+A       3,994/s',
        '9,987/s',
        '±51 ns',
        '93 %',
        'about 3,716 bit/s',
        'reconciliation █████████░░░░░░░░░░░ 43 %',
        '345,912 sifted bits, QBER 1.02 %',
        'inactive',
        'fault',
        'silent',
        '0.03 %',
    ],
)
def test_it_says(words):
    assert words in shown(RUNNING)


def test_what_the_evening_does_is_said_while_its_node_is_heard():
    said = 'calibrate: going to Deneb Kaitos'
    board = running_board()
    assert 'evening' not in shown(board.snapshot(NOW_NS, WALL_S))
    board.update_node(health_of('evening', {'state': 'active', 'evening': said}, 'active', 0.0), WALL_S)
    now = board.snapshot(NOW_NS, WALL_S)
    assert f'evening   {said}' in shown(now)
    assert any(said in sentence for sentence in plain_status(now))
    assert said not in shown(board.snapshot(NOW_NS, WALL_S + 60))


def test_single_detectors_are_not_shown():
    """Their sums are enough for an operator; a lone detector's count is nearer to the key than need be."""
    text = shown(RUNNING).replace(',', '')
    assert not [count for count in ('2011', '1987', '2034', '1960') if count in text]


@pytest.mark.parametrize('colour', [False, True])
def test_it_fits_a_plain_terminal(colour):
    nodes = tuple(replace(RUNNING.nodes[3], name=name) for name in ('tracking_camera', 'post_processor') * 8)
    text = shown(replace(RUNNING, nodes=nodes))
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) <= 24
    assert ('\x1b[' in shown(RUNNING, colour=colour)) is colour


@given(st.integers(30, 200), st.text(max_size=200))
def test_no_width_and_no_text_breaks_it(width, sentence):
    assert shown(replace(RUNNING, readiness=Readiness(Level.WARN, sentence)), width)


def test_brackets_in_a_message_are_no_markup():
    sentence = 'not ready: mount reports [red]x[/red]'
    assert sentence in shown(replace(RUNNING, readiness=Readiness(Level.ERROR, sentence)))


@pytest.mark.parametrize(
    ('now', 'words'),
    [
        (Snapshot(NOW_NS), 'no station found'),
        (Snapshot(NOW_NS), 'next pass not known yet'),
        (Snapshot(NOW_NS, planned=True), 'no pass within a day'),
        (Snapshot(NOW_NS), 'no satellite near'),
        (Snapshot(NOW_NS), 'not seen in the last 30 s'),
        (Snapshot(NOW_NS), 'no counts'),
        (Snapshot(NOW_NS, coming=replace(COMING, start_ns=NOW_NS + 192 * S)), 'starts in 03:12'),
        (Snapshot(NOW_NS, coming=replace(COMING, end_ns=NOW_NS - S)), 'over'),
        (Snapshot(NOW_NS, key=KeyProgress(KeyStep.FAILED, message='too few bits')), 'no key: too few bits'),
        (
            Snapshot(NOW_NS, key=KeyProgress(KeyStep.DONE, simulated=True, sifted_bits=10, secret_bits=4)),
            '10 sifted bits, 4 secret bits (simulated: never to be used)',
        ),
    ],
)
def test_little_is_known(now, words):
    assert words in shown(now)


@pytest.mark.parametrize(('most', 'ceiling'), [(0.0, 1), (1.0, 1), (1.01, 2), (4, 5), (7, 10), (1234, 2000)])
def test_ceiling(most, ceiling):
    assert ceiling_of([nan, -1.0, most]) == ceiling


def test_sparkline():
    assert sparkline([0, 5, 9.99, 10, 40, nan], 10.0) == '▁▅███·'


@given(st.floats(), st.integers(1, 60))
def test_a_bar_is_as_long_as_it_shall_be(share, width):
    assert len(bar(share, width)) == width


def test_a_bar_is_filled_as_far_as_it_shall_be():
    assert bar(0.5, 4) == '██░░'
