"""The stopwatch of the tracking benchmark."""

from qkd_gs.bench.tracking import Stopwatch


class Clockwork:
    """Something to be timed."""

    def turn(self, count):
        return sum(range(count))


def test_the_stopwatch_counts_the_pass_alone_and_leaves_the_method_as_it_was():
    stopwatch, before = Stopwatch(), Clockwork.turn
    stopwatch.step('calibrating the pointing')
    with stopwatch.on('clockwork', Clockwork, 'turn'):
        assert Clockwork().turn(10) == 45
        assert not stopwatch.wall_s['clockwork']
        stopwatch.step('taking the pass')
        assert [Clockwork().turn(count) for count in (10, 200_000)] == [45, 19_999_900_000]
    assert Clockwork.turn is before
    stopwatch.step('')
    short_s, long_s = stopwatch.wall_s['clockwork']
    assert 0 < short_s < long_s
    assert set(stopwatch.cpu_s) == {'calibrating', 'taking', 'taking_clockwork'}
    assert stopwatch.cpu_s['taking'] >= stopwatch.cpu_s['taking_clockwork'] > 0
