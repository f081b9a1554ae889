"""The bench of disturbed evenings: its cases and seeds, and the disturbances themselves as campaigns."""

import pytest

from qkd_gs.bench.evening import CASES, evening, run
from qkd_gs.errors import StationError
from qkd_gs.evening.steps import PREPARATION


@pytest.mark.parametrize(
    ('seeds', 'cases', 'said'),
    [('1-x', ('undisturbed',), "'1-x' is no list of seeds"), ('1', ('fog',), "unknown case 'fog'")],
)
def test_seeds_and_cases_are_checked_before_anything_runs(seeds, cases, said):
    with pytest.raises(StationError, match=said):
        run(seeds, cases)


def test_an_empty_list_of_stars_ends_the_evening_parked_with_its_name():
    found = run('1', ('star list empty',))
    (one,) = found['evenings']
    assert not one['armed']
    assert one['parked']
    assert 'stars.csv: holds no star' in one['why_ended']
    assert one['steps']['self-test'] == {'state': 'failed', 'minutes': 0.0, 'tries': 3}
    assert found['summary']['star list empty']['other_ends'] == [one['why_ended']]


@pytest.mark.long
@pytest.mark.parametrize('name', [name for name in CASES if 'list' not in name])
def test_the_evening_ends_armed_whatever_disturbs_it(name):
    """The reason is a cloud or rain that passes, a compass that is found out, or a restart."""
    one = evening(name, 1)
    assert one['armed'], one['why_ended']
    assert one['parked']
    assert one['stars'] >= 12
    assert one['heldout_urad'] < 60
    assert one['restarts'] == (len(PREPARATION) + 1 if CASES[name].restarts else 0)


@pytest.mark.long
@pytest.mark.parametrize(
    ('name', 'why'),
    [
        ('half the star list wrong', 'is the list of stars wrong, or does an encoder slip?'),
        ('star list wrong', 'off those on which the telescope found itself: a wrong list?'),
    ],
)
def test_a_wrong_list_of_stars_ends_the_evening_parked_with_that_reason(name, why):
    one = evening(name, 1)
    assert not one['armed']
    assert one['parked']
    assert one['why_ended'].startswith('calibrate failed: ')
    assert why in one['why_ended']
