"""An option of a benchmark is refused where it would be ignored, or means nothing."""

import pytest

from qkd_gs.cli import main


@pytest.mark.parametrize(
    ('line', 'why'),
    [
        ('spot --hours 1', '--hours: is for endurance'),
        ('endurance --hours 0', '--hours: is to be more than 0'),
        ('endurance --hours nan', '--hours: is to be more than 0'),
        ('endurance --lockstep --figure memory.png', '--figure: is for endurance at real time'),
        ('graph --lockstep', '--lockstep: is for endurance'),
        ('graph --speed 0', '--speed: is to be more than 0'),
        ('graph --speed inf', '--speed: is to be more than 0'),
        ('tracking --speed 2', '--speed: is for graph'),
        ('graph --seeds 1-3', '--seeds: is for evening and zenith'),
        ('zenith --case power', '--case: is for evening'),
        ('endurance --minutes 1', '--minutes: is for delivery'),
    ],
)
def test_an_option_that_does_not_belong_to_the_benchmark_is_refused(line, why, capsys):
    assert main(['bench', *line.split()]) == 2
    assert why in capsys.readouterr().err
