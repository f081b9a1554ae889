"""Conformance of a camera driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from qkd_gs.devices.camera import Camera, CameraSettings, Frame, Roi
from qkd_gs.devices.conformance.checks import DeviceConformance, Traits, fault_of
from qkd_gs.devices.conformance.rig import Rig
from qkd_gs.devices.kinds import TRACKING_CAMERA
from qkd_gs.settings.station import CameraModel


@dataclass(frozen=True)
class CameraTraits(Traits):
    """Properties of a camera driver.

    Attributes
    ----------
    camera : str
        Section of station.yaml that describes the camera.
    rate_hz : float
        Image rate of the checks; the camera reaches it with five times `shortest_s` of exposure.
    loss : float
        Greatest share of lost images.
    latency_s : float
        Greatest time from the end of an exposure until ``poll()`` returns its image.
    shortest_s : float
        Exposure that the checks begin with; they take up to five times as much.
    spacing : float
        Greatest relative error of the time between two images.
    settle_s : float
        Time from new settings until the first exposure that is sure to have them.
    patience_s : float
        Greatest time until a few images have come: long for a counterpart in a process of its own, which a busy machine
        delays.
    """

    age_s: float = 0.5
    camera: str = 'tracking_camera'
    rate_hz: float = 10.0
    loss: float = 0.1
    latency_s: float = 0.3
    shortest_s: float = 0.002
    spacing: float = 0.05
    settle_s: float = 0.3
    patience_s: float = 3.0


class CameraConformance(DeviceConformance):
    """Checks of the `Camera` Protocol."""

    kind = TRACKING_CAMERA
    traits: ClassVar[CameraTraits] = CameraTraits()

    def model(self, rig: Rig[Camera]) -> CameraModel:
        """Settings of the camera under test."""
        return getattr(rig.station, self.traits.camera)  # type: ignore[no-any-return]

    def settings(self) -> CameraSettings:
        """Settings that every camera has."""
        return CameraSettings(2.5 * self.traits.shortest_s, 1.0, self.traits.rate_hz, Roi(32, 16, 128, 64))

    def make_safe(self, device: Camera, now_ns: int) -> None:
        """Stop the stream."""
        device.stop(now_ns)

    def calls(self, device: Camera, now_ns: int) -> list[Callable[[], object]]:
        """Every call that needs an open device."""
        return [lambda: device.poll(now_ns), lambda: device.configure(now_ns, self.settings())]

    def images(self, rig: Rig[Camera], device: Camera, seconds: float) -> list[Frame]:
        """Poll for a time."""
        images: list[Frame] = []
        rig.run(seconds, lambda now_ns: images.extend(device.poll(now_ns)))
        return images + device.poll(rig.now_ns)

    def first(self, rig: Rig[Camera], device: Camera, count: int = 1, since_ns: int = 0) -> list[Frame]:
        """Poll until `count` images of after `since_ns` have come."""
        images: list[Frame] = []

        def enough() -> bool:
            images.extend(device.poll(rig.now_ns))
            return sum(image.stamp_ns > since_ns for image in images) >= count

        assert rig.until(enough, self.traits.patience_s), f'{len(images)} images in {self.traits.patience_s} s'
        return images

    def test_it_can_be_opened_again_after_close(self, rig: Rig[Camera], device: Camera) -> None:
        device.close()
        again = rig.open()
        again.configure(rig.now_ns, self.settings())
        self.first(rig, again)

    def test_stamps_are_recent_and_never_go_back(self, rig: Rig[Camera], device: Camera) -> None:
        device.configure(rig.now_ns, self.settings())
        begin_ns, newest_ns, count = rig.now_ns, 0, 0

        def enough() -> bool:
            nonlocal newest_ns, count
            for image in device.poll(rig.now_ns):
                assert max(newest_ns + 1, begin_ns) <= image.stamp_ns <= rig.now_ns
                assert rig.now_ns - image.stamp_ns <= (self.traits.latency_s + image.exposure_s) * 1e9
                newest_ns, count = image.stamp_ns, count + 1
            return count >= 5

        assert rig.until(enough, self.traits.patience_s), f'{count} images in {self.traits.patience_s} s'

    def test_silence_is_a_fault(self, rig: Rig[Camera], device: Camera) -> None:
        device.configure(rig.now_ns, self.settings())
        self.first(rig, device)
        rig.counterpart.silence()
        silent = rig.until(lambda: fault_of(lambda: device.poll(rig.now_ns)) == 'camera.silent', self.traits.silent_s)
        assert silent, 'silence is not reported'

    def test_there_are_no_images_before_the_stream_is_configured(self, rig: Rig[Camera], device: Camera) -> None:
        assert self.images(rig, device, 0.5) == []

    @pytest.mark.parametrize('times', [1, 5])
    def test_images_come_at_the_rate_with_their_settings(self, rig: Rig[Camera], device: Camera, times: int) -> None:
        settings = replace(self.settings(), exposure_s=times * self.traits.shortest_s)
        device.configure(rig.now_ns, settings)
        images = self.first(rig, device, 2)  # the stream may begin late
        images += self.images(rig, device, 3.0)
        expected = (images[-1].stamp_ns - images[0].stamp_ns) * 1e-9 * settings.rate_hz + 1
        assert (1 - self.traits.loss) * expected <= len(images) <= expected * (1 + self.traits.spacing) + 1
        for image in images:
            assert (image.exposure_s, image.gain, image.roi) == (settings.exposure_s, settings.gain, settings.roi)
            assert image.image.dtype == np.uint16
            assert image.image.shape == (64, 128)
        spacing_s = np.diff([image.stamp_ns for image in images]) * 1e-9
        assert np.median(spacing_s) == pytest.approx(1 / settings.rate_hz, rel=self.traits.spacing)

    def test_without_a_region_the_full_sensor_is_read(self, rig: Rig[Camera], device: Camera) -> None:
        model = self.model(rig)
        device.configure(rig.now_ns, replace(self.settings(), roi=None, rate_hz=5.0))
        image = self.first(rig, device)[0]
        assert image.roi == Roi(0, 0, model.width_px, model.height_px)
        assert image.image.shape == (model.height_px, model.width_px)

    def test_new_settings_hold_for_the_next_exposures(self, rig: Rig[Camera], device: Camera) -> None:
        device.configure(rig.now_ns, self.settings())
        self.first(rig, device)
        other = replace(self.settings(), exposure_s=4 * self.traits.shortest_s, gain=2.0, roi=Roi(64, 64, 96, 32))
        since_ns = rig.now_ns + round(self.traits.settle_s * 1e9)
        device.configure(rig.now_ns, other)
        for image in self.first(rig, device, 2, since_ns):
            if image.stamp_ns > since_ns:
                assert (image.exposure_s, image.gain, image.roi) == (other.exposure_s, other.gain, other.roi)

    @pytest.mark.parametrize('name', ['exposure_low', 'exposure_high', 'gain_low', 'gain_high', 'outside', 'empty'])
    def test_settings_that_the_camera_does_not_have_are_refused(
        self, rig: Rig[Camera], device: Camera, name: str
    ) -> None:
        model = self.model(rig)
        changes: dict[str, dict[str, Any]] = {
            'exposure_low': {'exposure_s': model.min_exposure_s / 2},
            'exposure_high': {'exposure_s': model.max_exposure_s * 2, 'rate_hz': 1e-3},
            'gain_low': {'gain': 0.5},
            'gain_high': {'gain': model.max_gain * 2},
            'outside': {'roi': Roi(model.width_px - 64, 0, 128, 64)},
            'empty': {'roi': Roi(0, 0, 0, 64)},
        }
        settings = replace(self.settings(), **changes[name])
        assert fault_of(lambda: device.configure(rig.now_ns, settings)) == 'camera.settings'

    def test_stop_ends_the_stream(self, rig: Rig[Camera], device: Camera) -> None:
        device.configure(rig.now_ns, self.settings())
        self.first(rig, device)
        device.stop(rig.now_ns)
        device.stop(rig.now_ns)
        self.images(rig, device, self.traits.latency_s + 0.1)  # images in transfer
        assert self.images(rig, device, 1.0) == []
        device.configure(rig.now_ns, self.settings())
        self.first(rig, device)
