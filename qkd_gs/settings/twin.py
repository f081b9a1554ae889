"""Truth of a simulated session: config/sim.yaml, overlaid by a scenario."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.settings.twin_plant import PlantSettings
from qkd_gs.settings.twin_surroundings import SurroundingsSettings
from qkd_gs.share import share_path


class TwinSettings(Section):
    """All of config/sim.yaml."""

    plant: PlantSettings
    photonics: PhotonicsSettings
    surroundings: SurroundingsSettings = Field(default_factory=SurroundingsSettings)


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    return sorted(path.stem for path in share_path('config', 'scenarios').glob('*.yaml'))


def load_twin(scenario: str | None = None) -> TwinSettings:
    """Settings of the twin from config/sim.yaml, overlaid by config/scenarios/SCENARIO.yaml.

    Raises
    ------
    StationError
        Unknown scenario, or an invalid file: file, line and key.
    """
    overlay = None
    if scenario is not None:
        known = scenario_names()
        if scenario not in known:
            raise StationError(f'unknown scenario {scenario!r}', where='--scenario', hint=f'one of {", ".join(known)}')
        overlay = share_path('config', 'scenarios', f'{scenario}.yaml')
    return load_yaml(share_path('config', 'sim.yaml'), TwinSettings, overlay)


def under_real_stars(twin: TwinSettings) -> TwinSettings:
    """The same twin with the stars of a catalogue in its sky: random ones cannot be identified."""
    sky = twin.plant.sky.model_copy(update={'stars': 'tycho'})
    return twin.model_copy(update={'plant': twin.plant.model_copy(update={'sky': sky})})
