"""Assumptions of the tracker about atmosphere, mount and satellite; each value with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Constants of acquisition and loop that do not depend on the station's equipment."""

    # knowledge of the orbit before the first detection
    expected_bias_s: float = 0.3  # along-track error of elements a few days old
    expected_cross_m: float = 1000.0  # cross-track error, likewise
    # search with our beacon
    light_delay_s: float = 2.0  # the satellite answers after our beacon has covered it for so long
    notice_s: float = 0.6  # light-time, one image of the guiding camera and its processing
    footprint: float = 0.9  # part of the beacon's half-angle that counts as covered
    miss_factor: float = 0.3  # factor on the probability of a cell that did not answer (cloud, late answer)
    # confirmation of the beacon
    confirm_count: int = 4  # candidates that agree with one time bias
    confirm_span_s: float = 0.25  # over at least so long: a star runs 1 mrad through it at 5 deg
    confirm_within_s: float = 1.5
    confirm_radius_urad: float = 80.0
    # phases
    settle_count: int = 10  # consecutive spots near the commanded pixel make a lock
    settle_radius_urad: float = 50.0
    lost_fine_s: float = 0.3  # scintillation fades are shorter
    lost_coarse_s: float = 1.0
    search_after_s: float = 5.0  # follow the corrected prediction for so long before a new search
    # atmosphere: spot motion that the mount must not follow (r0 5 cm, outer scale 20 m: 3.3 urad per axis at 72 deg)
    tilt_zenith_urad: float = 3.2  # per axis; grows with the square root of the airmass
    tilt_correlation_s: float = (
        0.08  # 0.5 m of air at 5 m/s near the ground, less above where the slew adds to the wind
    )
    gate_sigma: float = 6.0
    # mount: residual of the fitted model, a smooth function of the axis angles
    residual_urad: float = 20.0
    residual_angle_rad: float = 0.3  # correlation length in axis angle
    guiding_sigma_urad: float = 30.0  # guiding camera against tracking camera
    # orbit errors that are not a constant time bias and cross-track offset, as random walks
    bias_walk_s: float = 50e-6  # per root second: 0.8 urad at 500 km
    cross_walk_m: float = 0.3
    # commands
    lead_s: float = 0.010  # a command holds for this time after the step
    settle_rate_s: float = 6.0  # corrections decay with this rate
    share_of_limits: float = 0.95  # of the rate and acceleration limits that commands may use; same as the pass plan
