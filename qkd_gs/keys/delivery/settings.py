"""Settings of key delivery: delivery.yaml."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from qkd_gs.keys.delivery.offers import MAX_OFFERS
from qkd_gs.keys.delivery.users import check_name
from qkd_gs.settings.loader import Section
from qkd_gs.settings.satellite import parse_address


class Source(StrEnum):
    """Keys that are delivered: of the folder's own link, or relayed by the satellite."""

    LINK = 'link'
    RELAYED = 'relayed'


class PeerKme(Section):
    """The KME of another station."""

    address: str = Field(description='HOST:PORT of its server')
    certificate: Path = Field(description='its certificate, the only one that is accepted; relative to this file')
    keys: Source = Field(default=Source.LINK, description='link: keys of the link to it; relayed: by the satellite')

    @field_validator('address')
    @classmethod
    def _an_address(cls, value: str) -> str:
        parse_address(value)
        return value


class DeliverySettings(Section):
    """All of delivery.yaml; every key has a default."""

    kme_id: str = Field(default='KME', description='KME ID of this station')
    listen: str = Field(default='127.0.0.1:8014', description='HOST:PORT; port 0: any')
    hostnames: list[str] = Field(
        default=['localhost', '127.0.0.1'], description='names and addresses in the certificate of the server'
    )
    key_size: int = Field(default=256, ge=8, description='size of a key if the request tells none, bit')
    min_key_size: int = Field(default=64, ge=8, description='bit')
    max_key_size: int = Field(default=8192, ge=8, description='bit')
    max_key_per_request: int = Field(default=128, ge=1, le=MAX_OFFERS)
    max_key_count: int = Field(default=100_000, ge=1, description='largest number of keys told as stored')
    max_sae_id_count: int = Field(default=0, ge=0, le=64, description='additional slave SAEs of a request')
    reserve_bits: int = Field(default=0, ge=0, description='bits of a store that nobody gets')
    low_stock_bits: int = Field(default=100_000, ge=0, description='a store with less is told as low')
    repeat_dec_keys_s: float = Field(
        default=0.0, ge=0, le=86_400, description='time in which a slave SAE may repeat a request of keys; 0: never'
    )
    peers: dict[str, PeerKme] = Field(default_factory=dict, description='KMEs of other stations by their KME ID')

    @field_validator('listen')
    @classmethod
    def _an_address(cls, value: str) -> str:
        parse_address(value)
        return value

    @field_validator('min_key_size', 'key_size', 'max_key_size')
    @classmethod
    def _whole_bytes(cls, value: int) -> int:
        if value % 8:
            raise ValueError('is not a multiple of 8')
        return value

    @model_validator(mode='after')
    def _consistent(self) -> DeliverySettings:
        if not self.min_key_size <= self.key_size <= self.max_key_size:
            raise ValueError('key_size is not between min_key_size and max_key_size')
        for name in (self.kme_id, *self.peers):
            check_name(name)
        if self.kme_id in self.peers:
            raise ValueError(f'{self.kme_id} is this KME itself and among the peers')
        return self

    def placed_at(self, folder: Path) -> DeliverySettings:
        """The same with absolute paths; `folder` is that of the settings file."""
        peers = {
            name: one.model_copy(update={'certificate': folder / one.certificate}) for name, one in self.peers.items()
        }
        return self.model_copy(update={'peers': peers})
