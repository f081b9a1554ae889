"""Object dictionary of a servo drive with CiA 402, for the package canopen."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qkd_gs.drivers.extras import need

COUNTS = 2**26
_I8, _I16, _I32, _U8, _U16, _U32 = 2, 3, 4, 5, 6, 7  # data types of CiA 301
_PLAIN: dict[int, tuple[int, int]] = {
    0x1000: (_U32, 0x20192), 0x1001: (_U8, 0), 0x1017: (_U16, 0), 0x6007: (_I16, 1), 0x603F: (_U16, 0),
    0x6040: (_U16, 0), 0x6041: (_U16, 0x40), 0x605A: (_I16, 2), 0x6060: (_I8, 0), 0x6061: (_I8, 0),
    0x6064: (_I32, 0), 0x6065: (_U32, 2**31), 0x606C: (_I32, 0), 0x607A: (_I32, 0), 0x607F: (_U32, 2**31),
    0x6085: (_U32, 0), 0x60B1: (_I32, 0), 0x60C5: (_U32, 0), 0x60FF: (_I32, 0), 0x6502: (_U32, 0x3FF),
}  # fmt: skip
_RECORDS: dict[int, tuple[tuple[int, int, int], ...]] = {
    0x1016: ((1, _U32, 0),), 0x1018: ((1, _U32, 0x2E1), (2, _U32, 7), (3, _U32, 1), (4, _U32, 0)),
    0x1029: ((1, _U8, 0),), 0x607D: ((1, _I32, -(2**31)), (2, _I32, 2**31 - 1)),
    0x608F: ((1, _U32, COUNTS), (2, _U32, 1)), 0x60C2: ((1, _U8, 1), (2, _I8, -3)),
}  # fmt: skip


def _variable(index: int, kind: int, default: int, sub: int = 0) -> Any:
    od = need('canopen.objectdictionary', 'hil')
    variable = od.ODVariable(f'o{index:x}s{sub}', index, sub)
    variable.data_type, variable.access_type, variable.default, variable.pdo_mappable = kind, 'rw', default, True
    return variable


def dictionary(node_id: int, without: Collection[int] = ()) -> Any:
    """Dictionary of a drive; `without` some objects, as a drive that lacks them."""
    od = need('canopen.objectdictionary', 'hil')
    made = od.ObjectDictionary()
    for index, (kind, default) in _PLAIN.items():
        if index not in without:
            made.add_object(_variable(index, kind, default))
    records = dict(_RECORDS)
    records[0x1018] = (*records[0x1018][:3], (4, _U32, 1000 + node_id))
    for number in range(4):
        records |= {0x1400 + number: ((1, _U32, 0x80000000), (2, _U8, 255))}
        records |= {0x1800 + number: ((1, _U32, 0x80000000), (2, _U8, 255), (3, _U16, 0), (5, _U16, 0))}
        for base in (0x1600, 0x1A00):
            records[base + number] = ((0, _U8, 0), *((one, _U32, 0) for one in range(1, 9)))
    for index, members in records.items():
        if index in without:
            continue
        record = od.ODRecord(f'r{index:x}', index)
        for sub, kind, default in members:
            record.add_member(_variable(index, kind, default, sub))
        if members[0][0] != 0:
            record.add_member(_variable(index, _U8, max(one[0] for one in members)))
        made.add_object(record)
    return made
