"""`qkd-gs key-length`: the document others call it with, and its complaints."""

import json

import pytest

from qkd_gs.cli import main

TALLIES = {
    'signal': {'sent': 975_000_000, 'sifted': 172_950, 'errors': 2352},
    'decoy': {'sent': 487_500_000, 'sifted': 11_000, 'errors': 180},
    'vacuum': {'sent': 487_500_000, 'sifted': 150, 'errors': 75},
}
COUNTS = {
    'intensities': {'signal': 0.8, 'decoy': 0.1, 'vacuum': 0.0},
    'bases': {'hv': TALLIES, 'da': TALLIES},
    'pooled': True,
    'epsilon_per_bound': 1e-5,
    'f_ec': 1.16,
}


def run(tmp_path, capsys, document):
    path = tmp_path / 'counts.json'
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    status = main(['key-length', str(path), '--json'])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_prints_one_json_document(tmp_path, capsys):
    status, out, err = run(tmp_path, capsys, COUNTS)
    result = json.loads(out)
    assert (status, err) == (0, '')
    assert result['secret_bits'] > 60_000
    assert set(result) >= {'secret_bits', 'bounds', 'epsilon_ledger', 'cost'}


def test_total_epsilon_and_disclosed_bits_are_accepted(tmp_path, capsys):
    document = {**COUNTS, 'pooled': False, 'epsilon_total': 1e-10, 'disclosed_bits': 40_000}
    del document['epsilon_per_bound'], document['f_ec']
    status, out, _ = run(tmp_path, capsys, document)
    assert status == 0
    assert json.loads(out)['cost']['privacy_amplification'] < 0


def test_plain_output_names_the_costs(tmp_path, capsys):
    path = tmp_path / 'counts.json'
    path.write_text(json.dumps(COUNTS))
    assert main(['key-length', str(path)]) == 0
    assert 'finite statistics' in capsys.readouterr().out


def changed(*keys, value=None):
    document = json.loads(json.dumps(COUNTS))
    section = document
    for key in keys[:-1]:
        section = section[key]
    if value is None:
        del section[keys[-1]]
    else:
        section[keys[-1]] = value
    return document


@pytest.mark.parametrize(
    ('document', 'words'),
    [
        ('{', 'counts.json:1: not JSON'),
        ('[]', 'counts.json'),
        ('null', 'counts.json'),
        ('{"pooled": true, "pooled": false}', 'pooled is given twice'),
        ('[' * 100_000, 'nested'),
        (changed('bases', 'hv', 'decoy', 'sent'), 'bases.hv.decoy.sent'),
        (changed('bases', 'da', 'signal', 'errors', value=200_000), 'bases.da.signal'),
        (changed('bases', 'da', 'signal', 'errors', value='many'), 'bases.da.signal.errors'),
        (changed('intensities', 'vacuum', value=0.01), 'must be 0'),
        (changed('f_ec'), 'f_ec'),
        (changed('f_ec', value=0.5), 'f_ec'),
        (changed('epsilon_total', value=1e-10), 'epsilon'),
        (changed('epsilon_per_bound', value=float('nan')), 'epsilon_per_bound'),
        (changed('surprise', value=1), 'surprise'),
    ],
)
def test_what_is_wrong_is_named(tmp_path, capsys, document, words):
    status, out, err = run(tmp_path, capsys, document)
    assert (status, out) == (2, '')
    assert words in err
    assert 'counts.json' in err
    assert len(err.strip().splitlines()) == 1


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(['key-length', str(tmp_path / 'none.json'), '--json']) == 2
    assert 'none.json' in capsys.readouterr().err
