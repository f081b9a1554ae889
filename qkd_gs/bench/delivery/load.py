"""Load on key management entities: many pairs of applications that ask for keys over connections that stay open."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import ssl
from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

_OPENED_AT_ONCE = 16  # handshakes


@dataclass(frozen=True)
class Access:
    """Connection of the applications of one station to its KME."""

    host: str
    port: int
    context: ssl.SSLContext


@dataclass
class LoadRecord:
    """Results as the applications saw them.

    Attributes
    ----------
    latencies_s : dict
        Of each answered request, by method.
    statuses : Counter
        HTTP status of each answer.
    broken : int
        Requests whose connection was broken off on purpose before the answer.
    failed : int
        Requests whose connection broke otherwise.
    keys, fetched : dict
        Digest of each key by its ID, as the master and the slave got it.
    repeated : int
        Keys whose ID or bits had come before.
    """

    latencies_s: dict[str, list[float]] = field(default_factory=lambda: {'enc_keys': [], 'dec_keys': []})
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    failed: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, str] = field(default_factory=dict)
    repeated: int = 0

    def figures(self, seconds: float) -> dict[str, float | int]:
        """Requests a second, latencies, and keys that are not as they should be."""
        every = np.array([*self.latencies_s['enc_keys'], *self.latencies_s['dec_keys']])
        at_50, at_95, at_99 = np.percentile(every, (50, 95, 99)) if len(every) else (np.nan,) * 3
        return {
            'seconds': round(seconds, 1),
            'requests_per_s': round(len(every) / seconds, 1),
            'latency_50_ms': round(1e3 * float(at_50), 1),
            'latency_95_ms': round(1e3 * float(at_95), 1),
            'latency_99_ms': round(1e3 * float(at_99), 1),
            'latency_most_ms': round(1e3 * float(every.max()), 1) if len(every) else np.nan,
            'keys': len(self.keys),
            'fetched': len(self.fetched),
            'different_at_the_slave': sum(self.keys[one] != digest for one, digest in self.fetched.items()),
            'given_twice': self.repeated,
            'answers_other_than_200': sum(count for status, count in self.statuses.items() if status != 200),
            'broken_on_purpose': self.broken,
            'failed': self.failed,
        }


class Connection:
    """An HTTP/1.1 connection that stays open."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        """Connect, if it is not connected."""
        if self._streams is None:
            where = self._access
            self._streams = await asyncio.open_connection(where.host, where.port, ssl=where.context)

    def break_off(self) -> None:
        """Drop the connection without a farewell."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def ask(self, path: str, body: bytes, answered: bool) -> tuple[int, bytes]:
        """Status and content of the answer to a POST; status 0 if the connection is dropped instead of waiting."""
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        head = f'POST {path} HTTP/1.1\r\nHost: {self._access.host}\r\nContent-Type: application/json\r\n'
        writer.write(f'{head}Content-Length: {len(body)}\r\n\r\n'.encode() + body)
        await writer.drain()
        if not answered:
            self.break_off()
            return 0, b''
        first, *lines = (await reader.readuntil(b'\r\n\r\n')).decode('latin-1').split('\r\n')
        length = next((int(line.split(':')[1]) for line in lines if line.lower().startswith('content-length:')), 0)
        return int(first.split()[1]), await reader.readexactly(length)


class Pair:
    """A master SAE and a slave SAE that get keys one after the other.

    Parameters
    ----------
    names : (str, str)
        SAE IDs of master and slave.
    access : (Access, Access)
        Of both.
    base : str
        Path before the SAE ID.
    """

    def __init__(self, names: tuple[str, str], access: tuple[Access, Access], base: str = '/api/v1/keys/') -> None:
        self._names, self._base = names, base
        self._master, self._slave = Connection(access[0]), Connection(access[1])

    async def open(self, gate: asyncio.Semaphore) -> None:
        """Connect both."""
        async with gate:
            await self._master.open()
            await self._slave.open()

    async def run(self, record: LoadRecord, until_s: float, pause_s: float, broken: float, rng: random.Random) -> None:
        """Ask until a time of the monotonic clock, with pauses of this mean, and break a share of the connections."""
        await asyncio.sleep(rng.uniform(0, 2 * pause_s))
        master, slave = self._names
        while perf_counter() < until_s:
            content = await self._ask(record, 'enc_keys', slave, b'{"number":1,"size":256}', rng.random() >= broken)
            if content is not None:
                (one,) = json.loads(content)['keys']
                digest = hashlib.sha256(one['key'].encode()).hexdigest()
                record.repeated += one['key_ID'] in record.keys
                record.keys[one['key_ID']] = digest
                body = json.dumps({'key_IDs': [{'key_ID': one['key_ID']}]}).encode()
                content = await self._ask(record, 'dec_keys', master, body, rng.random() >= broken)
                if content is not None:
                    (got,) = json.loads(content)['keys']
                    record.fetched[got['key_ID']] = hashlib.sha256(got['key'].encode()).hexdigest()
            if pause_s:
                await asyncio.sleep(rng.expovariate(1 / pause_s))

    def close(self) -> None:
        """Drop both connections."""
        self._master.break_off()
        self._slave.break_off()

    async def _ask(self, record: LoadRecord, method: str, partner: str, body: bytes, answered: bool) -> bytes | None:
        """Content of a granted request; None if it was not answered or not granted."""
        connection = self._master if method == 'enc_keys' else self._slave
        began_s = perf_counter()
        try:
            status, content = await connection.ask(f'{self._base}{partner}/{method}', body, answered)
        except (OSError, asyncio.IncompleteReadError):
            connection.break_off()
            record.failed += 1
            return None
        if not answered:
            record.broken += 1
            return None
        record.latencies_s[method].append(perf_counter() - began_s)
        record.statuses[status] += 1
        return content if status == 200 else None


async def load(pairs: list[Pair], seconds: float, rate: float | None, broken: float, seed: int) -> LoadRecord:
    """Let all pairs ask for keys.

    Parameters
    ----------
    pairs : list of Pair
    seconds : float
    rate : float, optional
        Requests a second that all together aim at; as fast as they are answered if not given.
    broken : float
        Share of the requests whose connection is broken off.
    seed : int
    """
    gate, rng = asyncio.Semaphore(_OPENED_AT_ONCE), random.Random(seed)
    await asyncio.gather(*(pair.open(gate) for pair in pairs))
    record, until_s = LoadRecord(), perf_counter() + seconds
    pause_s = 2 * len(pairs) / rate if rate else 0.0
    await asyncio.gather(*(pair.run(record, until_s, pause_s, broken, random.Random(rng.random())) for pair in pairs))
    digests = Counter(record.keys.values())
    record.repeated += sum(count - 1 for count in digests.values())
    for pair in pairs:
        pair.close()
    return record
