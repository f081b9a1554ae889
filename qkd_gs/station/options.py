"""Start options of the station, declared once for `ros2 launch`, `qkd-gs up` and the nodes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qkd_gs.devices.devices_file import NAMED
from qkd_gs.errors import StationError

Value = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """Option; `default` determines its type."""

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()

    def parse(self, text: str) -> Value:
        """Parse a value.

        Raises
        ------
        StationError
            Of another type, or none of the choices.
        """
        if self.choices and text not in self.choices:
            raise StationError(f'{text!r} is none of {", ".join(self.choices)}', where=self.name)
        try:
            if isinstance(self.default, bool):
                return {'true': True, 'false': False}[text.lower()]
            return type(self.default)(text)
        except (KeyError, ValueError) as error:
            wanted = 'true or false' if isinstance(self.default, bool) else f'a {type(self.default).__name__}'
            raise StationError(f'{text!r} is not {wanted}', where=self.name) from error


OPTIONS = (
    Option(
        'devices', 'sim', "'sim', 'hardware', 'hil' (real drivers in a simulated world), or a file as in config/devices"
    ),
    Option('site', 'shanghai', 'name from config/sites, or LAT_DEG,LON_DEG,ALT_M'),
    Option('elements', '', 'orbit of the satellite, a file of OMM, TLE, OEM or CPF; empty: config/elements/micius.tle'),
    Option('station', '', 'settings of the station; empty: config/station.yaml'),
    Option('sessions_dir', 'sessions', 'folder of all sessions, one folder per pass'),
    Option('state_dir', '', 'folder of the persistent state (the pointing model); empty: $QKD_GS_STATE, or below ~'),
    Option('record', True, 'record every pass into a bag in its session'),
    Option(
        'speed',
        1.0,
        'seconds of station time a second, only with simulated devices; 0: as fast as the loops keep up',
    ),
    Option('at', '2018-10-03T15:56:42Z', 'UTC near the first pass of the simulated sky; only with simulated devices'),
    Option('lead_s', 60.0, 'the simulated world begins this long before that pass, s; 3900 for a calibration first'),
    Option(
        'alignment',
        'star',
        'what the simulated station knows of its orientation when it is new: one star centred by hand, or a compass '
        'good to 10 deg, under the stars of a catalogue',
        ('star', 'compass'),
    ),
    Option('compass_error_deg', 0.0, 'added to the error of that compass, deg: it was misread'),
    Option('scenario', '', 'disturbances of the simulated world, a name from config/scenarios; empty: none'),
    Option('seed', 1, 'random seed of the simulated world'),
    Option('log_level', 'info', 'log level of the nodes', ('debug', 'info', 'warn', 'error')),
    Option('namespace', '', 'prefix of all names, for two stations on one machine; empty: none'),
)

# used by the graph itself: command line arguments of every node
OF_THE_GRAPH = ('log_level', 'namespace')


def defaults() -> dict[str, Value]:
    """Default of every option."""
    return {option.name: option.default for option in OPTIONS}


def option(name: str) -> Option:
    """The option of that name."""
    return next(option for option in OPTIONS if option.name == name)


def chosen(given: Mapping[str, Value]) -> dict[str, Value]:
    """All options, those given replacing the defaults; paths made absolute, since nodes may run anywhere."""
    values = defaults() | dict(given)
    for name in ('elements', 'station', 'sessions_dir', 'state_dir'):
        if values[name]:
            values[name] = str(Path(str(values[name])).absolute())
    if str(values['devices']) not in NAMED:
        values['devices'] = str(Path(str(values['devices'])).absolute())
    return values


def state_folder(text: str, simulated: bool) -> Path:
    """Folder of the persistent state; a simulated station has its own."""
    if text:
        return Path(text)
    base = Path(os.environ.get('QKD_GS_STATE') or Path.home() / '.local' / 'state' / 'qkd_gs')
    return base / 'simulated' if simulated else base
