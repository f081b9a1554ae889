"""Refusals of a key management entity, in the form of the standard."""

from __future__ import annotations

from typing import Any

BAD_REQUEST, UNAUTHORIZED, UNAVAILABLE = 400, 401, 503


class Refusal(Exception):
    """A request that is not granted.

    Parameters
    ----------
    status : int
        HTTP status: 400 bad request, 401 unauthorized, 503 error on the server's side.
    message : str
        For the client; it holds no key material and nothing of another client.
    details : dict
        Name and value of each further piece of information.
    """

    def __init__(self, status: int, message: str, **details: Any) -> None:
        super().__init__(f'{status}: {message}')
        self.status, self.message, self.details = status, message, details


def bad_request(message: str, **details: Any) -> Refusal:
    """The request is at fault."""
    return Refusal(BAD_REQUEST, message, **details)


def unauthorized() -> Refusal:
    """The caller may not do that; nothing more is said (clause 5: no response data)."""
    return Refusal(UNAUTHORIZED, '')


def unavailable(message: str, **details: Any) -> Refusal:
    """The request is right, but cannot be granted now."""
    return Refusal(UNAVAILABLE, message, **details)


SIZE_MESSAGE = 'size shall be a multiple of 8'  # clause 6.2
UNSUPPORTED_MESSAGE = 'not all extension_mandatory parameters are supported'  # clause 6.2
UNMET_MESSAGE = 'not all extension_mandatory request options could be met'  # clause 6.2
NOT_FOUND_MESSAGE = 'one or more keys specified are not found on KME'  # clause 6.4
EMPTY_MESSAGE = 'not enough key is stored for this request'
QUOTA_MESSAGE = 'the bits of this pair for today are used up'
