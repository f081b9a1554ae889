"""Table 1: the paper's setting gives the paper's key, within what its figures contradict each other."""

from qkd_gs.bench.table1 import run
from qkd_gs.session.published import published_passes


def test_the_papers_setting_gives_the_published_key():
    figures = run()
    assert abs(figures['paper_to_published'] - 1) < 0.15
    assert figures['rows_within_25_percent'] >= 12
    assert figures['sum_per_basis_bits'] < figures['sum_paper_bits']


def test_a_composable_total_costs_what_its_theorem_says():
    analyses = {name: part['sum_bits'] for name, part in run()['analyses'].items()}
    assert 0.85 < analyses['sampling'] / analyses['additive'] < 1.0
    assert 0.55 < analyses['rooted'] / analyses['additive'] < 0.75
    # one bound for everything gives more than adding up bounds, though all of it is under the root
    assert analyses['joint'] > 1.5 * analyses['additive']


def test_joined_passes_give_more_than_single_ones_at_every_station_that_has_several():
    for case in run()['joined']:
        assert case['sum_joined_bits'] > 893_427  # published, single passes
        for site in case['sites'].values():
            if site['passes'] > 1:
                assert site['joined_bits'] > site['single_bits']
            else:
                assert site['joined_bits'] == site['single_bits']


def test_the_table_is_whole():
    rows = published_passes()
    assert len(rows) == 17
    assert sum(row.key_bits for row in rows) == 893_427
    # sums in the text, which say which row is of which site
    sums = {site: sum(row.sifted_bits for row in rows if row.site == site) for site in ('Jinan', 'Weihai')}
    assert abs(sums['Jinan'] - 1.88e6) < 0.01e6
    assert abs(sums['Weihai'] - 1.65e6) < 0.01e6
