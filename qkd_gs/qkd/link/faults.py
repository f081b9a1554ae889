"""Faults of the link between the two sides."""

from __future__ import annotations

from qkd_gs.errors import DeviceFault


class ProtocolError(DeviceFault):
    """The other side, the link, or somebody on it violated the protocol; the run ends and makes no key.

    Parameters
    ----------
    code : str
        Stable identifier, one of `CODES` without its prefix, e.g. ``'replay'``.
    message : str
        Description of the fault, without key material.
    """

    CODES = (
        'silent',  # nothing was received within the time-out
        'truncated',  # the stream ended inside a message, or before the last one
        'damaged',  # checksum wrong
        'replay',  # a sequence number seen before
        'reordered',  # a sequence number too early
        'version',  # the other side speaks another version
        'oversize',  # longer than any valid message
        'malformed',  # a message that does not parse, or is inconsistent
        'unexpected',  # a message that is not allowed at this step
        'refused',  # the other side ended the run and sent the reason
        'identity',  # not the pinned certificate
        'authentication',  # a tag does not match: tampering, or another pre-shared key
        'disagreement',  # both sides computed different public values
    )

    def __init__(self, code: str, message: str):
        if code not in self.CODES:
            raise ValueError(f'{code!r} is not a code of ProtocolError')
        super().__init__(f'link.{code}', message)
