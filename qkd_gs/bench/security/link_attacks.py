"""Attacks on the link and on repeated runs, by somebody inside TLS."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.row import Attack, Row
from qkd_gs.bench.security.short_sessions import process, short_session
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.preshared import SLOT_BYTES, PreSharedKey
from qkd_gs.qkd.link.channel import Channel, Kind, Message
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.exchange_cascade import pack_queries, unpack_queries
from qkd_gs.qkd.protocol.session_record import RecordInMemory
from qkd_gs.session.manifest import Manifest, update_manifest

Change = Callable[[Message], list[Message]]
_GREETINGS = 200
_HASH_BITS = 65  # of a block


class Inside:
    """Somebody in the ground's end of the link, who changes what the ground says.

    Attributes
    ----------
    heard : list of Kind
        Kinds of the satellite's messages.
    """

    def __init__(self, channel: Channel, change: Change) -> None:
        self._channel, self._change = channel, change
        self.heard: list[Kind] = []

    def send(self, message: Message) -> None:
        """Send what she makes of a message."""
        for one in self._change(message):
            self._channel.send(one)

    def receive(self) -> Message:
        """Message of the satellite."""
        message = self._channel.receive()
        self.heard.append(message.kind)
        return message

    def close(self) -> None:
        """Close the link."""
        self._channel.close()


def _session(folder: Path) -> tuple[Path, KeyFolder]:
    keys = KeyFolder.create(folder / 'keys')
    short_session(seconds=6.0, before_s=3.0).write(folder / 'session', keys.session_public_key)
    return folder / 'session', keys


def _fault(run: Callable[[], object]) -> str:
    """Fault that a run ends with, or nothing."""
    try:
        run()
    except StationError as error:
        return error.what
    except DeviceFault as fault:
        return str(fault)
    return ''


def _announce_her_own(folder: Path, name: str, eve: str) -> Row:
    """She asks for bases and intensities of pulses of her choice."""
    session, keys = _session(folder)
    asked = np.arange(0, 200_000 * 100, 100)

    def change(message: Message) -> list[Message]:
        if message.kind is Kind.SIFT_HEAD:
            head = messages.SiftHead(locked=[(0, int(asked[-1]))], detections=len(asked))
            return [Message(Kind.SIFT_HEAD, head.model_dump_json().encode())]
        if message.kind is Kind.DETECTIONS:
            return [Message(Kind.DETECTIONS, messages.detection_block(asked, np.zeros(len(asked), np.uint8)))]
        return [message]

    inside: list[Inside] = []

    def wrap(channel: Channel) -> Inside:
        inside.append(Inside(channel, change))
        return inside[0]

    fault = _fault(lambda: process(session, keys, wrap=wrap))
    told = Kind.SIFT_ANSWER in inside[0].heard
    return Row(name, eve if told else 'nothing', None, 0, fault, bool(fault) and not told)


def cut_before(kind: Kind) -> Callable[[Channel], Inside]:
    """Somebody who cuts the link when the ground says a message of this kind."""

    def change(message: Message) -> list[Message]:
        if message.kind is kind:
            raise ProtocolError('truncated', 'cut by the eavesdropper')
        return [message]

    return lambda channel: Inside(channel, change)


def _other_settings(folder: Path, name: str, eve: str) -> Row:
    """After a broken run the settings are changed, so that another key is made of the same pulses."""
    session, keys = _session(folder)
    record = RecordInMemory()
    _fault(lambda: process(session, keys, wrap=cut_before(Kind.AMPLIFY), record=record))

    def hold_off(manifest: Manifest) -> dict[str, object]:
        key = manifest.station.key.model_copy(update={'hold_off_ns': 300.0})
        return {'station': manifest.station.model_copy(update={'key': key}).model_dump()}

    update_manifest(session, hold_off)
    fault = _fault(lambda: process(session, keys, record=record))
    return Row(name, eve, None, 0, fault, 'other settings' in fault)


def _broken_again(folder: Path, name: str, eve: str) -> Row:
    """A run is broken after all parities, and made again: it says the same parities once more, and no others."""
    session, keys = _session(folder)
    record = RecordInMemory()
    _fault(lambda: process(session, keys, wrap=cut_before(Kind.VERIFY_REQUEST), record=record))
    key = process(session, keys, record=record).key
    how = f'the same parities; {key["disclosed_before"]} bits of hashes are charged'
    held = audit_session(session).agrees and key['disclosed_before'] == _HASH_BITS * key['blocks']
    return Row(name, eve, key['qber'], key['secret_bits'], how, held)


def _other_parities(folder: Path, name: str, eve: str) -> Row:
    """She has other parities from the satellite than the ground will ask for again."""
    session, keys = _session(folder)
    record, told = RecordInMemory(), list[int]()

    def change(message: Message) -> list[Message]:
        if message.kind is not Kind.PARITY_REQUEST:
            return [message]
        segment, batch = unpack_queries(message.payload)
        told.append(len(batch) // 2)
        return [Message(message.kind, pack_queries(segment, batch[: len(batch) // 2]))]

    _fault(lambda: process(session, keys, wrap=lambda channel: Inside(channel, change), record=record))
    key = process(session, keys, record=record).key
    charged = key['disclosed_before']
    how, held = f'{charged} bits are charged', audit_session(session).agrees and charged >= sum(told) > 0
    return Row(name, eve, key['qber'], key['secret_bits'], how, held)


def _altered(kind: Kind, folder: Path, name: str, eve: str) -> Row:
    session, keys = _session(folder)

    def change(message: Message) -> list[Message]:
        if message.kind is not kind:
            return [message]
        return [Message(kind, message.payload[:-1] + bytes([message.payload[-1] ^ 1]))]

    fault = _fault(lambda: process(session, keys, wrap=lambda channel: Inside(channel, change)))
    return Row(name, eve, None, 0, fault, bool(fault))


def _greetings(folder: Path, name: str, eve: str) -> Row:
    """She greets the satellite again and again, to use up its pre-shared bits."""
    key = PreSharedKey.create(folder / 'pre-shared.key', os.urandom(20 * SLOT_BYTES))
    before, refused = key.runs_left, ''
    for _ in range(_GREETINGS):
        try:
            key.attempt(key.choose(['3', '4']))  # of a slot that she names; her tag is wrong
        except StationError as error:
            refused = error.what
    lost = before - key.runs_left
    return Row(name, eve, None, 0, f'{lost} slots used up; {refused}', lost == 0 and bool(refused))


def link_attacks() -> list[Attack]:
    """Attacks on the link."""
    return [
        Attack('asks for pulses of her choice', 'bases and intensities of 200,000 pulses', _announce_her_own),
        Attack('other settings in a repeated run', 'parities of another key of the same bits', _other_settings),
        Attack('breaks a run after its parities', 'the parities of both runs', _broken_again),
        Attack('breaks a run after other parities', 'parities of the key that nobody else asks for', _other_parities),
        Attack('changes a parity query', 'nothing', partial(_altered, Kind.PARITY_REQUEST)),
        Attack('changes the matrix', 'nothing', partial(_altered, Kind.AMPLIFY)),
        Attack('flood of greetings', 'nothing; she wants to use up the pre-shared key', _greetings),
    ]
