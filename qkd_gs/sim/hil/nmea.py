"""NMEA of a GPS receiver that knows the twin's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from qkd_gs.settings.site import Site

_SATELLITES = 9


def messages(site: Site, second_ns: int, fixed: bool = True) -> bytes:
    """Sentences of one second, UTC ns."""
    when = datetime.fromtimestamp(0, UTC) + timedelta(seconds=second_ns // 10**9)
    clock, day = when.strftime('%H%M%S'), when.strftime('%d%m%y')
    lat = _angle(site.latitude_deg, 'NS', 2) if fixed else ','
    lon = _angle(site.longitude_deg, 'EW', 3) if fixed else ','
    used = ','.join(f'{number:02d}' if fixed and number <= _SATELLITES else '' for number in range(1, 13))
    count = _SATELLITES if fixed else 0
    lines = (
        f'GPRMC,{clock}.00,{"A" if fixed else "V"},{lat},{lon},0.0,0.0,{day},,,{"A" if fixed else "N"}',
        f'GPGGA,{clock}.00,{lat},{lon},{int(fixed)},{count:02d},0.9,{site.altitude_m:.1f},M,0.0,M,,',
        f'GPGSA,A,{3 if fixed else 1},{used},1.5,0.9,1.2',
        f'GPZDA,{clock}.00,{when.strftime("%d,%m,%Y")},00,00',
    )
    return ''.join(f'${line}*{_checksum(line):02X}\r\n' for line in lines).encode('ascii')


def _angle(angle_deg: float, letters: str, digits: int) -> str:
    """Degrees and minutes with the letter of the half."""
    whole, part = divmod(abs(angle_deg), 1.0)
    return f'{int(whole):0{digits}d}{60 * part:07.4f},{letters[angle_deg < 0]}'


def _checksum(line: str) -> int:
    value = 0
    for character in line:
        value ^= ord(character)
    return value
