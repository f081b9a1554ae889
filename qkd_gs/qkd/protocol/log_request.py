"""The ground's request of the satellite's log: of its beacon, or of the disclosed pulses of a source without one."""

from __future__ import annotations

from collections.abc import Iterator

from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.spool import Spool
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.protocol.progress import Progress
from qkd_gs.qkd.sifting.states import BeaconLog, PublicLog
from qkd_gs.settings.public_pulses import PublicPulses


class LogRequest:
    """Request of the log between two UTC times, sent under the ground's tag; to be read to the end.

    The satellite's tag, which follows the log, is for the caller to verify.
    """

    def __init__(self, link: AuthenticatedChannel, first_utc_ns: int, last_utc_ns: int, progress: Progress) -> None:
        self._link, self._progress = link, progress
        progress('beacon log', 0.0)
        link.send(Kind.LOG_REQUEST, messages.LogRequest(first_utc_ns=first_utc_ns, last_utc_ns=last_utc_ns))
        link.send_tag()
        self._head = link.receive_section(Kind.LOG_HEAD, messages.LogHead)

    def beacon(self, beacon_rate_hz: float, spool: Spool) -> BeaconLog:
        """Log of a beacon of this rate."""
        return messages.read_log(self._head, self._blocks(messages.LOG_BLOCK), 1e12 / beacon_rate_hz, spool)

    def disclosed(self, rule: PublicPulses) -> PublicLog:
        """Intensities of the disclosed pulses."""
        return messages.read_public_log(self._head, self._blocks(rule.block), rule)

    def _blocks(self, size: int) -> Iterator[bytes]:
        for done in range(0, self._head.pulses, size):
            yield self._link.receive(Kind.LOG_BLOCK).payload
            self._progress('beacon log', min(1.0, (done + size) / self._head.pulses))
