"""Two stations that share a key, whose processes can be killed at any statement and whose messages can be lost."""

import os
import pickle
import signal
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime

import numpy as np

from qkd_gs.keys import root_file
from qkd_gs.keys.delivery.holder import Fetched, FetchRequest, Holder
from qkd_gs.keys.delivery.issuer import Issued, Issuer, IssueRequest
from qkd_gs.keys.delivery.ledger import Ledger
from qkd_gs.keys.delivery.offers import OfferMessage, OfferReply, PeerFault
from qkd_gs.keys.delivery.users import Share
from qkd_gs.keys.entries import Side
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.sifting.packed_bits import PackedBits

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = {'X': Side.GROUND, 'Y': Side.SATELLITE}


def in_a_process(action, kill_at=None):
    """Result of `action` in a child; None if it was killed at step `kill_at`: a statement, or a write of the root."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            with _killed_at(kill_at):
                result = action()
            with os.fdopen(writing, 'wb') as pipe:
                pickle.dump(result, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, 'rb') as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0, 'the action failed'
    return pickle.loads(said)


_steps = {'left': None}


def _step(*_):
    if _steps['left'] is not None:
        if _steps['left'] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        _steps['left'] -= 1


@contextmanager
def _killed_at(kill_at):
    _steps['left'] = kill_at
    originals = {name: getattr(root_file, name) for name in ('write_secret', 'overwrite')}

    def in_steps(write):
        def write_in_steps(*args, **options):
            _step()
            write(*args, **options)
            _step()

        return write_in_steps

    for name, write in originals.items():
        setattr(root_file, name, in_steps(write))
    yield
    _steps['left'] = None
    for name, write in originals.items():
        setattr(root_file, name, write)


class Stations:
    """Stores of both ends with the same keys, in a folder."""

    def __init__(self, folder, lengths=(4000, 1600), seed=1):
        self.folder = folder
        rng = np.random.default_rng(seed)
        self.bits = {f'k{number}': rng.integers(0, 2, length).astype(np.uint8) for number, length in enumerate(lengths)}
        for name in NAMES:
            with self.store(name) as store:
                for key_id, bits in self.bits.items():
                    store.put(f's-{key_id}', key_id, PackedBits.of(bits), 1e-10, {})
                    store.confirm(f's-{key_id}', key_id)
                Ledger(store)

    def path(self, name):
        return self.folder / f'{name}.db'

    def store(self, name):
        return KeyStore(self.path(name), bytes(range(32)), simulated=False, side=NAMES[name])

    def enc(self, name, number, size, *, kill_at=None, peer_kill_at=None, lose=None, share=None, now=NOW):
        """Keys by ID that the master SAE at `name` gets; {} if none; None if the process was killed."""
        other = 'Y' if name == 'X' else 'X'

        def issue():
            with self.store(name) as store:
                store.database.sql.set_trace_callback(_step)
                peer = RemotePeer(self, name, other, peer_kill_at, lose)
                issuer = Issuer(Ledger(store), other, peer, nullcontext, 0, simulated=False)
                request = IssueRequest(f'sae-{name}', (f'sae-{other}',), number, size, share or Share())
                (outcome,) = issuer.issue([request], now)
                if not isinstance(outcome, Issued):
                    return {}
                return {one: (piece.name, piece.material.reveal()) for one, piece in outcome.pieces.items()}

        return in_a_process(issue, kill_at)

    def dec(self, name, key_ids, *, kill_at=None, repeat_s=0.0, now=NOW, slave=None):
        """Keys by ID that the slave SAE at `name` gets; {} if none; None if the process was killed."""
        other = 'Y' if name == 'X' else 'X'

        def fetch():
            with self.store(name) as store:
                store.database.sql.set_trace_callback(_step)
                holder = Holder(Ledger(store), simulated=False, repeat_s=repeat_s)
                request = FetchRequest(slave or f'sae-{name}', f'sae-{other}', tuple(key_ids))
                (outcome,) = holder.fetch([request], now)
                if not isinstance(outcome, Fetched):
                    return {}
                return {one: secret.reveal() for one, secret in outcome.keys.items()}

        return in_a_process(fetch, kill_at)

    def expected(self, name):
        """Bytes of the piece of this name."""
        key_id, first, bits = name.rsplit('-', 2)
        return np.packbits(self.bits[key_id][int(first) : int(first) + int(bits)]).tobytes()


class RemotePeer:
    """The other KME in a process of its own; requests or answers may get lost."""

    def __init__(self, stations, me, other, kill_at, lose):
        self._stations, self._me, self._other = stations, me, other
        self._kill_at, self._lose = kill_at, lose

    def offer(self, message):
        text = message.model_dump_json()

        def hold():
            with self._stations.store(self._other) as store:
                store.database.sql.set_trace_callback(_step)
                holder = Holder(Ledger(store), simulated=False)
                reply = holder.hold(self._me, OfferMessage.model_validate_json(text), lambda _: True, NOW)
                return reply.model_dump_json()

        lose = self._lose if message.offers else None
        if lose == 'request':
            raise PeerFault('lost')
        said = in_a_process(hold, self._kill_at if message.offers else None)
        if said is None or lose == 'reply':
            raise PeerFault('lost')
        return OfferReply.model_validate_json(said)
