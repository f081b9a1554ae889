"""Short runs of the protocol with durable records on both sides, and somebody inside the link who may do anything.

The key length is a stub (what was sifted less what was disclosed), so that little light makes a key.
"""

import os
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from protocol_twin import EPOCH_NS, NOW_NS, TERMS, KeyedTransmitter, receive

from qkd_gs.keys.entries import KeyStateName, Side
from qkd_gs.keys.preshared import SLOT_BYTES, PreSharedKey
from qkd_gs.keys.refilled import RefilledKey
from qkd_gs.keys.store import KeyStore
from qkd_gs.qkd.finite_key.key_length import KeyLength
from qkd_gs.qkd.link.auth import Authenticator
from qkd_gs.qkd.link.authenticated_channel import SECRET_BITS
from qkd_gs.qkd.link.channel import Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.streams import channel_pair
from qkd_gs.qkd.protocol import ground_join, ground_side, satellite_side
from qkd_gs.qkd.protocol.confirmation import confirm_again
from qkd_gs.qkd.protocol.detection_log import DetectionLog
from qkd_gs.qkd.protocol.exchange_cascade import unpack_queries
from qkd_gs.qkd.protocol.ground_side import GroundSession
from qkd_gs.qkd.protocol.satellite_side import serve

SECONDS = 0.05
SESSIONS = ('a' * 32, 'b' * 32)
FOLLOWED = (Kind.LOG_HEAD, Kind.LOG_BLOCK, Kind.SIFT_ANSWER, Kind.AMPLIFIED, Kind.CONFIRMED)  # of the same side
HASH_BITS = TERMS.verification_bits + 1
TRANSMITTER = KeyedTransmitter()
MORTAL = (
    'put', 'confirm', 'book_pulses', 'public_seed', 'record_leakage', 'drop_refills', 'refill', 'take_kept',
)  # fmt: skip
PADS = {}  # of the sides at work: pads that were used, and the tags that they made


def light_of(session):
    """Detections of a session, and the interval of its log, UTC ns; the pulses of two sessions differ."""
    number = SESSIONS.index(session)
    first = round((0.1 + number) * 1e8)
    light = receive(TRANSMITTER, np.random.default_rng(number), SECONDS, 1e-2, noise_hz=10.0, first=first)
    return light, (EPOCH_NS + 10 * first - 10**7, EPOCH_NS + 10 * first + 6 * 10**7)


LIGHT = {session: light_of(session) for session in SESSIONS}


def stub_length(terms, counts, sizes, disclosed_bits, earlier_bits):
    """Sifted bits less everything that was disclosed or is used for tags."""
    left = sum(sizes) - disclosed_bits - HASH_BITS * len(sizes) - SECRET_BITS
    return KeyLength(max(0, left), '' if left > 0 else 'nothing is left', {}, {'stub': 1e-10}, {'secret_bits': left})


@dataclass(frozen=True)
class Meddling:
    """What somebody does to message `number` of a direction; an empty `what` does nothing."""

    what: str = ''
    to_satellite: bool = True
    number: int = 0


class Crash(Exception):
    """The process of a side dies."""


@dataclass(frozen=True)
class Dying:
    """A side dies at a call of its record, before or after it took effect."""

    side: Side | None = None
    call: int = 0
    after: bool = False


class MortalRecord:
    """A record whose process dies at a call."""

    def __init__(self, store, calls, after):
        self._store, self._left, self._after = store, calls, after

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in MORTAL:
            return real

        def call(*arguments, **named):
            self._left -= 1
            if self._left == -1 and not self._after:
                raise Crash
            result = real(*arguments, **named)
            if self._left == -1:
                raise Crash
            return result

        return call


class Inside:
    """The ground's end of a link with somebody in it, who also keeps what was said for later."""

    def __init__(self, channel, meddlings, kept):
        self._channel, self._meddlings, self._kept = channel, meddlings, kept
        self._delayed = kept.pop('delayed', None)  # of the run before
        self._counts = Counter()
        self._held, self._late, self._cut = None, [], False
        self.said, self.talk = [], []

    def send(self, message):
        self.said.append(message)
        self.talk.append(message)
        for one in self._passed(message, True):
            self._channel.send(one)

    def receive(self):
        if self._held is not None:  # waits for a message that nobody sends
            self._lost()
        while not self._late:
            if self._cut:
                self._lost()
            self._late += self._passed(self._channel.receive(), False)
        self.talk.append(self._late[0])
        return self._late.pop(0)

    def close(self):
        self._channel.close()

    def _lost(self):
        self.close()
        raise ProtocolError('silent', 'nothing was received')

    def _passed(self, message, to_satellite):
        number = self._counts[to_satellite]
        self._counts[to_satellite] += 1
        held, self._held = self._held, None
        before = self._kept.setdefault((message.kind, to_satellite), message)
        here = (to_satellite, number)
        what = next((one.what for one in self._meddlings if here == (one.to_satellite, one.number)), '')
        if what == 'hold' and not to_satellite and message.kind not in FOLLOWED:
            what = 'lose'
        passed = [message]
        if self._delayed is not None and self._delayed[0] == here:
            passed = [self._delayed[1], message]
        if what in ('lose', 'delay'):
            if what == 'delay':
                self._kept['delayed'] = here, message
            self._cut, passed = True, []
        elif what == 'repeat':
            passed = [message, message]
        elif what == 'alter':
            payload = bytearray(message.payload or b'x')
            payload[-1 - number % len(payload)] ^= 4
            passed = [Message(message.kind, bytes(payload))]
        elif what == 'replay':
            passed = [before]
        elif what == 'hold':
            self._held, passed = message, []
        return passed + ([held] if held else [])


@dataclass
class Both:
    """Both sides, as they are on their disks, and what was seen of them."""

    terms = TERMS  # of every run

    folder: object
    kept: dict = field(default_factory=dict)
    disclosed: dict = field(default_factory=Counter)  # by side and session: parities and hashes, the same ones once
    parities: dict = field(default_factory=dict)  # by side and session: bits by all that was said before
    hashes: dict = field(default_factory=Counter)
    died: set = field(default_factory=set)  # sessions in which a side has died: more may be charged
    answers: dict = field(default_factory=dict)
    keys: dict = field(default_factory=dict)  # of the ground, by session
    runs: int = 0

    def __post_init__(self):
        PADS.clear()
        material = os.urandom(60 * SLOT_BYTES)
        for side in Side:
            PreSharedKey.create(self.folder / f'{side}.key', material)

    def store(self, side):
        return KeyStore(self.folder / f'{side}.db', bytes(32), simulated=False, side=side)

    def pre_shared(self, side, store):
        return RefilledKey(PreSharedKey(self.folder / f'{side}.key'), store)

    def run(self, session, *meddlings, dying=Dying()):
        """Process a session once, as the pipeline does; what ground and satellite said."""
        ground_end, satellite_end = channel_pair(timeout_s=120.0)
        inside = Inside(ground_end, meddlings, self.kept)
        heard = Listening(satellite_end)
        thread = threading.Thread(target=self._satellite, args=(heard, dying))
        thread.start()
        made = None
        try:
            made = self._ground(inside, session, dying)
        except (ProtocolError, Crash):
            pass
        except Exception as fault:  # a refusal is an outcome, anything else is not
            if type(fault).__name__ != 'StationError':
                raise
        finally:
            inside.close()
            thread.join()
        if dying.side:
            self.died.add(session)
        self._note(session, inside, heard)
        if made:
            self._check_length(session, made)
        return inside.said, heard.said

    def _check_length(self, session, made):
        """All that both sides ever said of the key is subtracted: what they said twice, and both in this run, once."""
        this_run = made.disclosed_bits + HASH_BITS * made.blocks
        disclosed = sum(self.disclosed[side, session] for side in Side) - this_run
        left = made.sifted_bits - SECRET_BITS - disclosed
        assert made.secret_bits <= max(0, left), 'disclosed bits were not charged'
        if session not in self.died and not made.failed_blocks:
            assert made.secret_bits == max(0, left), 'bits that were disclosed once are charged twice'

    def _ground(self, channel, session, dying):
        (detections, locked), log_ns = LIGHT[session]
        with self.store(Side.GROUND) as kept:
            store = MortalRecord(kept, dying.call, dying.after) if dying.side is Side.GROUND else kept
            pre_shared, stored = self.pre_shared(Side.GROUND, store), store.entry(session)
            if stored is not None:
                if stored.state is KeyStateName.PENDING:
                    confirm_again(channel, self.terms, session, stored.key_id, pre_shared)
                    store.confirm(session, stored.key_id)
                return None
            self.runs += 1
            drawn = np.random.default_rng(self.runs).bytes
            run = GroundSession(channel, self.terms, session, pre_shared, store, random_bytes=drawn)
            run.open()
            run.request_beacon_log(*log_ns)
            made = run.make_key(DetectionLog.of(detections, locked), locked)
            store.put(session, made.key_id, made.key, made.epsilon, {}, made.refill)
            with suppress(ProtocolError):  # the key is there
                run.confirm()
                store.confirm(session, made.key_id)
            return made

    def _satellite(self, channel, dying):
        with self.store(Side.SATELLITE) as kept:
            store = MortalRecord(kept, dying.call, dying.after) if dying.side is Side.SATELLITE else kept
            try:
                serve(channel, TRANSMITTER, self.terms, self.pre_shared(Side.SATELLITE, store), store, lambda: NOW_NS)
            except Exception as fault:  # noqa: BLE001  what it leaves behind is looked at
                channel.fault = fault
                channel.close()

    def _note(self, session, ground, satellite):
        """Count what each side said, whether it arrived or not; the same after the same once."""
        for side, end, kind in (
            (Side.GROUND, ground, Kind.PARITY_REQUEST),
            (Side.SATELLITE, satellite, Kind.PARITY_ANSWER),
        ):
            parities, asked, so_far = self.parities.setdefault((side, session), {}), 0, ()
            for message in end.talk:
                if message.kind is Kind.PARITY_REQUEST:
                    with suppress(ProtocolError):
                        asked = len(unpack_queries(message.payload)[1])
                if message.kind in (Kind.ERROR_COUNTS, Kind.JOIN, Kind.PARITY_REQUEST, Kind.PARITY_ANSWER):
                    so_far += ((message.kind, message.payload),)
                if message.kind is kind:
                    parities[so_far] = asked
        kinds = [m.kind for m in ground.said]
        blocks = sum(
            len(m.payload) * 8 // self.terms.verification_bits for m in satellite.said if m.kind is Kind.VERIFY_ANSWER
        )
        self.hashes[Side.GROUND, session] += (Kind.VERIFY_REQUEST in kinds) * HASH_BITS
        self.hashes[Side.SATELLITE, session] += blocks * HASH_BITS
        for side in Side:
            parities = sum(self.parities[side, session].values())
            self.disclosed[side, session] = parities + self.hashes[side, session]
        said = [m.payload for m in satellite.said if m.kind is Kind.SIFT_ANSWER]
        if said:
            assert self.answers.setdefault(session, said) == said, 'other pulses were answered'

    def check(self):
        """Both sides hold the same key or none, for good; nothing was disclosed unbooked, and no pad was used twice."""
        with self.store(Side.GROUND) as ground, self.store(Side.SATELLITE) as satellite:
            for session in SESSIONS:
                mine, theirs = ground.entry(session), satellite.entry(session)
                if mine is not None:
                    name = self.keys.setdefault(session, mine.key_id)
                    assert name == mine.key_id, 'a repeated run made another key'
                assert (session in self.keys) <= (mine is not None), 'a key has gone'
                if mine is not None and mine.state is not KeyStateName.PENDING:
                    assert theirs is not None
                    assert theirs.state is not KeyStateName.PENDING
                if theirs is not None and theirs.state is not KeyStateName.PENDING:
                    assert mine is not None
                if mine is not None and theirs is not None:
                    assert (mine.key_id, mine.length_bits) == (theirs.key_id, theirs.length_bits)
                    given = (mine.send, mine.receive, theirs.send, theirs.receive)
                    assert bits_of(ground, session, given) == bits_of(satellite, session, given)
                for side, store in ((Side.GROUND, ground), (Side.SATELLITE, satellite)):
                    booked, disclosed = store.disclosed_before(session), self.disclosed[side, session]
                    assert booked >= disclosed, 'disclosed unbooked'
                    assert session in self.died or booked == disclosed, 'charged more than once'

    def exchange(self):
        """Each side sends with its next bits, and the other finds the same."""
        with self.store(Side.GROUND) as ground, self.store(Side.SATELLITE) as satellite:
            sent = []
            for sender, receiver in ((ground, satellite), (satellite, ground)):
                confirmed = [one for one in sender.entries() if one.state is KeyStateName.CONFIRMED]
                if not any(one.send.left_bits >= 8 for one in confirmed):
                    continue
                piece = sender.take(8)
                sent.append(piece.name)
                theirs = [one.state for one in receiver.entries() if one.key_id == piece.key_id]
                if theirs == [KeyStateName.CONFIRMED]:
                    assert receiver.take_named(piece.name).material.reveal() == piece.material.reveal()
            assert len(set(sent)) == len(sent)


def bits_of(store, session, given):
    """Bits of a key, those of some partitions that were handed out left out; empty if there are none any more."""
    with store._database.change():
        row = store._database.rows('WHERE session_id = ?', session)[0]
        if row.state not in ('pending', 'confirmed'):
            return b''
        bits = np.unpackbits(np.frombuffer(store._database.read(row, 0, -(-row.length_bits // 8)), np.uint8))
    for part in given:
        bits[part.start : part.next_bit] = 0
    return bits.tobytes()


class Listening:
    """The satellite's end; keeps what it said."""

    def __init__(self, channel):
        self._channel = channel
        self.said, self.talk, self.fault = [], [], None

    def send(self, message):
        self.said.append(message)
        self.talk.append(message)
        self._channel.send(message)

    def receive(self):
        self.talk.append(self._channel.receive())
        return self.talk[-1]

    def close(self):
        self._channel.close()


def watch_pads(monkeypatch):
    """Fail when a pad is used for two different tags, by either side or in another run."""
    real = Authenticator.tag

    def tag(self, number, transcript):
        made = real(self, number, transcript)
        pad = self._point, self._pads[number]
        assert PADS.setdefault(pad, made) == made, 'a pad was used twice'
        return made

    monkeypatch.setattr(Authenticator, 'tag', tag)


def use_stubs(monkeypatch):
    """Let little light make a key."""
    for side in (ground_side, satellite_side):
        monkeypatch.setattr(side, 'certified_length', stub_length)
    for side in (ground_side, ground_join):
        monkeypatch.setattr(side, 'reason_to_abort', lambda *arguments: '')
