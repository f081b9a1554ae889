"""Greeting of the satellite, and the confirmation that both sides hold the key; of a first run and of a later one."""

from __future__ import annotations

from qkd_gs.qkd.link.authenticated_channel import AuthenticatedChannel, PreShared
from qkd_gs.qkd.link.channel import Channel, Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.link.transcript_file import TranscriptFile
from qkd_gs.qkd.protocol import messages
from qkd_gs.qkd.sifting.terms import Terms


def greet(link: AuthenticatedChannel, hello: messages.Hello, pre_shared: PreShared) -> messages.Welcome:
    """Ground: send the first message, and use the pre-shared slots that the answer names: one, or two for parts.

    Raises
    ------
    ProtocolError
        The answer names a slot that was not offered, or another number of them than is needed.
    """
    link.send(Kind.HELLO, hello)
    welcome = link.receive_section(Kind.WELCOME, messages.Welcome)
    slots = welcome.slots
    if len(set(slots)) != (2 if hello.parts > 1 else 1) or not set(slots) <= set(hello.pre_shared_slots):
        raise ProtocolError('disagreement', 'the satellite wants pre-shared bits that were not offered')
    link.authenticate(*(pre_shared.take(slot) for slot in slots))
    return welcome


def compare_names(link: AuthenticatedChannel, key_id: str) -> None:
    """Ground: wait until the satellite has stored its part, under the same name.

    Raises
    ------
    ProtocolError
        No answer, a changed one, or another name.
    """
    theirs = link.receive_section(Kind.AMPLIFIED, messages.KeyId).key_id
    link.verify_tag()
    if theirs != key_id:
        raise ProtocolError('disagreement', 'both sides give the key different names')


def exchange_confirmation(link: AuthenticatedChannel, key_id: str) -> None:
    """Ground: say that the key is stored here, and wait until the satellite has confirmed its own copy.

    Raises
    ------
    ProtocolError
        No answer, or a changed one.
    """
    link.send(Kind.STORED, messages.KeyId(key_id=key_id))
    link.send_tag()
    theirs = link.receive_section(Kind.CONFIRMED, messages.KeyId).key_id
    link.verify_tag()
    if theirs != key_id:
        raise ProtocolError('disagreement', 'the satellite has confirmed a key of another name')


def confirm_again(
    channel: Channel,
    terms: Terms,
    session_id: str,
    key_id: str,
    pre_shared: PreShared,
    transcript: TranscriptFile | None = None,
) -> None:
    """Ground: confirm a stored key whose confirmation was lost in an earlier run; discloses nothing.

    Raises
    ------
    ProtocolError
        The satellite does not answer, or holds no such key: then the key must not be used.
    """
    link = AuthenticatedChannel(channel, station=True, transcript=transcript)
    with link.ended_by_faults():
        hello = messages.Hello(
            session_id=session_id,
            terms=terms,
            pre_shared_slots=pre_shared.offers(),
            disclosed_before=0,
            stored_key=key_id,
        )
        (slot,) = greet(link, hello, pre_shared).slots
        exchange_confirmation(link, key_id)
        pre_shared.accept(slot)
    link.close()
