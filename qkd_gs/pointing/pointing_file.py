"""pointing.json: the result of a calibration, kept for later passes and copied into their sessions."""

from __future__ import annotations

from math import radians
from pathlib import Path

from pydantic import Field

from qkd_gs.errors import StationError
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.session.atomic_file import replace_file
from qkd_gs.settings.loader import Section, load_yaml
from qkd_gs.settings.station import CameraModel, StationSettings

FILE_NAME = 'pointing.json'


class StoredPointing(Section):
    """The whole of pointing.json."""

    fitted_utc: str
    summary: str = Field(description='stars used, RMS')
    terms_urad: dict[str, float] = Field(description='terms of the mount model by name')
    guide_x_px: float = Field(description='pixel of the guiding camera on the line of sight of the telescope')
    guide_y_px: float
    hwp_offset_deg: float = Field(
        default=0.0, ge=-45, le=45, description='zero of the half-wave plate as measured, minus hwp.zero_deg'
    )
    hwp_sigma_deg: float | None = Field(default=None, description='its standard error; none: it was not measured')
    star_residuals_urad: tuple[tuple[float, float], ...] = Field(
        default=(), description='stars in the fit minus line of sight: cross-elevation and elevation'
    )
    site: str = Field(default='', description='where it was measured')
    temperature_c: float | None = Field(default=None, description='of the air, as the settings of the site had it')
    heldout_urad: float | None = Field(default=None, description='RMS of stars left out of the fit')
    drift_urad: float | None = Field(default=None, description='RMS over the sky since the calibration before')
    coarse: bool = Field(default=False, description='from one star centred by hand: good to start a calibration from')
    compass: bool = Field(default=False, description='from a compass: the telescope must find itself first')
    aligned_deg: tuple[float, float] | None = Field(
        default=None, description='azimuth and elevation where coarse zero points hold; none: those of the operator'
    )

    @classmethod
    def of(
        cls,
        model: MountModel,
        guide_px: tuple[float, float],
        summary: str,
        fitted_utc: str,
        coarse: bool = False,
        hwp_deg: tuple[float, float | None] = (0.0, None),
        star_residuals_urad: tuple[tuple[float, float], ...] = (),
        compass: bool = False,
        aligned_deg: tuple[float, float] | None = None,
    ) -> StoredPointing:
        """From a fit; `hwp_deg` is the offset of the half-wave plate's zero and its standard error."""
        return cls(
            fitted_utc=fitted_utc,
            summary=summary,
            terms_urad=model.to_dict(),
            guide_x_px=guide_px[0],
            guide_y_px=guide_px[1],
            coarse=coarse,
            compass=compass,
            aligned_deg=aligned_deg,
            hwp_offset_deg=hwp_deg[0],
            hwp_sigma_deg=hwp_deg[1],
            star_residuals_urad=star_residuals_urad,
        )

    @property
    def model(self) -> MountModel:
        """The mount model."""
        return MountModel.from_dict(self.terms_urad)

    @property
    def aligned_rad(self) -> tuple[float, float] | None:
        """`aligned_deg` in radians."""
        return None if self.aligned_deg is None else (radians(self.aligned_deg[0]), radians(self.aligned_deg[1]))

    def refine(self, station: StationSettings) -> StationSettings:
        """Settings with the calibrated reference pixel of the guiding camera and zero of the half-wave plate."""
        camera = station.guiding_camera.model_copy(
            update={'reference_x_px': self.guide_x_px, 'reference_y_px': self.guide_y_px}
        )
        hwp = station.hwp.model_copy(update={'zero_deg': station.hwp.zero_deg + self.hwp_offset_deg})
        return station.model_copy(update={'guiding_camera': camera, 'hwp': hwp})

    def save(self, folder: Path) -> None:
        """Write into a folder atomically.

        Raises
        ------
        StationError
            It cannot be written.
        """
        replace_file(folder / FILE_NAME, self.model_dump_json(indent=2) + '\n', parents=True)


def compass_pointing(camera: CameraModel, utc: str) -> StoredPointing:
    """Pointing of a station that was set up as doc/tonight.md says: level, its north mark to the north."""
    reference = camera.reference_x_px, camera.reference_y_px
    return StoredPointing.of(MountModel(), reference, 'set up by a compass', utc, coarse=True, compass=True)


def load_pointing(folder: Path) -> StoredPointing:
    """Result of the last calibration, from a folder.

    Raises
    ------
    StationError
        No such file, or a damaged one.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise StationError('the pointing is not calibrated', where=path, hint='run `qkd-gs calibrate`')
    stored = load_yaml(path, StoredPointing)
    try:
        _ = stored.model
    except StationError as error:
        raise StationError(error.what, where=f'{path}: terms_urad') from error
    return stored
