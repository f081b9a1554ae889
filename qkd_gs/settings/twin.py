"""The whole truth of a simulated session: config/sim.yaml, and a scenario laid over it."""

from __future__ import annotations

from qkd_gs.errors import StationError
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.twin_photonics import PhotonicsSettings
from qkd_gs.settings.twin_plant import PlantSettings
from qkd_gs.share import share_path


class TwinSettings(Section):
    """The whole of config/sim.yaml."""

    plant: PlantSettings
    photonics: PhotonicsSettings


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the package."""
    return sorted(path.stem for path in share_path('config', 'scenarios').glob('*.yaml'))


def load_twin(scenario: str | None = None) -> TwinSettings:
    """The twin as config/sim.yaml describes it, with config/scenarios/SCENARIO.yaml laid over it.

    Raises
    ------
    StationError
        Unknown scenario, or a file that does not fit; file, line and key.
    """
    overlay = None
    if scenario is not None:
        known = scenario_names()
        if scenario not in known:
            raise StationError(f'unknown scenario {scenario!r}', where='--scenario', hint=f'one of {", ".join(known)}')
        overlay = share_path('config', 'scenarios', f'{scenario}.yaml')
    return load_yaml(share_path('config', 'sim.yaml'), TwinSettings, overlay)
