"""Where the satellite's server is: by catalogue number, and by nothing else."""

import pytest

from qkd_gs.errors import StationError
from qkd_gs.settings.satellite import BENCH, load_peer, parse_address


def test_the_server_is_chosen_by_catalogue_number(tmp_path):
    path = tmp_path / 'satellite.yaml'
    path.write_text('satellites:\n  41731: {address: "a.example:4150", tries: 3}\n  bench: {address: "[::1]:7"}\n')
    assert load_peer('41731', path).tries == 3
    assert parse_address(load_peer(BENCH, path).address) == ('::1', 7)
    with pytest.raises(StationError, match='no link to satellite 12345 is configured'):
        load_peer('12345', path)
    with pytest.raises(StationError, match='no link to the bench is configured'):
        load_peer(BENCH)


@pytest.mark.parametrize('text', ['', 'host', 'host:', ':1', 'host:70000', 'a:b:1', 'host:1x'])
def test_what_is_no_address(text):
    with pytest.raises(StationError, match='is not HOST:PORT'):
        parse_address(text)
