"""Fetching elements from a local server: copies, courtesy, and what a server sends instead of elements."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from orbit_files import as_json, omm_fields, tle_with

from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.orbit.fetch import INTERVAL_S, address_of, fetch
from qkd_gs.orbit.timescale import parse_utc

NOW_NS = parse_utc('2026-01-01T00:00:00Z')
HOUR_NS = 3_600_000_000_000


@pytest.fixture
def server(micius):
    """A server whose answer the test chooses; it keeps the queries and headers that it got."""
    state = SimpleNamespace(
        body=as_json(omm_fields(micius.orbits[0].satrec)).encode(), status=200, got=[], etag='"one"'
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.got.append((parse_qs(urlsplit(self.path).query), dict(self.headers)))
            unchanged = state.status == 200 and self.headers.get('If-None-Match') == state.etag
            self.send_response(304 if unchanged else state.status)
            self.send_header('ETag', state.etag)
            self.send_header('Content-Length', '0' if unchanged else str(len(state.body)))
            self.end_headers()
            if not unchanged:
                self.wfile.write(state.body)

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    state.url = f'http://127.0.0.1:{running.server_address[1]}/gp.php'
    yield state
    running.shutdown()
    thread.join()
    running.server_close()


def test_the_query_is_celestraks(server, tmp_path):
    found = fetch(address_of(server.url, 'number', '41731', 'json'), tmp_path, NOW_NS)
    assert found.asked
    assert found.satellites == 1
    query, headers = server.got[0]
    assert query == {'CATNR': ['41731'], 'FORMAT': ['JSON']}
    assert headers['User-Agent'].startswith('qkd_gs/')


def test_a_fresh_copy_is_used_without_asking(server, tmp_path):
    address = address_of(server.url, 'name', 'MICIUS', 'json')
    first = fetch(address, tmp_path, NOW_NS)
    again = fetch(address, tmp_path, NOW_NS + INTERVAL_S * 10**9 - 1)
    assert (again.asked, again.path, again.fetched_ns) == (False, first.path, NOW_NS)
    assert len(server.got) == 1
    fetch(address_of(server.url, 'name', 'OTHER', 'json'), tmp_path, NOW_NS)
    assert len(server.got) == 2


def test_an_old_copy_is_renewed_only_if_there_is_something_newer(server, tmp_path):
    address = address_of(server.url, 'number', '41731', 'tle')
    fetch(address, tmp_path, NOW_NS)
    later = fetch(address, tmp_path, NOW_NS + 3 * HOUR_NS)
    assert server.got[1][1]['If-None-Match'] == '"one"'
    assert later.fetched_ns == NOW_NS + 3 * HOUR_NS
    assert b'"MICIUS"' in later.path.read_bytes()
    server.etag, server.body = '"two"', tle_with('NEWER').encode()
    newest = fetch(address, tmp_path, NOW_NS + 6 * HOUR_NS)
    assert b'NEWER' in newest.path.read_bytes()


@pytest.mark.parametrize(
    ('status', 'body', 'message'),
    [
        (403, b'<html><title>403</title></html>', 'answers 403 Forbidden'),
        (200, b'<html><title>Wait</title></html>', "is a web page, not orbit data, its title is 'Wait'"),
        (200, b'No GP data found', 'not a known format .*No GP data found'),
        (500, b'', 'answers 500'),
    ],
)
def test_a_server_that_refuses_is_left_alone(server, tmp_path, caplog, status, body, message):
    address = address_of(server.url, 'number', '41731', 'json')
    good = server.body
    server.status, server.body = status, body
    with pytest.raises(StationError, match=message):
        fetch(address, tmp_path, NOW_NS)
    with pytest.raises(StationError, match='it is not asked again before 2026-01-01T02:00:00Z'):
        fetch(address, tmp_path, NOW_NS + HOUR_NS)
    assert len(server.got) == 1
    server.status, server.body = 200, good
    fetch(address, tmp_path, NOW_NS + 3 * HOUR_NS)
    server.status, server.body, server.etag = status, body, '"bad"'
    kept = fetch(address, tmp_path, NOW_NS + 6 * HOUR_NS)
    assert kept.fetched_ns == NOW_NS + 3 * HOUR_NS
    assert kept.path.read_bytes() == good
    assert 'the copy of 2026-01-01T03:00:00Z is used' in caplog.text


def test_no_server_is_one_sentence(tmp_path):
    with pytest.raises(StationError, match='cannot be reached'):
        fetch('http://127.0.0.1:9/gp.php?NAME=X', tmp_path, NOW_NS)
    with pytest.raises(StationError, match='is not an address'):
        address_of('file:///etc/passwd', 'name', 'X', 'json')


def test_broken_notes_are_as_if_nothing_had_been_asked(server, tmp_path):
    address = address_of(server.url, 'number', '41731', 'json')
    found = fetch(address, tmp_path, NOW_NS)
    found.path.with_suffix('.json').write_text('{')
    assert fetch(address, tmp_path, NOW_NS).asked


def test_command_fetches_and_says_so(server, tmp_path, capsys):
    out = tmp_path / 'micius.json'
    command = ['elements', 'fetch', '--number', '41731', '--url', server.url, '--cache', str(tmp_path / 'c')]
    assert main([*command, '--out', str(out), '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    assert document['file'] == str(out)
    assert document['satellites'] == 1
    assert document['asked']
    assert main(command) == 0
    assert 'the copy' in capsys.readouterr().out
    assert main([*command, '--interval-h', '1']) == 2
