"""The whole truth of a simulated session: config/sim.yaml, and a scenario laid over it."""

from __future__ import annotations

from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.twin_body import BodySettings
from qkd_gs.settings.twin_light import LightSettings
from qkd_gs.share import share_path


class TwinSettings(Section):
    """The whole of config/sim.yaml."""

    body: BodySettings
    light: LightSettings


def load_twin() -> TwinSettings:
    """The twin as config/sim.yaml describes it."""
    return load_yaml(share_path('config', 'sim.yaml'), TwinSettings)
