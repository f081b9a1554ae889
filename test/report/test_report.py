"""The report: complete, needs nothing from outside, honest about what it does not have."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import synthetic

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit.timescale import format_utc
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.pointing.pointing_file import StoredPointing
from qkd_gs.report import write_report
from qkd_gs.report.key_figures import length_steps
from qkd_gs.report.link_figures import calibration_stars
from qkd_gs.report.paper import published_for
from qkd_gs.report.result_tables import counts_table, forecast_table, losses_table
from qkd_gs.report.tables import bounds_table, comparison, ledger_table, length_table
from qkd_gs.report.tracking_bands import bands_table, spectrum
from qkd_gs.report.tracking_figures import spot_offset, tracking_error
from qkd_gs.report.view import SessionView
from qkd_gs.report.window_key import window_key_bits
from qkd_gs.session.manifest import LockedSpan, create_manifest
from qkd_gs.session.telemetry import FILE_NAME, Telemetry

FIGURES = {
    'sky_track', 'acquisition', 'tracking_error', 'spot_offset', 'spot_scatter', 'polarization', 'count_rates', 'qber',
    'sync_residual', 'key_account', 'spectrum', 'link_efficiency',
}  # fmt: skip


class Page(HTMLParser):
    """Words, references and open tags of a page."""

    VOID = frozenset({'meta', 'img', 'br', 'link', 'hr'})

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.alts, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        given = dict(attrs)
        self.references += [given[name] for name in ('src', 'href', 'srcset', 'action') if name in given]
        if tag == 'img':
            self.alts.append(given['alt'])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != 'style':
            self.words.append(data)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())


def view(**change):
    return SessionView(synthetic.manifest(**change), synthetic.telemetry())


def test_the_whole_report(session, capsys):
    assert main(['report', str(session), '--json']) == 0
    path = session / 'report.html'
    assert json.loads(capsys.readouterr().out) == {'report': str(path)}
    source = path.read_text(encoding='utf-8')
    page = Page(source)
    assert page.open == []
    # nothing is fetched from anywhere
    assert len(page.references) == len(FIGURES)
    assert all(reference.startswith('data:image/svg+xml;base64,') for reference in page.references)
    assert not re.search(r'@import|url\(|<script|<link', source)
    assert all(page.alts)
    # the figures beside it are sound SVG, without references either
    assert {file.stem for file in (session / 'figures').iterdir()} == FIGURES
    for file in (session / 'figures').iterdir():
        root = ElementTree.parse(file).getroot()
        links = [value for e in root.iter() for name, value in e.attrib.items() if name.endswith('href')]
        assert all(link.startswith(('#', 'data:')) for link in links)
    # figures are those of the session and of the paper
    for words in (
        'SIMULATED',
        'MICIUS over Shanghai',
        'while locked; paper: 4.41 × 2.99',
        '3.21 µrad',
        '4.41 µrad',
        '63.8 kbit',
        '345.9 kbit',
    ):
        assert words in page.text
    assert str(synthetic.key_part()['secret_bits'] // 1000) in page.text


def test_a_key_of_several_passes(tmp_path):
    result = synthetic.manifest().result
    assert 'Key of several passes' not in Page(write_at(tmp_path / 'single', result)).text
    joined = synthetic.key_part() | {'sessions': ['5' * 32, '7' * 32], 'key_id': 'a1b2'}
    text = Page(write_at(tmp_path / 'joined', result | {'joined': joined})).text
    assert 'of 2 passes together' in text
    _, _, chapter = text.partition('The sifted bits of this pass and of others were kept')
    for words in ('5' * 32 + ', ' + '7' * 32, 'a1b2', 'Key length', 'Epsilon budget'):
        assert words in chapter


def write_at(folder, result):
    folder.mkdir()
    create_manifest(folder, synthetic.manifest(result=result))
    return write_report(folder).read_text(encoding='utf-8')


def test_each_run_of_the_tdc_is_reported(session):
    text = Page(write_report(session).read_text()).text
    assert 'tags.sealed) started 2018-10-02 21:56:40, 5,100,000 tags, cut off' in text
    assert 'tags-2.sealed) started at an unknown time, 0 tags; not used: tags-2.sealed: is not sealed' in text


def test_a_session_that_was_not_processed_says_so(tmp_path):
    create_manifest(tmp_path, synthetic.manifest(result=None, simulated=False, seed=None))
    page = Page(write_report(tmp_path).read_text(encoding='utf-8'))
    assert 'Not processed yet' in page.text
    assert 'no telemetry' in page.text
    assert 'Secret key' not in page.text
    assert 'SIMULATED' not in page.text
    assert page.references == []


def test_a_report_is_rewritten_without_leaving_drafts(tmp_path):
    create_manifest(tmp_path, synthetic.manifest(result=None))
    first = write_report(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first
    assert not [path for path in tmp_path.rglob('*') if path.name.endswith('.new')]


def test_names_from_a_session_are_never_markup(tmp_path):
    create_manifest(tmp_path, synthetic.manifest(result=None, satellite='<script>alert(1)</script>'))
    assert '<script' not in write_report(tmp_path).read_text(encoding='utf-8')


def test_what_is_no_session_is_refused(tmp_path, capsys):
    assert main(['report', str(tmp_path)]) == 2
    assert 'is not a session' in capsys.readouterr().err
    create_manifest(tmp_path, synthetic.manifest(result=None))
    (tmp_path / FILE_NAME).write_bytes(b'rubbish')
    with pytest.raises(StationError, match=FILE_NAME):
        write_report(tmp_path)


def test_the_steps_add_up_to_the_key():
    steps = length_steps(synthetic.key_part())
    assert steps[0].bits + sum(s.bits for s in steps[1:-1]) == pytest.approx(steps[-1].bits, abs=1)
    assert [s.is_total for s in steps] == [True] + [False] * (len(steps) - 2) + [True]
    table = length_table(view())
    assert len(table.rows) == len(steps)


def test_steps_that_do_not_add_up_are_not_drawn():
    key = synthetic.key_part()
    key['cost'] = key['cost'] | {'secret_bits': key['secret_bits'] + 1000}
    assert length_steps(key) == []
    shown = length_table(view(result={'key': key}))
    assert shown.note == 'It does not add up.'


def test_the_failure_probabilities_listed_sum_to_the_total():
    table = ledger_table(view())
    assert table.head[1:] == ('whole key',)
    assert table.rows[-1][-1] == '10⁻¹⁰'
    raised = str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹', '-0123456789')
    cells = [cell.translate(raised).split('×') for row in table.rows[:-1] for cell in row[1:] if cell]
    given = sum(float(mantissa) * 10.0 ** int(power[3:]) for mantissa, power in cells)
    assert given == pytest.approx(1e-10, rel=0.05)  # two digits each


@pytest.mark.parametrize(
    'key', [{}, {'cost': None}, {'cost': {'a': 'b'}}, {'bounds': 3, 'epsilon_ledger': []}, {'qber': None}]
)
def test_a_sparse_result_still_makes_tables(key):
    sparse = view(result={'key': key})
    assert bounds_table(sparse) is None
    assert ledger_table(sparse) is None
    assert comparison(sparse).rows


def test_a_real_pass_shows_the_spot_and_no_truth():
    real = SessionView(
        synthetic.manifest(simulated=False),
        replace(synthetic.telemetry(), error_x_urad=np.empty(0), error_y_urad=np.empty(0)),
    )
    assert tracking_error(real) is None
    assert spot_offset(real) is not None


def test_the_rms_of_a_figure_is_that_of_locked_samples_above_the_data_elevation():
    there = view(tracking={})
    use = there.above(there.telemetry.spot_t_ns)
    elevation = np.rad2deg(there.elevation_at(there.telemetry.spot_t_ns[use]))
    assert elevation.min() >= 20
    x, y = (np.sqrt(np.mean(v[use] ** 2)) for v in (there.telemetry.spot_x_urad, there.telemetry.spot_y_urad))
    assert spot_offset(there).alt == f'RMS {x:.2f} by {y:.2f} microradians.'


def test_without_telemetry_nothing_is_locked():
    empty = SessionView(synthetic.manifest(locked=[]), Telemetry())
    assert empty.lock_ns() is None
    assert not empty.above(np.arange(3)).any()


def test_the_paper_s_own_pass_is_found_by_site_local_date_and_height():
    evening_of_second_utc = 1_538_517_600_000_000_000
    assert published_for('Shanghai', evening_of_second_utc, 72.03).which == 'the same pass'
    assert published_for('Shanghai', evening_of_second_utc, 72.03).key == '63.8 kbit'
    assert published_for('Shanghai', evening_of_second_utc, 24.4).which == '17 passes'  # another pass of that day
    assert published_for('Shanghai', evening_of_second_utc, None).which == '17 passes'
    assert published_for('Lijiang', evening_of_second_utc, 72.03).which == '17 passes'
    assert published_for('Lijiang', evening_of_second_utc, 72.03).qber == '0.80–2.91 %'


def counts(signal=(300_000, 4_400)):
    def tally(sent, sifted, errors):
        return {'sent': sent, 'sifted': sifted, 'errors': errors}

    basis = {
        'signal': tally(3_600_000_000, *signal),
        'decoy': tally(1_800_000_000, 20_000, 640),
        'vacuum': tally(1_800_000_000, 800, 400),
    }
    return {'intensities': {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0}, 'hv': basis, 'da': basis}


def processed(**key):
    part = synthetic.key_part() | {'counts': counts(), 'sifted_bits': 600_000, 'window_s': 78.0} | key
    result = synthetic.manifest().result | {'key': part, 'timing': {'counted_s': 290.0}}
    return view(result=result)


def test_counts_and_gains_are_listed_by_intensity_and_basis():
    table = counts_table(processed())
    assert len(table.rows) == 6
    assert table.rows[0][:2] == ('signal, H/V', '0.8')
    assert table.rows[0][4].startswith('8.3')  # 300 000 of 3.6e9
    assert table.rows[5][6] == '50.00 %'
    assert counts_table(view()) is None or 'counts' in view().key


def test_the_key_of_the_window_is_less_than_that_of_the_pass_and_in_the_setting_of_the_paper():
    whole = window_key_bits(processed(sifted_bits_window=600_000, window_s=290.0))
    window = window_key_bits(processed(sifted_bits_window=300_000))
    assert 0 < window < 0.55 * whole
    assert window_key_bits(processed(sifted_bits_window=None)) is None
    flawed = counts() | {'receiver': {'within_basis': 0.05, 'between_bases': 0.05, 'cross_clicks': 20}}
    assert window_key_bits(processed(sifted_bits_window=300_000, counts=flawed)) == window


def test_the_result_is_held_against_the_forecast():
    forecast = {
        'sifted_bits': {'low': 350e3, 'expected': 620e3, 'high': 1.1e6},
        'qber': {'low': 0.001, 'expected': 0.002, 'high': 0.003},
        'secret_bits': {'low': 5e6, 'expected': 6e6, 'high': 7e6},
    }
    one = processed(qber=0.0147)
    one = replace(one, manifest=one.manifest.model_copy(update={'run': {'forecast': forecast}}))
    assert [row[-1] for row in forecast_table(one).rows] == ['within', 'above', 'below']
    assert forecast_table(processed()) is None  # none was made


def test_a_planned_gap_is_the_cause_of_a_loss():
    one = view()
    t_ns = one.telemetry.t_ns
    high = np.flatnonzero(one.telemetry.el_rad > np.deg2rad(40))
    first, last = int(t_ns[high[0]]), int(t_ns[high[-1]])
    middle = (first + last) // 2
    gap = {'start': format_utc(middle), 'end': format_utc(middle + 4 * 10**9)}
    spans = [LockedSpan(start_ns=first, end_ns=middle), LockedSpan(start_ns=middle + 5 * 10**9, end_ns=last)]
    broken = one.manifest.model_copy(update={'locked': spans, 'run': {'plan': {'gaps': [gap]}}})
    rows = losses_table(replace(one, manifest=broken)).rows
    assert 'planned' in rows[0][3]
    assert float(rows[0][1].split()[0]) == pytest.approx(5.0, abs=1.0)


def test_bands_and_spectrum_use_locked_samples():
    table = bands_table(view())
    assert table.rows
    assert all(row[0].endswith('°') for row in table.rows)
    plot = spectrum(view())
    assert plot is not None
    assert plot.figure.axes[0].get_xscale() == 'log'


def test_the_stars_of_the_calibration_are_drawn(tmp_path):
    pointing = StoredPointing.of(
        MountModel(), (640.0, 512.0), '4 of 4 stars', '2018-10-03T14:00:00Z',
        star_residuals_urad=((10.0, 0.0), (-10.0, 0.0), (0.0, 10.0), (0.0, -10.0)),
    )  # fmt: skip
    plot = calibration_stars(replace(view(), pointing=pointing))
    assert '10.0 microradians' in plot.alt
    assert calibration_stars(view()) is None
