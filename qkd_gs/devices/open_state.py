"""Open or closed: the check that a driver makes at the beginning of its calls."""

from __future__ import annotations

from qkd_gs.errors import DeviceFault


class OpenState:
    """Whether a device is open; refuses calls to one that is not.

    Parameters
    ----------
    code : str
        First part of the codes of its faults, e.g. ``'mount'``.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self.is_open = False

    def require(self) -> None:
        """Refuse a call to a device that is not open.

        Raises
        ------
        DeviceFault
            ``KIND.closed``.
        """
        if not self.is_open:
            raise DeviceFault(f'{self._code}.closed', 'the device is not open')
