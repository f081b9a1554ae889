"""Images of the cameras, from and into messages."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from qkd_gs.devices.camera import Frame, Roi
from qkd_gs.errors import StationError
from qkd_gs.nodes.conversions.messages import frame_of, header, region, stamp_of
from qkd_gs.settings.station import CameraModel
from qkd_gs.tracking.types import CameraRole

_ENCODING = 'mono16'


def image(frame: Frame, camera: CameraRole) -> Image:
    """Image of the region read out, mono16."""
    height, width = frame.image.shape
    message = Image(
        header=header(frame.stamp_ns, frame_of(camera)), height=height, width=width, encoding=_ENCODING, step=2 * width
    )
    message.data.frombytes(frame.image.tobytes())
    return message


def camera_info(frame: Frame, camera: CameraRole, model: CameraModel) -> CameraInfo:
    """CameraInfo: a pinhole whose focal length is one over the angle of a pixel."""
    focal_px = 1e6 / model.scale_urad_px
    x0, y0 = model.reference_x_px, model.reference_y_px
    return CameraInfo(
        header=header(frame.stamp_ns, frame_of(camera)),
        height=model.height_px,
        width=model.width_px,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[focal_px, 0.0, x0, 0.0, focal_px, y0, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal_px, 0.0, x0, 0.0, 0.0, focal_px, y0, 0.0, 0.0, 0.0, 1.0, 0.0],
        roi=region(frame.roi),
    )


def from_image(message: Image, exposure_s: float) -> Frame:
    """Frame of a whole image; a message tells neither gain nor exposure.

    Parameters
    ----------
    exposure_s : float
        At most.

    Raises
    ------
    StationError
        Of another encoding, or with more or fewer bytes than it says.
    """
    height, width = message.height, message.width
    if message.encoding != _ENCODING or message.step != 2 * width or len(message.data) != 2 * width * height:
        raise StationError(f'an image of {width} x {height} pixels, {message.encoding}, is not {_ENCODING}')
    kind = '>u2' if message.is_bigendian else '<u2'
    pixels = np.frombuffer(message.data, kind).reshape(height, width).astype(np.uint16)
    return Frame(stamp_of(message), exposure_s, 1.0, pixels, Roi(0, 0, width, height))
