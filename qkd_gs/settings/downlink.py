"""The downlink as the station knows it: config/downlink.yaml.  The twin has its own values in config/sim.yaml."""

from __future__ import annotations

from pydantic import Field

from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.share import share_path


class LinkSettings(Section):
    """Downlink."""

    divergence_urad: float = Field(gt=0, le=1000, description='downlink, full 1/e^2 angle')
    aperture_m: float = Field(gt=0, le=10, description='diameter of the receiving telescope')
    system_efficiency: float = Field(gt=0, le=1, description='telescope, module, fibre and detectors')
    residual_db: float = Field(ge=0, le=60, description='satellite pointing, wavefront, obscuration, haze')
    field_urad: float = Field(gt=0, le=10_000, description='diameter of the receiving field')
    image_sigma_urad: float = Field(gt=0, le=100, description='Gaussian width of the 850 nm image, seeing included')


class PolarizationSettings(Section):
    """Error of the optics."""

    receiver_error: float = Field(ge=0, le=0.5, description='bits that the optics of the station turn over')
    source_error: float = Field(ge=0, le=0.5, description='bits that the optics of the satellite turn over')


class NoiseSettings(Section):
    """Counts not from the satellite, all four detectors together."""

    dark_cps: float = Field(ge=0, description='dark counts')
    sky_cps: float = Field(ge=0, description='night sky of a clean site')
    sunlit_mag: float = Field(
        ge=-5,
        le=20,
        description='brightness of a sunlit satellite at 850 nm, 1000 km and a phase of 90 deg, magnitudes',
    )
    glow_floor_deg: float = Field(ge=0, le=90, description='below this elevation the city glow does not grow further')
    glow_scale_deg: float = Field(gt=0, le=90, description='elevation over which the glow falls by e')


class SpreadSettings(Section):
    """Scatter of single passes about the expectation."""

    link_db: float = Field(gt=0, le=20, description='standard deviation of the link: weather, seeing, satellite')
    error: float = Field(ge=0, le=0.1, description='standard deviation of the error of the optics')


class DownlinkSettings(Section):
    """All of config/downlink.yaml."""

    link: LinkSettings
    polarization: PolarizationSettings
    noise: NoiseSettings
    spread: SpreadSettings
    f_ec: float = Field(ge=1, le=2, description='error correction: disclosed bits over the Shannon limit')


def load_downlink() -> DownlinkSettings:
    """The expected downlink.

    Raises
    ------
    StationError
        The file is invalid.
    """
    return load_yaml(share_path('config', 'downlink.yaml'), DownlinkSettings)
