"""Other people's readers find the same tags in a file as the importers do."""

import pytest

from qkd_gs.bench.importers import FORMS, measure

TAGS = 3000


@pytest.mark.parametrize(('form', 'reader'), [(form, reader) for form, (_, names) in FORMS.items() for reader in names])
def test_every_reader_finds_the_same_tags(tmp_path, form, reader):
    if reader == 'tttrlib':
        pytest.importorskip('tttrlib')
    path = tmp_path / f'tags.{form}'
    FORMS[form][0](path, TAGS)
    own, other = measure('own', path), measure(reader, path)
    assert own['tags'] == TAGS
    assert other['sums'] == own['sums']
