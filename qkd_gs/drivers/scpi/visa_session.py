"""Conversation with an instrument through PyVISA; each call waits for it, at most for the time-out."""

from __future__ import annotations

from typing import Any

from qkd_gs.drivers.extras import need
from qkd_gs.errors import DeviceFault

_EXTRA = 'visa'
_OPEN_MS = 1000
_ENDS = {'lf': '\n', 'cr': '\r', 'crlf': '\r\n'}


class VisaSession:
    """An instrument.

    Parameters
    ----------
    code : str
        Kind of device, the first part of its fault codes.
    resource : str
        Its VISA name.
    library : str
        Of PyVISA; ``'@py'`` is PyVISA-py.
    line_end : str
        ``'lf'``, ``'cr'`` or ``'crlf'``.
    baud : int
        Of a serial resource.
    """

    def __init__(
        self, code: str, resource: str, library: str, timeout_s: float, line_end: str = 'lf', baud: int = 9600
    ) -> None:
        self._code, self._resource, self._library = code, resource, library
        self._timeout_s, self._end, self._baud = timeout_s, _ENDS[line_end], baud
        self._session: Any = None
        self._errors: tuple[type[Exception], ...] = ()

    def open(self) -> None:
        """Open the resource, and clear what an earlier conversation has left where the bus can do that.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: it is not there, or in use.
        StationError
            A library is not installed.
        """
        visa = need('pyvisa', _EXTRA)
        # What PyVISA's own errors do not wrap: those of sockets, serial ports, USB and HiSLIP.
        self._errors = (visa.errors.Error, OSError, ValueError, EOFError, RuntimeError)
        if self._library == '@py':
            self._errors += (need('pyvisa_py.protocols.rpc', _EXTRA).RPCError,)
        try:
            self._session = visa.ResourceManager(self._library).open_resource(
                self._resource,
                open_timeout=_OPEN_MS,
                timeout=round(self._timeout_s * 1e3),
                read_termination=self._end,
                write_termination=self._end,
            )
            if self._session.interface_type == visa.constants.InterfaceType.asrl:
                self._session.set_visa_attribute(visa.constants.ResourceAttribute.asrl_baud_rate, self._baud)
            self._clear(visa)
        except self._errors as error:
            self.close()
            raise self._lost(error) from error

    def _clear(self, visa: Any) -> None:
        try:
            self._session.clear()
        except NotImplementedError:
            pass  # a library without device clear
        except visa.errors.VisaIOError as error:
            if error.error_code != visa.constants.StatusCode.error_nonsupported_operation:
                raise

    def write(self, message: str) -> None:
        """Send a message; raises ``KIND.silent`` if it is not taken."""
        try:
            self._open_session().write(message)
        except self._errors as error:
            raise self._lost(f'{message!r}: {error}') from error

    def query(self, message: str) -> str:
        """Answer to a question without its end; bytes that are not ASCII become '?'.

        Raises
        ------
        DeviceFault
            ``KIND.silent``: no answer within the time-out, or the connection is gone.
        """
        self.write(message)
        try:
            answer: bytes = self._open_session().read_raw()
        except self._errors as error:
            raise self._lost(f'no answer to {message!r}: {error}') from error
        return answer.decode('ascii', 'replace').replace('\ufffd', '?').strip()

    def close(self) -> None:
        """Close it; allowed in every state."""
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except self._errors:
                pass  # of a connection that is gone

    def _open_session(self) -> Any:
        if self._session is None:
            raise self._lost('it is closed')
        return self._session

    def _lost(self, why: object) -> DeviceFault:
        return DeviceFault(f'{self._code}.silent', f'{self._resource}: {why}')
