"""The camera of alpaca-simulators in this process: its application is called, instead of a server, for each request.

An exposure passes within the call that orders it; that it is ready is told when it would be in station time.
"""

import asyncio
import json
import sqlite3
import sys
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import uvicorn
from alpaca_simulators.config import Config
from alpaca_simulators.main import app
from alpaca_simulators.state import _state, get_device_state, update_device_state

from qkd_gs.devices.conformance.rig import START_NS, Counterpart


async def _call(method, target, headers, body):
    """Status, content type and body of the application's answer."""
    path, _, query = target.partition('?')
    scope = {
        'type': 'http',
        'asgi': {'version': '3.0'},
        'http_version': '1.1',
        'method': method,
        'scheme': 'http',
        'path': path,
        'raw_path': path.encode(),
        'root_path': '',
        'query_string': query.encode(),
        'headers': headers,
        'client': ('127.0.0.1', 1),
        'server': ('127.0.0.1', 2),
    }
    asked, said = [{'type': 'http.request', 'body': body, 'more_body': False}], []

    async def receive():
        return asked.pop() if asked else await asyncio.Event().wait()

    async def send(message):
        said.append(message)

    await app(scope, receive, send)
    begin, *parts = said
    content_type = next(value for name, value in begin['headers'] if name.lower() == b'content-type')
    return begin['status'], content_type.decode(), b''.join(part.get('body', b'') for part in parts)


def prepare(folder, width_px=1280, height_px=1024, **state):
    """Give the simulators of this process a camera of this size, and a sky of a few stars that needs no network."""
    stars = folder / 'stars.db'
    if not stars.exists():
        with sqlite3.connect(stars) as catalogue:
            catalogue.execute('create table gaia_sources (ra real, dec real, phot_g_mean_mag real)')
            near = np.random.default_rng(1).uniform(-0.02, 0.02, (20, 2))
            catalogue.executemany('insert into gaia_sources values (?, ?, 10)', near.tolist())
    Config().load()['tap_source'] = str(stars)
    _state.clear()
    update_device_state('telescope', 0, {'rightascension': 0.01, 'declination': 0.0, 'tracking': True})
    size = {'cameraxsize': width_px, 'cameraysize': height_px, 'numx': width_px, 'numy': height_px}
    update_device_state('camera', 0, {**size, 'gains': ['1', '2', '4', '8', '16'], **state})


class SimulatedCamera(Counterpart):
    """The camera.

    Attributes
    ----------
    answers : dict
        Answers by name of the value, given instead of the simulator's: a dict is put into JSON, bytes are ImageBytes.
    asked : list of tuple
        Method, name and parameters of each request.
    """

    def __init__(self, folder, **state):
        prepare(folder, **state)
        self.now_ns, self.ready_ns = START_NS, 0
        self.answers, self.asked, self.silent = {}, [], False

    @property
    def image(self):
        """The image as the simulator made it: (rows, columns)."""
        return np.asarray(get_device_state('camera', 0)['image_data'])

    def advance(self, now_ns):
        self.now_ns = now_ns

    def silence(self):
        self.silent = True

    def answer(self, method, target, headers, body):
        """Status, content type and body."""
        name = target.partition('?')[0].rpartition('/')[2]
        parameters = {key: value[0] for key, value in parse_qs(body.decode()).items()}
        self.asked.append((method, name, parameters))
        told = self.answers.get(name)
        if told is None and name == 'imageready' and self.now_ns < self.ready_ns:
            told = {'Value': False}
        if name == 'startexposure':
            self.ready_ns = self.now_ns + round(float(parameters['Duration']) * 1e9)
        if isinstance(told, dict):
            return 200, 'application/json', json.dumps({'ErrorNumber': 0, 'ErrorMessage': ''} | told).encode()
        if isinstance(told, bytes):
            return 200, 'application/imagebytes', told
        return asyncio.run(_call(method, target, headers, body))

    def connection(self, code, host, port):
        """Stand-in for a `Connection` to the server."""
        return _Connection(self)


class _Connection:
    def __init__(self, camera):
        self._camera, self._answers = camera, b''

    def open(self):
        self._answers = b''

    close = open

    def send(self, data):
        head, _, body = data.partition(b'\r\n\r\n')
        first, *lines = head.decode('ascii').split('\r\n')
        method, target, _ = first.split()
        pairs = (line.split(': ', 1) for line in lines)
        headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
        status, content_type, said = self._camera.answer(method, target, headers, body)
        told = f'HTTP/1.1 {status} \r\nContent-Type: {content_type}\r\nContent-Length: {len(said)}\r\n\r\n'
        self._answers += told.encode('ascii') + said

    def receive(self):
        answers, self._answers = self._answers, b''
        return (b'' if self._camera.silent else answers), False


if __name__ == '__main__':  # PORT FOLDER: the same in a process of its own
    prepare(Path(sys.argv[2]))
    uvicorn.run(app, host='127.0.0.1', port=int(sys.argv[1]), log_level='warning')
