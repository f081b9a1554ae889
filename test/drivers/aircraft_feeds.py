"""Receivers of aircraft for tests: BaseStation messages and aircraft.json, in a test's time, on loopback."""

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from qkd_gs.devices.conformance.rig import Counterpart

SECOND_NS = 10**9


def message(kind=3, icao='4CA2D3', flight='', alt='', gs='', track='', lat='', lon='', climb='', ground='0'):
    """A BaseStation line as dump1090 writes it."""
    when = '2023/11/14,22:13:20.000,2023/11/14,22:13:20.010'
    fields = f'MSG,{kind},1,1,{icao},1,{when},{flight},{alt},{gs},{track},{lat},{lon},{climb},,,,,{ground}'
    return fields.encode('ascii') + b'\r\n'


POSITION = message(3, alt='33000', lat='31.45', lon='121.9')
VELOCITY = message(4, gs='450', track='271', climb='-64')


class SbsFeed(Counterpart):
    """Server of BaseStation messages; one a second."""

    def __init__(self):
        self._server = socket.create_server(('127.0.0.1', 0))
        self._server.setblocking(False)
        self.port = self._server.getsockname()[1]
        self._ends = []
        self._sent_s = 0
        self.silent = False

    def advance(self, now_ns):
        with suppress(BlockingIOError, OSError):
            while True:
                self._ends.append(self._server.accept()[0])
        if now_ns // SECOND_NS > self._sent_s and not self.silent:
            self._sent_s = now_ns // SECOND_NS
            self.send(POSITION)

    def send(self, data):
        for end in self._ends:
            with suppress(OSError):
                end.sendall(data)

    def silence(self):
        self.silent = True

    def cut(self):
        self._server.close()
        while self._ends:
            self._ends.pop().close()

    close = cut


def entry(**changes):
    """An aircraft of aircraft.json, as dump1090-fa writes it."""
    known = {'hex': '4ca2d3', 'flight': 'EIN123  ', 'alt_baro': 33000, 'alt_geom': 33500, 'gs': 450.2, 'track': 271.3}
    known |= {'baro_rate': -64, 'lat': 31.45, 'lon': 121.9, 'seen_pos': 0.2, 'seen': 0.1, 'messages': 900}
    return {key: value for key, value in (known | changes).items() if value is not None}


class JsonFeed(Counterpart):
    """Writes aircraft.json every second."""

    def __init__(self, path):
        self.path, self.silent, self.offset_s, self.aircraft = path, False, 0.0, [entry()]
        self._made_s = 0

    def advance(self, now_ns):
        if now_ns // SECOND_NS > self._made_s and not self.silent:
            self._made_s = now_ns // SECOND_NS
            self.path.write_bytes(self.text(now_ns))

    def text(self, now_ns):
        return json.dumps({'now': now_ns / 1e9 + self.offset_s, 'messages': 1, 'aircraft': self.aircraft}).encode()

    def silence(self):
        self.silent = True


class HttpFeed:
    """An HTTP server on loopback that gives out what `body` holds."""

    def __init__(self):
        feed = self
        self.body, self.status = b'{}', 200

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(feed.status)
                self.end_headers()
                self.wfile.write(feed.body)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}/data/aircraft.json'
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
