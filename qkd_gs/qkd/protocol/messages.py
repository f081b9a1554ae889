"""Contents of the messages: small ones as JSON with named fields, long lists in compact codes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Annotated

import numpy as np
from pydantic import Field

from qkd_gs.arrays import BoolArray, ByteArray, IntArray
from qkd_gs.qkd.finite_key.counts import MOST_PARTS, MOST_PASSES, Receiver
from qkd_gs.qkd.link.codes import (
    pack_bits,
    pack_integers,
    pack_symbols,
    pack_train,
    unpack_bits,
    unpack_integers,
    unpack_symbols,
    unpack_train,
)
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.sifting.states import BeaconLog, Intensity, PublicLog, Transmitter
from qkd_gs.qkd.sifting.terms import Terms
from qkd_gs.settings.loader import Section
from qkd_gs.settings.public_pulses import PublicPulses
from qkd_gs.timing.public_pulses import disclosed_in
from qkd_gs.timing.pulse_times import PulseTimes
from qkd_gs.timing.spans import MAX_PULSE, PulseSpan

LOG_BLOCK = 1 << 16  # pulses in a message: over this time the satellite's clock is still well fitted by a line
DETECTION_BLOCK = 1 << 18
MAX_LOG = 1 << 26  # pulses
MAX_LOG_NS = 6000 * 10**9  # 100 minutes, longer than a low Earth orbit
MAX_DETECTIONS = 1 << 30
_SIZES = struct.Struct('>IIII')
_DETECTIONS = struct.Struct('>QII')  # first pulse, number of detections, bytes of their coded gaps
_LARGEST = 2**63 - 1
_Slot = Annotated[str, Field(pattern='^[0-9a-z-]{1,80}$')]
_Session = Annotated[str, Field(pattern='^[0-9a-f]{32}$')]
_Count = Annotated[int, Field(ge=0, le=MAX_DETECTIONS)]


class Hello(Section):
    """Ground to satellite: session, terms, unused pre-shared slots, and bits that the ground disclosed earlier."""

    session_id: _Session
    terms: Terms
    pre_shared_slots: list[_Slot] = Field(min_length=1, max_length=16)
    disclosed_before: int = Field(ge=0, le=_LARGEST)
    stored_key: str = Field(
        default='',
        pattern='^([0-9a-f]{32})?$',
        description='key of an earlier run that is to be confirmed',
    )
    joins: list[_Session] = Field(default=[], max_length=MOST_PASSES, description='sessions whose kept bits are joined')
    parts: int = Field(default=1, ge=1, le=MOST_PARTS, description='parts in which the session may be sifted')


class Welcome(Section):
    """Satellite to ground: terms accepted; pre-shared slot to use, and bits that this side disclosed earlier."""

    pre_shared_slot: _Slot
    second_slot: _Slot | None = Field(default=None, description='of a run in parts, which has more tags')
    disclosed_before: int = Field(ge=0, le=_LARGEST)
    repeatable: int = Field(default=0, ge=0, le=_LARGEST, description='those that cost nothing if they are said again')

    @property
    def slots(self) -> list[str]:
        """Slots of the run, in the order in which their bits are used."""
        return [slot for slot in (self.pre_shared_slot, self.second_slot) if slot is not None]


class LogRequest(Section):
    """Ground to satellite: interval of UTC of the requested beacon log."""

    first_utc_ns: int = Field(ge=0, le=_LARGEST)
    last_utc_ns: int = Field(ge=0, le=_LARGEST)


class LogHead(Section):
    """Satellite to ground: header of the log that follows in blocks of `LOG_BLOCK`.

    Without a beacon, `first_index` is the first disclosed pulse and `pulses` the number of disclosed ones; a block of
    them is a message.
    """

    first_index: int = Field(ge=0, le=_LARGEST)
    pulses: int = Field(ge=0, le=MAX_LOG)
    epoch_utc_ns: int = Field(ge=0, le=_LARGEST)


class SiftHead(Section):
    """Ground to satellite: locked time and number of detections that follow, in blocks of at most `DETECTION_BLOCK`."""

    locked: list[PulseSpan] = Field(min_length=1, max_length=10_000)
    detections: _Count
    expected: int | None = Field(
        default=None, ge=1, le=10**12, description='sifted bits of the whole pass; in the first of several parts'
    )

    def payload(self) -> bytes:
        """Payload; that of a session sifted as a whole is as it always was, so a repeated run says the same."""
        return self.model_dump_json(exclude_none=True).encode()


class Correct(Section):
    """Ground to satellite: start of the reconciliation of a part behind which others follow."""

    seed: int = Field(ge=0, lt=2**63, description='of the public permutations')


class ErrorCounts(Section):
    """Ground to satellite: errors among the disclosed bits, and start of reconciliation.

    `errors` holds the errors of decoy and vacuum states for each basis.
    """

    receiver: Receiver | None = Field(default=None, description='flaws of the receiver; none: taken for ideal')
    errors: tuple[tuple[_Count, _Count], tuple[_Count, _Count]]
    qber: float = Field(ge=0, le=0.5, description='estimated error rate of the signal bits')
    reason: str = Field(max_length=300, description='reason to end the run without a key; empty if it goes on')
    seed: int = Field(ge=0, lt=2**63, description='of the public permutations')
    keep: bool = Field(default=False, description='both sides keep their sifted bits, to be joined with other passes')


class Repeated(Section):
    """Either side: bits of earlier runs that it has said again in this one, so that they are charged once."""

    bits: int = Field(ge=0, le=_LARGEST)


class JoinRequest(Section):
    """Ground to satellite: kept passes that are made into one key, and start of reconciliation."""

    digests: list[Annotated[str, Field(pattern='^[0-9a-f]{64}$')]] = Field(description='`KeptPass.digest` of each')
    choices: int = Field(ge=1, le=MOST_PASSES, description='passes announced within the time for which bits are kept')
    qber: float = Field(ge=0, le=0.5, description='estimated error rate of the signal bits')
    seed: int = Field(ge=0, lt=2**63, description='of the public permutations')


class KeyId(Section):
    """Name of the key that a side made."""

    key_id: str = Field(pattern='^[0-9a-f]{32}$')


def log_blocks(log: BeaconLog, wait_until: Callable[[int], None] = lambda _: None) -> Iterator[bytes]:
    """Payloads that carry a beacon log; each after `wait_until` has returned from the UTC, ns, of its last pulse."""
    for start in range(0, len(log.time_ps), LOG_BLOCK):
        times_ps = log.time_ps[start : start + LOG_BLOCK]
        wait_until(log.epoch_utc_ns + int(times_ps[-1]) // 1000)
        yield pack_train(times_ps)


def read_log(head: LogHead, blocks: Iterator[bytes], beacon_period_ps: float, spool: Spool) -> BeaconLog:
    """Beacon log from its payloads, which are checked and then kept in `spool`.

    Raises
    ------
    ProtocolError
        The length is wrong, or the times do not match a beacon of this period.
    """
    records, starts_ps, last_ps = list[int](), list[int](), np.empty(0, np.int64)
    for done in range(0, head.pulses, LOG_BLOCK):
        payload = next(blocks, b'')
        part = unpack_train(payload)
        due = min(LOG_BLOCK, head.pulses - done)
        if len(part) != due:
            raise ProtocolError('malformed', f'a block of the beacon log has {len(part)} pulses instead of {due}')
        steps = np.diff(part, prepend=last_ps)
        if not (np.abs(steps - beacon_period_ps) < 0.01 * beacon_period_ps).all():
            raise ProtocolError('malformed', f'the beacon log is not a train of pulses {beacon_period_ps:.0f} ps apart')
        records.append(spool.add(payload))
        starts_ps.append(int(part[0]))
        last_ps = part[-1:]
    times = PulseTimes(LOG_BLOCK, starts_ps, head.pulses, lambda k: unpack_train(spool.record(records[k])))
    return BeaconLog(head.first_index, times, head.epoch_utc_ns)


def public_blocks(rule: PublicPulses, transmitter: Transmitter, starts: IntArray) -> Iterator[bytes]:
    """Payloads that carry the intensities of disclosed pulses."""
    for start in starts.tolist():
        states = transmitter.states(np.arange(start, start + rule.block, dtype=np.int64))
        yield pack_symbols(states.intensity)


def read_public_log(head: LogHead, blocks: Iterator[bytes], rule: PublicPulses) -> PublicLog:
    """Disclosed pulses from their payloads.

    Raises
    ------
    ProtocolError
        Not whole blocks of the agreed rule, or an unknown intensity.
    """
    count, rest = divmod(head.pulses, rule.block)
    group = rule.block * rule.every * rule.disclosed
    starts = disclosed_in(rule, head.first_index, head.first_index + (count + 1) * group)[:count]
    if rest or len(starts) != count or (count and starts[0] != head.first_index):
        raise ProtocolError('malformed', 'the disclosed pulses are not those of the agreed rule')
    intensity = np.empty((count, rule.block), np.uint8)
    for row in intensity:
        row[:] = unpack_symbols(next(blocks, b''), rule.block)
    if count and intensity.max() > max(Intensity):
        raise ProtocolError('malformed', 'a disclosed pulse has an unknown intensity')
    return PublicLog(starts, intensity, head.epoch_utc_ns)


def detection_block(pulse: IntArray, basis: ByteArray) -> bytes:
    """Payload that announces 1 to `DETECTION_BLOCK` detections: pulse numbers and bases, without bits."""
    packed = pack_integers(np.diff(pulse))
    return _DETECTIONS.pack(int(pulse[0]), len(pulse), len(packed)) + packed + pack_bits(basis)


def read_detection_block(payload: bytes) -> tuple[IntArray, ByteArray]:
    """Pulse numbers and bases from `detection_block`.

    Raises
    ------
    ProtocolError
        Malformed payload, or pulse numbers that do not ascend.
    """
    if len(payload) < _DETECTIONS.size:
        raise ProtocolError('malformed', 'a block of detections has no header')
    first, count, size = _DETECTIONS.unpack(payload[: _DETECTIONS.size])
    end = _DETECTIONS.size + size
    gap = unpack_integers(payload[_DETECTIONS.size : end])
    if not 1 <= count <= DETECTION_BLOCK or len(gap) != count - 1:
        raise ProtocolError('malformed', f'a block has {len(gap) + 1} detections instead of {count}')
    if (gap < 1).any() or first + gap.astype(np.float64).sum() > MAX_PULSE:
        raise ProtocolError('malformed', 'the pulse numbers of the detections are too large, or not ascending')
    pulse = np.empty(count, np.int64)
    pulse[0] = first
    np.cumsum(gap, out=pulse[1:])
    pulse[1:] += first
    return pulse, unpack_bits(payload[end:], count)


def read_detections(count: int, blocks: Iterator[bytes]) -> Iterator[tuple[IntArray, ByteArray]]:
    """Pulse numbers and bases from their payloads, block by block, until there are `count` of them.

    Raises
    ------
    ProtocolError
        The detections are not in order, or more than announced.
    """
    last = -1
    while count > 0:
        pulse, basis = read_detection_block(next(blocks))
        count -= len(pulse)
        if count < 0:
            raise ProtocolError('malformed', 'more detections were received than announced')
        if pulse[0] <= last:
            raise ProtocolError('malformed', 'the pulse numbers of the detections are not ascending')
        last = int(pulse[-1])
        yield pulse, basis


def pack_sift(match: ByteArray, intensity: ByteArray, bit: ByteArray) -> bytes:
    """Payload of the satellite's answer to a block of detections.

    It has for each detection whether the bases match; for matching bases the intensity; and for decoy and vacuum
    states the bit (bits of the signal state are the key).
    """
    kept = match.astype(np.bool_)
    sifted = intensity[kept]
    opened = bit[kept][sifted != Intensity.SIGNAL]
    parts = pack_bits(match), pack_symbols(sifted), pack_bits(opened)
    return _SIZES.pack(len(parts[0]), len(parts[1]), int(kept.sum()), len(opened)) + b''.join(parts)


def read_sift(payload: bytes, count: int) -> tuple[BoolArray, ByteArray, ByteArray]:
    """Basis matches of all detections, intensities of the matching ones, and bits of their decoy and vacuum states.

    Raises
    ------
    ProtocolError
        The lengths contradict each other, or an intensity is unknown.
    """
    match_part, symbol_part, bit_part = _parts(payload, 2)
    _, _, kept, opened = _SIZES.unpack(payload[: _SIZES.size])
    match = unpack_bits(match_part, count).astype(np.bool_)
    if kept != int(match.sum()):
        raise ProtocolError('malformed', 'the number of matching bases is inconsistent')
    intensity = unpack_symbols(symbol_part, kept)
    if (intensity > max(Intensity)).any() or opened != int((intensity != Intensity.SIGNAL).sum()):
        raise ProtocolError('malformed', 'the intensities are inconsistent')
    return match, intensity, unpack_bits(bit_part, opened)


def pack_digests(digests: list[bytes]) -> bytes:
    """Payload of the digests of all blocks, concatenated."""
    return b''.join(digests)


def read_digests(payload: bytes, count: int, bits: int) -> list[bytes]:
    """`count` digests of `bits` bits each from `pack_digests`.

    Raises
    ------
    ProtocolError
        The payload has another length.
    """
    size = (bits + 7) // 8
    if len(payload) != count * size:
        raise ProtocolError('malformed', f'{len(payload)} bytes were received for {count} digests of {bits} bits')
    return [payload[start : start + size] for start in range(0, len(payload), size)]


def _parts(payload: bytes, lengths: int) -> list[bytes]:
    """Parts of a payload: the first `lengths` as long as its header says, then the rest."""
    if len(payload) < _SIZES.size:
        raise ProtocolError('malformed', 'a block has no header')
    sizes = _SIZES.unpack(payload[: _SIZES.size])[:lengths]
    pieces, at = [], _SIZES.size
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    if at > len(payload):
        raise ProtocolError('malformed', 'a block is shorter than its header says')
    return [*pieces, payload[at:]]
