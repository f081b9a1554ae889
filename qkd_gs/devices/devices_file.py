"""The devices file (config/devices/*.yaml): the driver of each device, and the driver's options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from qkd_gs.devices.driver import Driver
from qkd_gs.devices.kinds import KINDS
from qkd_gs.devices.registry import HINT, NONE, SIMULATED, installed, load_driver, not_installed
from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.share import share_path

NAMED = ('sim', 'hardware', 'hil')  # files of config/devices
_OPTIONAL = 'optional; not named: simulated where the mount is simulated, otherwise none'


class DeviceChoice(Section):
    """Driver of one device."""

    driver: str = Field(pattern='^[a-z0-9_]+$', description="name of the driver; 'none': not chosen yet")
    options: dict[str, Any] = Field(default_factory=dict, description='options of the driver, see `qkd-gs devices`')


class DeviceSettings(Section):
    """A whole devices file."""

    world: Literal['real', 'twin'] = Field(
        'real', description="'twin': counterparts of the drivers belong to the twin, and all is marked as simulated"
    )
    mount: DeviceChoice
    guiding_camera: DeviceChoice
    tracking_camera: DeviceChoice
    beacon: DeviceChoice
    hwp: DeviceChoice
    gps: DeviceChoice
    tdc: DeviceChoice
    aircraft: DeviceChoice | None = Field(None, description=_OPTIONAL)
    weather: DeviceChoice | None = Field(None, description=_OPTIONAL)
    dome: DeviceChoice | None = Field(None, description=_OPTIONAL)
    focuser: DeviceChoice | None = Field(None, description=_OPTIONAL)
    calibration_light: DeviceChoice | None = Field(None, description=_OPTIONAL)

    @property
    def simulated(self) -> bool:
        """Whether the world is: then light, counts and key come from the twin, whatever drivers are between."""
        return self.world == 'twin' or any(choice.driver == SIMULATED for choice in self.choices().values())

    @property
    def in_the_loop(self) -> list[str]:
        """Kinds of devices whose drivers are real ones in a simulated world."""
        return [kind for kind, choice in self.chosen().items() if self.simulated and choice.driver != SIMULATED]

    def chosen(self) -> dict[str, DeviceChoice]:
        """Choices by kind of device, without optional devices that the station does not have."""
        return {
            kind: choice
            for kind, choice in self.choices().items()
            if not (KINDS[kind].optional and choice.driver == NONE)
        }

    def choices(self) -> dict[str, DeviceChoice]:
        """Choices by kind of device."""
        missing = DeviceChoice(driver=SIMULATED if self.mount.driver == SIMULATED else NONE)
        return {kind: getattr(self, kind) or missing for kind in KINDS}


def devices_path(name: str) -> Path:
    """File of one of `NAMED`, or the path itself."""
    return share_path('config', 'devices', f'{name}.yaml') if name in NAMED else Path(name)


def load_devices(name: str) -> DeviceSettings:
    """Read a devices file, whose drivers must be installed; their options are checked by `load_options`.

    Raises
    ------
    StationError
        No such file, a key that does not fit, or a driver that is not installed; names file and key.
    """
    path = devices_path(name)
    settings = load_yaml(path, DeviceSettings)
    for kind, choice in settings.chosen().items():
        if choice.driver not in installed(kind):
            raise StationError(not_installed(kind, choice.driver), where=f'{path}: {kind}', hint=HINT)
    drivers = {choice.driver == SIMULATED for choice in settings.chosen().values()}
    if len(drivers) > 1 and settings.world == 'real':
        raise StationError(
            'simulated and real devices in one station',
            where=path,
            hint='a key of such a mixture would mean nothing; world: twin marks all of it as simulated',
        )
    return settings


def load_options(name: str, kinds: Iterable[str] = tuple(KINDS)) -> dict[str, Section]:
    """Options of the drivers in a devices file, validated by the class that each driver registers.

    Parameters
    ----------
    kinds : iterable of str
        Kinds of devices whose drivers are loaded and whose options are checked.

    Returns
    -------
    dict
        Options by kind of device.

    Raises
    ------
    StationError
        A driver that cannot be loaded, or an option that is unknown, missing or of the wrong type; names file,
        line and key.
    """
    chosen = load_yaml(devices_path(name), DeviceSettings)
    choices = chosen.choices()
    sections: dict[str, Any] = {
        kind: (DeviceChoice | None, None) if KINDS[kind].optional else (DeviceChoice, ...) for kind in choices
    }
    kinds = tuple(kind for kind in kinds if kind in chosen.chosen())
    for kind in kinds:
        section = _section_of(kind, load_driver(kind, choices[kind].driver))
        named = getattr(chosen, kind) is not None
        sections[kind] = (section, ... if named else section.model_validate({'driver': choices[kind].driver}))
    sections['world'] = (DeviceSettings.model_fields['world'].annotation, 'real')
    model = create_model('Devices', __base__=Section, **sections)
    settings = load_yaml(devices_path(name), model)
    return {kind: getattr(settings, kind).options for kind in kinds}


def _section_of(kind: str, loaded: Driver[Any, Any]) -> type[Section]:
    """Model of one device in the file, with the options of its driver."""
    required = any(field.is_required() for field in loaded.options.model_fields.values())
    default: Any = ... if required else Field(default_factory=loaded.options)
    return create_model(kind, __base__=Section, driver=(str, ...), options=(loaded.options, default))
