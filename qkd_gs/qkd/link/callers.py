"""Callers of a listening socket whose handshakes are under way: many at once, each for a limited time."""

from __future__ import annotations

import select
import selectors
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from qkd_gs.qkd.link.faults import ProtocolError

MOST = 64  # callers at a time; of more, the oldest of the address that has most of them is sent away
_PAUSE_S = 1.0  # after the system had no room for another connection


@dataclass(eq=False)
class _Caller:
    connection: ssl.SSLSocket
    address: str
    end_s: float


class Callers:
    """Handshakes with all who call, none of whom can keep another one waiting.

    Parameters
    ----------
    listening : socket
    context : ssl.SSLContext
        Of the server's side.
    clock_s : callable
        Monotonic clock, seconds.
    """

    def __init__(self, listening: socket.socket, context: ssl.SSLContext, clock_s: Callable[[], float]):
        self._listening, self._context, self._clock_s = listening, context, clock_s
        listening.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listening, selectors.EVENT_READ)
        self._callers: list[_Caller] = []
        self._refused: list[ProtocolError] = []

    def next(self, timeout_s: float, handshake_s: float) -> ssl.SSLSocket:
        """Connection to the next caller whose handshake is complete, in blocking mode.

        Parameters
        ----------
        timeout_s : float
            Longest wait for one.
        handshake_s : float
            Longest duration of a handshake.

        Raises
        ------
        ProtocolError
            A caller was sent away ('identity'; the others stay), or none came ('silent').
        """
        end_s = self._clock_s() + timeout_s
        while True:
            if self._refused:
                raise self._refused.pop(0)
            ends_s = [end_s, *(caller.end_s for caller in self._callers)]
            ready = self._selector.select(max(0.0, min(ends_s) - self._clock_s()))
            for key, _ in ready:
                if key.data is None:
                    self._take(handshake_s)
                elif self._is_complete(key.data):
                    return self._released(key.data)
            now_s = self._clock_s()
            for caller in [one for one in self._callers if one.end_s <= now_s]:
                self._send_away(caller, f'its handshake took over {handshake_s:g} s')
            if not ready and not self._refused and now_s >= end_s:
                raise ProtocolError('silent', f'no client connected within {timeout_s:g} s')

    def close(self) -> None:
        """Close all connections that are not handed out; may be called repeatedly."""
        for caller in self._callers:
            caller.connection.close()
        self._callers.clear()
        self._selector.close()

    def _take(self, handshake_s: float) -> None:
        """Begin a handshake with a new caller."""
        try:
            raw, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # it has hung up
            return
        except OSError as error:  # no room for it: those who are here may end first
            self._refused.append(ProtocolError('truncated', f'a caller could not be heard: {error.strerror}'))
            select.select([], [], [], _PAUSE_S)
            return
        try:
            raw.setblocking(False)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small parity messages wait for answers
            connection = self._context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):  # it has hung up
            raw.close()
            return
        caller = _Caller(connection, str(address[0]), self._clock_s() + handshake_s)
        self._callers.append(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)
        if len(self._callers) > MOST:
            most = Counter(one.address for one in self._callers).most_common(1)[0][0]
            oldest = next(one for one in self._callers if one.address == most)
            self._send_away(oldest, f'more than {MOST} callers at a time')

    def _is_complete(self, caller: _Caller) -> bool:
        """Continue a handshake."""
        if caller not in self._callers:  # sent away meanwhile
            return False
        try:
            caller.connection.do_handshake()
        except ssl.SSLWantReadError:
            self._selector.modify(caller.connection, selectors.EVENT_READ, caller)
        except ssl.SSLWantWriteError:
            self._selector.modify(caller.connection, selectors.EVENT_WRITE, caller)
        except (OSError, ValueError):
            self._send_away(caller, 'not the pinned certificate, or not TLS 1.3')
        else:
            return True
        return False

    def _released(self, caller: _Caller) -> ssl.SSLSocket:
        self._selector.unregister(caller.connection)
        self._callers.remove(caller)
        caller.connection.setblocking(True)
        return caller.connection

    def _send_away(self, caller: _Caller, why: str) -> None:
        self._selector.unregister(caller.connection)
        self._callers.remove(caller)
        caller.connection.close()
        self._refused.append(ProtocolError('identity', f'the handshake failed: {why}'))
