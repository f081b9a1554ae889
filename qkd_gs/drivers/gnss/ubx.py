"""The UBX protocol of u-blox receivers: frames, and the messages that a station needs.

Frame: ``B5 62``, class, id, length (2), payload, checksum (2, Fletcher); integers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

_SYNC = b'\xb5\x62'
_HEAD = 6
_LONGEST = 2048  # payload; a longer one is noise that looks like a head
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)

NAV_PVT = (0x01, 0x07)
NAV_TIMELS = (0x01, 0x26)
NAV_SVIN = (0x01, 0x3B)
TIM_TP = (0x0D, 0x01)
TIM_SVIN = (0x0D, 0x04)
MON_VER = (0x0A, 0x04)
SEC_UNIQID = (0x27, 0x03)
CFG_MSG = (0x06, 0x01)
ACK = (0x05, 0x01)
NAK = (0x05, 0x00)

Message = tuple[tuple[int, int], bytes]


def frame(kind: tuple[int, int], payload: bytes = b'') -> bytes:
    """Bytes of a message; an empty payload polls it."""
    body = bytes(kind) + struct.pack('<H', len(payload)) + payload
    return _SYNC + body + checksum(body)


def checksum(body: bytes) -> bytes:
    """Checksum over class, id, length and payload."""
    a = b = 0
    for value in body:
        a = (a + value) & 0xFF
        b = (b + a) & 0xFF
    return bytes((a, b))


class UbxStream:
    """Messages out of a stream of bytes, which may hold NMEA and noise, too.

    Attributes
    ----------
    broken : int
        Frames whose checksum was wrong.
    """

    def __init__(self) -> None:
        self._rest = b''
        self.broken = 0

    def feed(self, data: bytes) -> list[Message]:
        """Messages that are complete with `data`."""
        rest = self._rest + data
        found: list[Message] = []
        while True:
            start = rest.find(_SYNC)
            if start < 0:
                self._rest = rest[-1:] if rest.endswith(_SYNC[:1]) else b''
                return found
            rest = rest[start:]
            length = int.from_bytes(rest[4:6], 'little') if len(rest) >= _HEAD else 0
            end = _HEAD + length + 2
            if length > _LONGEST:
                rest = rest[1:]
            elif len(rest) < _HEAD or len(rest) < end:
                self._rest = rest
                return found
            elif checksum(rest[2 : end - 2]) != rest[end - 2 : end]:
                self.broken += 1
                rest = rest[1:]
            else:
                found.append(((rest[2], rest[3]), rest[_HEAD : end - 2]))
                rest = rest[end:]


@dataclass(frozen=True)
class NavPvt:
    """Position, velocity and time.

    Attributes
    ----------
    utc_ns : int
        0: date, time or leap seconds are not certain yet.
    fixed : bool
        The solution is valid.
    time_accuracy_s, horizontal_accuracy_m : float
        One sigma, by the receiver's estimate.
    """

    utc_ns: int
    fixed: bool
    satellites: int
    latitude_deg: float
    longitude_deg: float
    altitude_m: float
    time_accuracy_s: float
    horizontal_accuracy_m: float


def parse_pvt(payload: bytes) -> NavPvt | None:
    """NAV-PVT; None if it does not have its length or its date is none."""
    if len(payload) != 92:
        return None
    year, month, day, hour, minute, second, valid, t_acc_ns, nano, fix_type, flags = struct.unpack_from(
        '<HBBBBBBIiBB', payload, 4
    )
    satellites, lon, lat, height_mm, _, h_acc_mm = struct.unpack_from('<BiiiiI', payload, 23)
    certain = valid & 0b111 == 0b111  # date, time, fully resolved
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) if certain else _UNIX
    except ValueError:
        return None
    since = moment - _UNIX
    seconds = since.days * 86400 + since.seconds + (second == 60)
    return NavPvt(
        utc_ns=seconds * 10**9 + nano if certain else 0,
        fixed=bool(flags & 1) and fix_type in (2, 3, 4, 5),
        satellites=satellites,
        latitude_deg=lat * 1e-7,
        longitude_deg=lon * 1e-7,
        altitude_m=height_mm * 1e-3,
        time_accuracy_s=t_acc_ns * 1e-9,
        horizontal_accuracy_m=h_acc_mm * 1e-3,
    )


@dataclass(frozen=True)
class LeapSeconds:
    """GPS time minus UTC, and the next change.

    Attributes
    ----------
    current : int or None
        None: not received from a satellite yet.
    change : int
        +1, -1, or 0: none is announced.
    to_event_s : int or None
        Time until the change (negative: since).
    """

    current: int | None
    change: int
    to_event_s: int | None


def parse_leap_seconds(payload: bytes) -> LeapSeconds | None:
    """NAV-TIMELS; None if it does not have its length."""
    if len(payload) != 24:
        return None
    source, current, _, change, to_event_s = struct.unpack_from('<BbBbi', payload, 8)
    valid = payload[23]
    from_space = bool(valid & 1) and source != 0  # 0: the value built into the firmware
    return LeapSeconds(current if from_space else None, change if valid & 2 else 0, to_event_s if valid & 2 else None)


def parse_pulse_error_s(payload: bytes) -> float | None:
    """TIM-TP: quantization error of the next time pulse; None if it does not have its length."""
    return float(struct.unpack_from('<i', payload, 8)[0]) * 1e-12 if len(payload) == 16 else None


@dataclass(frozen=True)
class SurveyIn:
    """Progress of the survey of a timing receiver's own position."""

    seconds: int
    accuracy_m: float
    valid: bool
    active: bool


def parse_survey(kind: tuple[int, int], payload: bytes) -> SurveyIn | None:
    """NAV-SVIN or TIM-SVIN; None if it does not have its length."""
    if kind == NAV_SVIN and len(payload) == 40:
        (seconds,) = struct.unpack_from('<I', payload, 8)
        (accuracy,) = struct.unpack_from('<I', payload, 28)
        return SurveyIn(seconds, accuracy * 1e-4, bool(payload[36]), bool(payload[37]))
    if kind == TIM_SVIN and len(payload) == 28:
        (seconds,) = struct.unpack_from('<I', payload, 0)
        (variance_mm2,) = struct.unpack_from('<I', payload, 16)
        return SurveyIn(seconds, variance_mm2**0.5 * 1e-3, bool(payload[24]), bool(payload[25]))
    return None


def parse_version(payload: bytes) -> tuple[str, str] | None:
    """MON-VER: firmware and model ('' if it does not tell)."""
    if len(payload) < 40:
        return None
    words = [_text(payload[start : start + 30]) for start in range(40, len(payload), 30)]
    told = dict(word.split('=', 1) for word in words if '=' in word)
    return told.get('FWVER', _text(payload[:30])), told.get('MOD', '')


def _text(field: bytes) -> str:
    return field.split(b'\0', 1)[0].decode('ascii', 'replace').strip()
