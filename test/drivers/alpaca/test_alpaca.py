"""Alpaca drivers against the simulators of PyPI's alpaca-simulators, and the client against what a server may send."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observatory_servers import ALPACA_SILENT_S, alpaca, alpaca_rig

from qkd_gs.devices.conformance.checks import fault_of
from qkd_gs.devices.conformance.dome import DomeConformance, DomeTraits
from qkd_gs.devices.conformance.hwp import HwpConformance, HwpTraits
from qkd_gs.devices.conformance.late import LateTraits
from qkd_gs.devices.conformance.rig import START_NS
from qkd_gs.devices.conformance.weather import WeatherConformance
from qkd_gs.devices.dome import Shutter
from qkd_gs.drivers.alpaca.dome import alpaca_dome
from qkd_gs.drivers.alpaca.http import parse_answer
from qkd_gs.drivers.alpaca.rotator import AlpacaRotatorOptions, alpaca_rotator
from qkd_gs.drivers.alpaca.session import AlpacaOptions, AlpacaSession
from qkd_gs.drivers.alpaca.weather import AlpacaWeatherOptions, alpaca_weather


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    made = alpaca(tmp_path_factory.mktemp('alpaca'))
    yield made
    made.kill()


@pytest.fixture
def own_server(tmp_path):
    made = alpaca(tmp_path)
    yield made
    made.kill()


class TestDome(DomeConformance):
    traits = DomeTraits(move_s=60, silent_s=ALPACA_SILENT_S)

    @pytest.fixture
    def rig(self, server):
        with alpaca_rig(server, alpaca_dome, AlpacaOptions) as rig:
            yield rig


class TestWeather(WeatherConformance):
    traits = LateTraits(silent_s=ALPACA_SILENT_S, age_s=2.0, recent_s=3.0)

    @pytest.fixture
    def rig(self, server):
        with alpaca_rig(server, alpaca_weather, AlpacaWeatherOptions) as rig:
            yield rig


class TestRotator(HwpConformance):
    traits = HwpTraits(
        silent_s=ALPACA_SILENT_S, age_s=1.0, resolution_rad=0.005, move_s=60, stop_s=2.0, either_way=False
    )

    @pytest.fixture
    def rig(self, server):
        with alpaca_rig(server, alpaca_rotator, AlpacaRotatorOptions) as rig:
            yield rig

    def test_stop_ends_a_move(self):
        pytest.skip('the simulated rotator moves at once')


def test_a_server_that_is_killed_is_told_and_serves_again_after_its_restart(own_server):
    with alpaca_rig(own_server, alpaca_dome, AlpacaOptions) as rig:
        device = rig.open()
        assert rig.until(lambda: device.read(rig.now_ns).shutter is not Shutter.UNKNOWN, 30.0)
        own_server.kill()
        assert rig.until(lambda: fault_of(lambda: device.read(rig.now_ns)) == 'dome.silent', 30.0)
        own_server.start()
        own_server.restart_clock(rig.now_ns)
        device.close()
        device.open()
        assert rig.until(lambda: device.read(rig.now_ns).shutter is not Shutter.UNKNOWN, 30.0)
        device.close()


# --- the client, with a server of ours ---


class Scripted:
    """A server that answers with what a test puts into `answers`, by name of the value."""

    def __init__(self):
        scripted = self
        self.answers, self.asked, self.chunked = {'shutterstatus': {'Value': 0, 'ErrorNumber': 0}}, [], False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def handle_request(self):
                name = self.path.partition('?')[0].rpartition('/')[2]
                body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
                scripted.asked.append((self.command, name, body.decode()))
                answer = scripted.answers.get(name, {'ErrorNumber': 0, 'ErrorMessage': ''})
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(200)
                if scripted.chunked:
                    self.send_header('Transfer-Encoding', 'chunked')
                    self.end_headers()
                    for k in range(0, len(data), 5):
                        part = data[k : k + 5]
                        self.wfile.write(f'{len(part):x}\r\n'.encode() + part + b'\r\n')
                    self.wfile.write(b'0\r\n\r\n')
                else:
                    self.send_header('Content-Length', str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *arguments):
                pass

        Handler.do_GET = Handler.do_PUT = Handler.handle_request
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *arguments: None  # a client that has gone
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def scripted():
    made = Scripted()
    yield made
    made.close()


def session_of(scripted, asked=('shutterstatus',), optional=frozenset()):
    session = AlpacaSession('dome', AlpacaOptions(port=scripted.port), 'dome', asked, optional)
    session.open()
    session.now_ns = START_NS
    return session


def stepped(session, until):
    """Steps, in a station time that goes by slowly, until a condition holds."""
    for _ in range(200_000):
        session.step(session.now_ns)
        if until():
            return
        session.now_ns += 1000
    raise AssertionError('it does not come about')


@pytest.mark.parametrize('chunked', [False, True])
def test_values_are_told_by_servers_of_either_kind(scripted, chunked):
    scripted.chunked = chunked
    session = session_of(scripted)
    stepped(session, lambda: 'shutterstatus' in session.values)
    assert session.values['shutterstatus'].value == 0
    assert scripted.asked[0][:2] == ('PUT', 'connected')
    assert scripted.asked[0][2].startswith('Connected=true&ClientID=')
    session.close()


def test_a_command_goes_before_the_next_question_and_replaces_an_older_one(scripted):
    session = session_of(scripted)
    stepped(session, lambda: 'shutterstatus' in session.values)
    session.command('slewtoazimuth', Azimuth=1)
    session.command('slewtoazimuth', Azimuth=2)
    stepped(session, lambda: not session.busy)
    told = [body.partition('&')[0] for _, name, body in scripted.asked if name == 'slewtoazimuth']
    assert told == ['Azimuth=2']
    session.close()


def test_an_order_to_close_goes_out_although_the_device_is_closed_at_once(scripted):
    session = session_of(scripted)
    session.urgent('closeshutter')
    session.close()
    for thread in threading.enumerate():
        if thread.name == 'alpaca closeshutter':
            thread.join(30)
    assert ('PUT', 'closeshutter') in [one[:2] for one in scripted.asked]


def test_what_a_device_does_not_have_is_nothing_where_it_may_lack(scripted):
    scripted.answers['rainrate'] = {'ErrorNumber': 0x400, 'ErrorMessage': 'not implemented'}
    session = session_of(scripted, ('rainrate',), frozenset({'rainrate'}))
    stepped(session, lambda: 'rainrate' in session.values)
    assert session.number('rainrate') != session.number('rainrate')
    session.close()


@pytest.mark.parametrize(
    ('answer', 'code'),
    [
        ({'ErrorNumber': 0x500, 'ErrorMessage': 'motor stalled'}, 'dome.refused'),
        (b'nonsense', 'dome.silent'),
        (b'[]', 'dome.silent'),
    ],
)
def test_a_refusal_and_nonsense_are_told(scripted, answer, code):
    scripted.answers['shutterstatus'] = answer
    session = session_of(scripted)
    assert fault_of(lambda: stepped(session, lambda: False)) == code
    session.close()


@given(st.binary(max_size=300), st.booleans())
def test_bytes_of_any_kind_are_an_answer_or_not_or_refused(data, closed):
    for text in (data, b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' + data):
        try:
            parse_answer(text, closed)
        except ValueError:
            continue
