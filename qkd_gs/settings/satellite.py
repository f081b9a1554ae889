"""Address at which the other side of the link answers: config/satellite.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, field_validator

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.share import share_path

BENCH = 'bench'
_ADDRESS = re.compile(r'(?:\[([0-9A-Fa-f:]+)\]|([^\s:]+)):(\d{1,5})')
_MAX_PORT = 65_535


class PeerSettings(Section):
    """The server of one satellite."""

    address: str = Field(description='HOST:PORT; an IPv6 address in brackets')
    tries: int = Field(default=1, ge=1, le=100, description='connections tried before giving up')
    retry_s: float = Field(default=10.0, ge=0, le=3600, description='between two tries')
    live: bool = Field(default=False, description='the station makes the key in parts while it records a pass')

    @field_validator('address')
    @classmethod
    def _an_address(cls, value: str) -> str:
        parse_address(value)
        return value


class SatelliteSettings(Section):
    """All of config/satellite.yaml."""

    satellites: dict[int | str, PeerSettings] = Field(description='by catalogue number, or "bench"')


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``.

    Raises
    ------
    StationError
        It is none.
    """
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or int(found[3]) > _MAX_PORT:
        raise StationError(f'{text!r} is not HOST:PORT')
    return found[1] or found[2], int(found[3])


def load_peer(name: str, path: Path | None = None) -> PeerSettings:
    """Server of a satellite by its catalogue number, or of the bench.

    Raises
    ------
    StationError
        None is configured, or the file is invalid.
    """
    path = path or share_path('config', 'satellite.yaml')
    peers = {str(number): peer for number, peer in load_yaml(path, SatelliteSettings).satellites.items()}
    if name not in peers:
        raise StationError(
            f'no link to satellite {name} is configured' if name != BENCH else 'no link to the bench is configured',
            where=path,
            hint='add its address there, or give --satellite HOST:PORT; nothing was disclosed',
        )
    return peers[name]
