"""Tags that are not recorded are noticed from the disk and the counts, whatever the detector says of itself."""

from math import nan

import pytest

from qkd_gs.monitoring.tag_watch import TagWatch, size_of_tags
from qkd_gs.timing.live import CountBin, Live
from qkd_gs.tracking.types import Phase

S = 10**9
T0 = 1_538_581_000 * S
BRIGHT = 'too much light: detector'


@pytest.fixture
def watch():
    made = TagWatch(50.0)
    made.session(T0, Phase.SLEW, 'one')
    return made


def counted(start_ns, *counts):
    return CountBin(start_ns, start_ns + S, counts, Live(nan, nan))


def test_a_file_that_grows_is_well(watch):
    for k in range(100):
        assert watch.trouble(T0 + k * S // 4, 74 + 1000 * k) == ''


def test_a_file_that_does_not_grow_is_told_within_two_seconds_and_until_it_grows_again(watch):
    watch.trouble(T0, 1000)
    told = [watch.trouble(T0 + k * S // 4, 1000) for k in range(1, 9)]
    assert told[:6] == [''] * 6
    assert told[7] == 'no tags are recorded: their file has not grown for 2.0 s'
    assert watch.trouble(T0 + 9 * S, 900) != ''  # cut: nothing new is in it
    assert watch.trouble(T0 + 9 * S, 1001) == ''


def test_no_file_at_all_is_told(watch):
    assert watch.trouble(T0 + S, None) == ''
    assert watch.trouble(T0 + 2 * S, None) == 'no tags are recorded: there is no tag file in one'


def test_between_passes_nothing_is_wanted(watch):
    for phase in (Phase.END, Phase.PARK, Phase.IDLE):
        watch.session(T0 + 5 * S, phase, 'one' if phase is not Phase.IDLE else '')
        assert watch.trouble(T0 + 100 * S, None) == ''


@pytest.mark.parametrize(
    ('phase', 'counts', 'told'),
    [
        (Phase.FINE, (900, 910, 905, 890, 5000, 1), ''),
        (Phase.WAIT, (50, 0, 49, 60, 0, 1), ''),  # in the dark one bin may be empty
        (Phase.WAIT, (0, 0, 0, 0, 0, 1), 'no photons are counted'),
        (Phase.FINE, (900, 0, 905, 890, 5000, 1), 'detector V counts nothing'),
        (Phase.FINE, (0, 0, 905, 890, 5000, 1), 'detector H and V counts nothing'),
        (Phase.FINE, (900, 910, 905, 890, 0, 1), 'no synchronization pulses are counted'),
        (Phase.LOST, (900, 910, 905, 890, 0, 1), ''),
        (Phase.FINE, (100_000, 910, 905, 890, 5000, 1), ''),  # a bright star beside the satellite
        (Phase.WAIT, (4_100_000, 90, 0, 60, 0, 1), f'{BRIGHT} H counts up to 4.1 million a second'),
        (
            Phase.FINE,
            (9e6, 9e6, 8e6, 9e6, 0, 1),
            f'{BRIGHT} H and V and D and A counts up to 9.0 million a second',
        ),
    ],
)
def test_counts(watch, phase, counts, told):
    watch.session(T0, phase, 'one')
    watch.counted(counted(T0, *counts))
    assert watch.trouble(T0 + S, 100) == told


def test_a_bin_that_began_before_the_lock_proves_nothing(watch):
    watch.session(T0 + S // 2, Phase.FINE, 'one')
    watch.counted(counted(T0, 50, 50, 50, 50, 0, 1))
    assert watch.trouble(T0 + S, 100) == ''
    watch.counted(counted(T0 + S, 50, 50, 50, 50, 0, 1))
    assert watch.trouble(T0 + 2 * S, 200) != ''


def test_the_size_is_that_of_all_runs(tmp_path):
    assert size_of_tags(tmp_path / 'missing') is None
    assert size_of_tags(tmp_path) == 0
    (tmp_path / 'tags.sealed').write_bytes(bytes(10))
    (tmp_path / 'tags-2.sealed').write_bytes(bytes(5))
    (tmp_path / 'other').write_bytes(bytes(7))
    assert size_of_tags(tmp_path) == 15
