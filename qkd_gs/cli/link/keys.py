"""`qkd-gs keys ...`: make a key folder, pair it with the other side's, and hand out finished keys."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from qkd_gs.cli.console.output import add_json_option, print_json
from qkd_gs.cli.link import delivery
from qkd_gs.errors import StationError
from qkd_gs.keys.credentials import certificate_fingerprint
from qkd_gs.keys.entries import KeyEntry, KeyStateName, Purpose, Side, parse_piece_name
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.keys.process_memory import protect_memory
from qkd_gs.session.manifest import load_manifest

_LEAST_PRE_SHARED, _MOST_PRE_SHARED = 256, 1 << 30  # bytes
_MAX_CERTIFICATE = 1 << 16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parts = parser.add_subparsers(dest='part', required=True, metavar='PART')

    def part(name: str, text: str) -> argparse.ArgumentParser:
        one = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
        one.add_argument('keys', type=Path, metavar='KEYS', help='the key folder')
        return one

    part('init', 'make a key folder')
    one = part('export-public', "write this side's certificate, for the other side to pin")
    one.add_argument('file', type=Path)
    one = part('pin', "trust a certificate, and no other, as the other side's")
    one.add_argument('file', type=Path)
    one = part('import-preshared', 'bring in the key shared with the other side; the same file at both')
    one.add_argument('file', type=Path)
    one = part('status', 'show what a key folder holds')
    one.add_argument('--config', type=Path, metavar='FILE', help='delivery.yaml, for the limit of a low stock')
    add_json_option(one)
    add_json_option(part('list', 'list the keys'))
    one = part('take', 'hand out bytes of a key, once; prints the ID that finds them at the other side')
    one.add_argument('bytes', type=int, metavar='BYTES')
    one.add_argument('--out', type=Path, required=True, metavar='FILE', help='must not exist; made with mode 0600')
    one.add_argument('--id', metavar='ID', help='the bytes that the other side has taken under this ID')
    one.add_argument('--for', dest='purpose', choices=[str(one) for one in Purpose], help='default: send')
    one.add_argument('--simulated', action='store_true', help='of a simulated session; protects nothing')
    one = part('erase', "destroy what is left of a session's key")
    one.add_argument('session', metavar='SESSION', help='its folder or its ID')
    delivery.add_parts(parts)


def run(args: argparse.Namespace) -> int:
    """One part."""
    if args.part == 'init':
        return _init(args)
    folder = KeyFolder(args.keys)
    if args.part in delivery.PARTS:
        return delivery.run(folder, args)
    parts = {
        'export-public': _export_public,
        'pin': _pin,
        'import-preshared': _import_pre_shared,
        'status': _status,
        'list': _list,
        'take': _take,
        'erase': _erase,
    }
    return parts[args.part](folder, args)


def _init(args: argparse.Namespace) -> int:
    folder = KeyFolder.create(args.keys)
    print(f'{folder.path}: made. Next, at both sides: export-public, pin, import-preshared.')
    print(f'Its certificate: {certificate_fingerprint(folder.own_certificate())}')
    return 0


def _export_public(folder: KeyFolder, args: argparse.Namespace) -> int:
    certificate = folder.own_certificate()
    try:
        with open(args.file, 'xb') as file:
            file.write(certificate)
    except FileExistsError as error:
        raise StationError('exists already', where=args.file) from error
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=args.file) from error
    print(certificate_fingerprint(certificate))
    return 0


def _pin(folder: KeyFolder, args: argparse.Namespace) -> int:
    certificate = _read(args.file, _MAX_CERTIFICATE)
    try:
        folder.pin_satellite(certificate)
    except StationError as error:
        where = args.file if error.where == 'certificate' else error.where
        raise StationError(error.what, where=where, hint=error.hint) from error
    print(certificate_fingerprint(certificate))
    print('Compare this with what export-public printed at the other side.')
    return 0


def _import_pre_shared(folder: KeyFolder, args: argparse.Namespace) -> int:
    material = _read(args.file, _MOST_PRE_SHARED)
    if len(material) < _LEAST_PRE_SHARED:
        raise StationError(f'has {len(material)} bytes, {_LEAST_PRE_SHARED} are the least', where=args.file)
    if len(set(material)) < 100:  # of 256 random bytes about 162 are different
        raise StationError('is not random: few of its bytes are different', where=args.file)
    folder.import_pre_shared(material)
    print(f'{8 * len(material)} bits brought in. Erase {args.file} at both sides.')
    return 0


def _status(folder: KeyFolder, args: argparse.Namespace) -> int:
    pinned = folder.pinned_certificate()
    entries = [(side, entry) for side, entry in _entries(folder) if not entry.simulated]
    usable = [entry for _, entry in entries if entry.state is KeyStateName.CONFIRMED]
    pre_shared = folder.pre_shared_key() if folder.has_pre_shared_key() else None
    status: dict[str, Any] = {
        'path': str(folder.path),
        'certificate': certificate_fingerprint(folder.own_certificate()),
        'pinned': None if pinned is None else certificate_fingerprint(pinned),
        'pre_shared': None
        if pre_shared is None
        else {'left_bits': pre_shared.left_bits, 'runs_left': pre_shared.runs_left},
        'keys': {str(state): sum(entry.state is state for _, entry in entries) for state in KeyStateName},
        'left_bits': {str(purpose): sum(entry.partition(purpose).left_bits for entry in usable) for purpose in Purpose},
        'kept_sessions': _kept_sessions(folder),
        'memory': {'unprotected': list(protect_memory())},
    }
    status['delivery'] = delivery.stock(folder, args.config)
    if args.json:
        print_json(status)
        return 0
    print(f'certificate   {status["certificate"]}')
    print(f'pinned        {status["pinned"] or "none: qkd-gs keys pin"}')
    left = (
        'none: qkd-gs keys import-preshared'
        if pre_shared is None
        else f'{pre_shared.left_bits:,} bits left, {pre_shared.runs_left} runs'
    )
    print(f'pre-shared    {left}')
    print('keys          ' + ', '.join(f'{number} {state}' for state, number in status['keys'].items()))
    print('left          ' + ', '.join(f'{bits:,} bits to {way}' for way, bits in status['left_bits'].items()))
    if status['kept_sessions']:
        print('kept          to be joined: ' + ', '.join(status['kept_sessions']))
    for name, one in status['delivery'].items():
        low = ', which is low' if one['low'] else ''
        print(f'delivery      {name}: {one["left_bits"]:,} bits left to give{low}; {one["waiting_keys"]} keys wait')
        for pair, bits in one['used_today_bits'].items():
            print(f'              {pair}: {bits:,} bits today')
    print('memory        ' + ('; '.join(protect_memory()) or 'protected from core dumps, other processes and the swap'))
    return 0


def _kept_sessions(folder: KeyFolder) -> list[str]:
    found = []
    for side in folder.sides(simulated=False):
        with folder.store(simulated=False, side=side) as store:
            found += store.kept_sessions()
    return found


def _list(folder: KeyFolder, args: argparse.Namespace) -> int:
    rows = [
        {
            'key_id': entry.key_id,
            'session_id': entry.session_id,
            'created': entry.created_utc,
            'side': side,
            'state': str(entry.state),
            'bits': entry.length_bits,
            'left_send_bits': entry.send.left_bits,
            'left_receive_bits': entry.receive.left_bits,
            'epsilon': entry.epsilon,
            'simulated': entry.simulated,
        }
        for side, entry in _all_entries(folder)
    ]
    if args.json:
        print_json(rows)
        return 0
    for row in rows:
        kind = '  simulated' if row['simulated'] else ''
        print(f'{row["created"]}  {row["session_id"]}  {row["bits"]:9,} bits  {row["state"]}{kind}')
    return 0


def _take(folder: KeyFolder, args: argparse.Namespace) -> int:
    if args.bytes < 1:
        raise StationError(f'{args.bytes} bytes cannot be taken', where='BYTES')
    purpose = Purpose(args.purpose or (Purpose.SEND if args.id is None else Purpose.RECEIVE))
    if args.id is not None and purpose is Purpose.SEND:
        raise StationError('the other side sends with the bits of an ID: they are for receiving here', where='--for')
    if args.id is not None and parse_piece_name(args.id)[2] != 8 * args.bytes:
        raise StationError(f'{args.id} has {parse_piece_name(args.id)[2] // 8} bytes, not {args.bytes}', where='BYTES')
    side = _side_of(folder, args.simulated, None if args.id is None else parse_piece_name(args.id)[0])
    try:  # before anything is taken
        descriptor = os.open(args.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise StationError('exists already', where=args.out) from error
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}', where=args.out) from error
    whole = False
    try:
        with os.fdopen(descriptor, 'wb') as file, folder.store(args.simulated, side) as store:
            if args.id is None:
                piece = store.take(8 * args.bytes, purpose, simulated=args.simulated)
            else:
                piece = store.take_named(args.id, simulated=args.simulated)
            with piece.material as material:
                file.write(material.reveal())
            file.flush()
            os.fsync(file.fileno())
        whole = True
    except OSError as error:
        raise StationError(f'cannot be written: {error.strerror}; the bytes are lost', where=args.out) from error
    finally:
        if not whole:
            args.out.unlink(missing_ok=True)
    print(piece.name)
    return 0


def _erase(folder: KeyFolder, args: argparse.Namespace) -> int:
    session = args.session
    if (Path(session) / 'session.json').exists():
        session = load_manifest(Path(session)).session_id
    erased = False
    for simulated in (False, True):
        for side in folder.sides(simulated):
            with folder.store(simulated, side) as store:
                if store.entry(session) is not None:
                    store.erase(session)
                    erased = True
    if not erased:
        raise StationError(f'holds no key of session {session}', where=folder.path)
    folder.destroy_session_key(session)
    print(f'session {session}: erased')
    return 0


def _entries(folder: KeyFolder) -> list[tuple[Side, KeyEntry]]:
    found = []
    for simulated in (False, True):
        for side in folder.sides(simulated):
            with folder.store(simulated, side) as store:
                found += [(side, entry) for entry in store.entries()]
    return found


def _all_entries(folder: KeyFolder) -> list[tuple[str, KeyEntry]]:
    """Entries of all stores, with the side or the name of the store."""
    found = []
    for simulated in (False, True):
        for name, store in folder.all_stores(simulated):
            with store:
                found += [(name, entry) for entry in store.entries()]
    return found


def _side_of(folder: KeyFolder, simulated: bool, key_id: str | None) -> Side:
    """Side of the link whose keys are meant: the one that has this key, or the only one that has keys."""
    having = [
        side
        for side, entry in _entries(folder)
        if entry.simulated == simulated and (entry.key_id == key_id if key_id else entry.length_bits)
    ]
    sides = list(dict.fromkeys(having))
    if len(sides) > 1:
        raise StationError('holds keys of both sides of the link', where=folder.path, hint='give --id')
    if not sides:
        raise StationError(
            'holds no key' if key_id is None else f'holds no key {key_id}',
            where=folder.path,
            hint='qkd-gs keys list shows what it holds',
        )
    return sides[0]


def _read(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise StationError(f'is longer than {most} bytes', where=path)
        return path.read_bytes()
    except OSError as error:
        raise StationError(f'cannot be read: {error.strerror}', where=path) from error
