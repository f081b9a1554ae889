"""Find devices at given addresses, and write a devices file that names their drivers.

An address is a serial port (``/dev/ttyUSB0``, or ``socket://HOST:PORT`` of a serial device server), ``HOST:PORT`` of a
server, ``can:INTERFACE:CHANNEL`` of a CAN bus, ``gige:IPV4`` of a camera, or a VISA name.  Only drivers with a probe
are asked; a probe moves nothing and emits no light.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from qkd_gs.devices.driver import Probe
from qkd_gs.devices.kinds import KINDS
from qkd_gs.devices.registry import installed, load_driver
from qkd_gs.errors import StationError

_AT_ONCE = 16  # addresses

_HEAD = """\
# Written by `qkd-gs devices --discover`. Check every line: which axis or laser it is cannot be found out by asking.
# An option that is missing is named when the file is loaded. Options: `qkd-gs devices`, and the pages of the drivers.
"""


@dataclass(frozen=True)
class Found:
    """A device that has answered.

    Attributes
    ----------
    kind, driver : str
        Kind of device, and the driver that it answered to.
    options : dict
        Of that driver, as far as they could be found.
    said : str
        Statements of the device about itself.
    """

    kind: str
    driver: str
    address: str
    options: dict[str, Any]
    said: str


def discover(addresses: Iterable[str]) -> list[Found]:
    """Ask every address until a driver recognizes what answers.

    Raises
    ------
    StationError
        A library that a driver needs is not installed.
    """
    asked = partial(_ask, _probes())
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # where nothing answers, every probe waits for its time-out
        return [found for devices in pool.map(asked, addresses) for found in devices]


def _probes() -> list[tuple[str, str, Probe]]:
    """Kind, driver, and its probe, in the order in which they are asked."""
    named = [(kind, name, load_driver(kind, name).probe) for kind in KINDS for name in sorted(installed(kind))]
    return [(kind, name, probe) for kind, name, probe in named if probe is not None]


def _ask(probes: list[tuple[str, str, Probe]], address: str) -> list[Found]:
    """Devices at an address.

    Kinds are asked in their order: rotctld, which takes letters of other protocols for orders, is asked in its own
    first, and servers that speak by themselves are heard before others are spoken to.
    """
    for kind, name, probe in probes:
        answer = probe(address)
        if answer:
            probed = answer if isinstance(answer, list) else [answer]
            return [Found(one.kind or kind, name, address, one.options, one.said) for one in probed]
    return []


def devices_text(found: Iterable[Found]) -> str:
    """Devices file with what was found; kinds without a device have the driver ``none``."""
    chosen: dict[str, Found] = {}
    lines = [_HEAD]
    for one in found:
        kind = next((kind for kind in _alike(one) if kind not in chosen), None)
        if kind is None:
            lines.append(f'# another {one.kind} at {one.address}: {one.driver}, {one.said}\n')
        else:
            chosen[kind] = one
    for kind in KINDS:
        if kind in chosen:
            one = chosen[kind]
            lines.append(f'# {one.address}: {one.said}\n')
            entry: dict[str, Any] = {kind: {'driver': one.driver, 'options': one.options}}
        else:
            entry = {kind: {'driver': 'none'}}
        lines.append(yaml.safe_dump(entry, sort_keys=False))
    return ''.join(lines)


def _alike(found: Found) -> list[str]:
    """Kinds that a device may be: a camera that is found may be either of two."""
    same = [kind for kind in KINDS if KINDS[kind].protocol is KINDS[found.kind].protocol]
    return [found.kind, *(kind for kind in same if kind != found.kind and found.driver in installed(kind))]


def write_devices(path: Path, found: Iterable[Found]) -> None:
    """Write a new devices file.

    Raises
    ------
    StationError
        The file exists, or cannot be written.
    """
    try:
        with path.open('x', encoding='utf-8') as file:
            file.write(devices_text(found))
    except FileExistsError as error:
        raise StationError('the file exists already', where=path, hint='name a new one') from error
    except OSError as error:
        raise StationError(f'cannot be written: {error}', where=path) from error
