"""GigE Vision server of the library Aravis (Debian: libaravis-0.8-0), through its C interface.

Its fake camera answers the control channel, keeps the registers and sends the packets; the pixels and the time stamp of
each image are ours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_double, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np

from qkd_gs.arrays import ImageArray
from qkd_gs.errors import StationError

LIBRARY = 'libaravis-0.8.so.0'
PACKAGE = 'libaravis-0.8-0'  # of Debian
MONO16 = 0x01100007

# Registers of Aravis' fake camera
SENSOR_HEIGHT, SENSOR_WIDTH = 0x118, 0x11C
WIDTH, HEIGHT, OFFSET_X, OFFSET_Y = 0x100, 0x104, 0x130, 0x134
ACQUISITION, PERIOD_US, EXPOSURE_US, GAIN = 0x124, 0x138, 0x120, 0x110
_LAST_NUMBER = 65535
_FILL = CFUNCTYPE(None, c_void_p, c_void_p, c_uint32, c_uint32, c_uint32)

Fill = Callable[['Buffer'], bool]


def load() -> tuple[Any, Any]:
    """The library, and GObject, on which it is built.

    Raises
    ------
    StationError
        It is not installed.
    """
    try:
        lib = ctypes.CDLL(LIBRARY)
        gobject = ctypes.CDLL('libgobject-2.0.so.0')
    except OSError as error:
        raise StationError(f'Aravis is not installed: {error}', hint=f'sudo apt install {PACKAGE}') from error
    for name, result, arguments in (
        ('arv_gv_fake_camera_new', c_void_p, (c_char_p, c_char_p)),
        ('arv_gv_fake_camera_is_running', c_int, (c_void_p,)),
        ('arv_gv_fake_camera_get_fake_camera', c_void_p, (c_void_p,)),
        ('arv_fake_camera_set_fill_pattern', None, (c_void_p, _FILL, c_void_p)),
        ('arv_fake_camera_read_register', c_int, (c_void_p, c_uint32, POINTER(c_uint32))),
        ('arv_fake_camera_write_register', c_int, (c_void_p, c_uint32, c_uint32)),
        ('arv_fake_camera_get_control_channel_privilege', c_uint32, (c_void_p,)),
        ('arv_buffer_get_data', c_void_p, (c_void_p, POINTER(c_size_t))),
        ('arv_buffer_get_image_width', c_int, (c_void_p,)),
        ('arv_buffer_get_image_height', c_int, (c_void_p,)),
        ('arv_buffer_set_timestamp', None, (c_void_p, c_uint64)),
        ('arv_buffer_set_frame_id', None, (c_void_p, c_uint64)),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, list(arguments)
    return lib, gobject


class Buffer:
    """An image that is about to be sent.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the image that belongs into it, 16 bits a pixel; (0, 0) for other pixel formats.
    """

    def __init__(self, lib: Any, pointer: int, pixel_format: int) -> None:
        self._lib, self._pointer = lib, pointer
        size = int(lib.arv_buffer_get_image_height(pointer)), int(lib.arv_buffer_get_image_width(pointer))
        self.shape = size if pixel_format == MONO16 else (0, 0)

    def write(self, image: ImageArray, stamp_ns: int) -> None:
        """Set pixels and time stamp; an image of another shape is left out."""
        if image.shape != self.shape:
            return
        data = self._lib.arv_buffer_get_data(self._pointer, None)
        image = np.ascontiguousarray(image)
        ctypes.memmove(data, image.ctypes.data, image.nbytes)
        self._lib.arv_buffer_set_timestamp(self._pointer, stamp_ns)

    def number(self, frame_id: int) -> None:
        """Set the number by which the client notices lost images, 1 to 65535."""
        self._lib.arv_buffer_set_frame_id(self._pointer, frame_id)


class Server:
    """A camera on the network.

    Parameters
    ----------
    address : str
        Of this machine; one camera an address.
    fill : callable
        Called by the server's thread when it would send an image; returns whether there is one.  Meanwhile the server
        answers nothing else.
    """

    def __init__(self, address: str, serial_number: str, sensor: tuple[int, int], fill: Fill) -> None:
        lib, self._gobject = load()
        self._lib = lib
        self._server = lib.arv_gv_fake_camera_new(address.encode('ascii'), serial_number.encode('ascii'))
        if not lib.arv_gv_fake_camera_is_running(self._server):
            raise StationError(
                f'no camera can listen at {address}, port 3956',
                hint=f'another one listens, or the machine lacks the address: sudo ip address add {address}/8 dev lo',
            )
        self._camera = lib.arv_gv_fake_camera_get_fake_camera(self._server)
        self._fill, self._number, self._share, self._lost = fill, 0, 0.0, 0.0
        self._callback = _FILL(
            lambda buffer, data, exposure_us, gain, pixel_format: self._next(Buffer(lib, buffer, pixel_format))
        )
        for address_of, value in ((SENSOR_WIDTH, sensor[0]), (SENSOR_HEIGHT, sensor[1])):
            self.write(address_of, value)
        lib.arv_fake_camera_set_fill_pattern(self._camera, self._callback, None)

    def register(self, address: int) -> int:
        """Value of a register."""
        value = c_uint32()
        self._lib.arv_fake_camera_read_register(self._camera, address, byref(value))
        return value.value

    def write(self, address: int, value: int) -> None:
        """Set a register."""
        self._lib.arv_fake_camera_write_register(self._camera, address, value)

    @property
    def streaming(self) -> bool:
        """Whether a client controls the camera and has started the acquisition."""
        controlled = self._lib.arv_fake_camera_get_control_channel_privilege(self._camera)
        return bool(controlled and self.register(ACQUISITION))

    def close(self) -> None:
        """Leave the network."""
        server, self._server = self._server, None
        if server is not None:
            self._gobject.g_object_unref(c_void_p(server))

    def lose_packets(self, share: float) -> None:
        """Leave out a share of the packets from now on."""
        self._share = share

    def _next(self, buffer: Buffer) -> None:
        """Fill a buffer.  The server sends it in any case; where there is no image it loses all packets of it."""
        is_filled = self._fill(buffer)
        if is_filled:
            self._number = self._number % _LAST_NUMBER + 1
            buffer.number(self._number)
        lost = self._share if is_filled else 1.0
        if lost != self._lost:
            self._lost = lost
            self._gobject.g_object_set(c_void_p(self._server), c_char_p(b'gvsp-lost-ratio'), c_double(lost), None)
