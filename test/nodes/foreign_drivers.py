"""Drivers of an installed package, as simple as can be: a mount and a laser without a watchdog of their own."""

import yaml

from qkd_gs.devices.devices_file import load_devices
from qkd_gs.devices.kinds import KINDS

CODE = """
from qkd_gs.devices.beacon import BeaconReading
from qkd_gs.devices.driver import NoOptions, driver
from qkd_gs.devices.mount import MountMode, MountReading


class Mount:
    mode = MountMode.OFF
    az_rad = el_rad = 0.5

    def open(self): pass
    def close(self): pass

    def enable(self, now_ns):
        self.mode = MountMode.HOLD

    def command(self, now_ns, command):
        self.mode, self.az_rad, self.el_rad = MountMode.TRACK, command.az_rad, command.el_rad

    def stop(self, now_ns):
        self.mode = MountMode.HOLD

    def read(self, now_ns):
        return MountReading(now_ns, self.az_rad, self.el_rad, 0.0, 0.0, self.mode)


class Beacon:
    lit = False

    def open(self): pass
    def close(self): pass

    def on(self, now_ns):
        self.lit = True

    def off(self, now_ns):
        self.lit = False

    def read(self, now_ns):
        return BeaconReading(now_ns, self.lit, float(self.lit), True)


@driver(NoOptions)
def mount(context):
    return Mount()


@driver(NoOptions)
def beacon(context):
    return Beacon()
"""


def install(folder, monkeypatch):
    """A devices file for them; processes and this one find the package on their path."""
    package = folder / 'packages' / 'acme-1.dist-info'
    package.mkdir(parents=True)
    (package / 'METADATA').write_text('Metadata-Version: 2.1\nName: acme\nVersion: 1\n')
    points = ''.join(f'{kind}.acme = acme:{kind}\n' for kind in KINDS)
    (package / 'entry_points.txt').write_text(f'[qkd_gs.drivers]\n{points}')
    (package.parent / 'acme.py').write_text(CODE)
    monkeypatch.setenv('PYTHONPATH', str(package.parent), prepend=':')
    monkeypatch.syspath_prepend(package.parent)
    path = folder / 'acme.yaml'
    path.write_text(yaml.safe_dump({kind: {'driver': 'acme'} for kind in KINDS}))
    assert not load_devices(str(path)).simulated
    return path
