"""Starts the counterparts of a station's real drivers, and starts again those that have ended."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from qkd_gs.children import child_environment
from qkd_gs.errors import StationError
from qkd_gs.sim.hil import aravis
from qkd_gs.sim.hil.place import PLACE, Place

_AGAIN_S = 1.0
_MODULES = {
    'tracking_camera': ('camera', 'tracking_camera'),
    'guiding_camera': ('camera', 'guiding_camera'),
    'mount': ('mount',),
    'tdc': ('tags',),
    'beacon': ('serial_lines',),
    'hwp': ('serial_lines',),
    'gps': ('serial_lines',),
}
_PACKAGES = {'gpsd': 'gpsd'}  # programs, and the Debian packages that they are in
_LIBRARIES = {
    'canopen': 'hil', 'hardwarelibrary': 'hil', 'libusb_package': 'hil', 'can': 'can', 'serial': 'serial',
    'viva_genicam': 'gige',
}  # fmt: skip


def missing_packages() -> list[str]:
    """Debian packages that are not installed."""
    path = '/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin'
    lacking = [package for program, package in _PACKAGES.items() if shutil.which(program, path=path) is None]
    try:
        aravis.load()
    except StationError:
        lacking.append(aravis.PACKAGE)
    return sorted(lacking)


def check() -> None:
    """Check what the counterparts need of this machine.

    Raises
    ------
    StationError
        A Debian package or an extra is not installed.
    """
    packages = missing_packages()
    if packages:
        raise StationError(
            f'devices of the kind hil need {" and ".join(packages)}', hint=f'sudo apt install {" ".join(packages)}'
        )
    extras = sorted({extra for name, extra in _LIBRARIES.items() if importlib.util.find_spec(name) is None})
    if extras:
        raise StationError(
            f'extras {", ".join(extras)} are not installed', hint=f'pip install "qkd_gs[{",".join(extras)}]"'
        )


@dataclass
class _Running:
    command: tuple[str, ...]
    process: subprocess.Popen[str]
    ended_s: float = 0.0


class Counterparts:
    """Processes of the counterparts.

    Parameters
    ----------
    kinds : iterable of str
        Kinds of devices whose drivers are real ones.
    say : callable
        Takes each line of their output.
    """

    def __init__(self, place: Place, kinds: Iterable[str], say: Callable[[str], None]) -> None:
        check()
        self._place, self._say = place, say
        PLACE.mkdir(mode=0o700, exist_ok=True)
        if PLACE.stat().st_uid != os.getuid():
            raise StationError('belongs to somebody else', where=PLACE)
        commands = dict.fromkeys(_MODULES[kind] for kind in kinds)
        self._running = [_Running(command, self._start(command)) for command in commands]

    def _start(self, command: tuple[str, ...]) -> subprocess.Popen[str]:
        module, *arguments = command
        process = subprocess.Popen(
            [sys.executable, '-m', f'qkd_gs.sim.hil.{module}', self._place.to_json(), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            env=child_environment(os.environ),
        )
        threading.Thread(target=self._read, args=(process, ' '.join(command)), daemon=True).start()
        return process

    def _read(self, process: subprocess.Popen[str], name: str) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._say(f'{name}: {line.rstrip()}')

    def watch(self) -> None:
        """Start again what has ended; to be called every second or so."""
        for one in self._running:
            if one.process.poll() is None:
                continue
            now_s = time.monotonic()
            if not one.ended_s:
                one.ended_s = now_s
                self._say(f'{" ".join(one.command)}: ended with status {one.process.returncode}')
            elif now_s - one.ended_s > _AGAIN_S:
                one.process, one.ended_s = self._start(one.command), 0.0

    def close(self) -> None:
        """End them."""
        for one in self._running:
            one.process.terminate()
        for one in self._running:
            try:
                one.process.wait(2.0)
            except subprocess.TimeoutExpired:
                one.process.kill()
        for link in ('hwp', 'beacon', 'gps'):
            Path(PLACE / link).unlink(missing_ok=True)


if __name__ == '__main__':  # for tools/hil.sh
    sys.stdout.write(''.join(f' {package}' for package in missing_packages()) + '\n')
