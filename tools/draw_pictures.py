"""Draw the pictures of the README into doc/images/.

`make pictures SESSION=DIR` draws report.png from the session of a pass.  While a station runs,
`.venv/bin/python tools/draw_pictures.py --watch` draws what `qkd-gs watch` shows of it: watch.svg.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from rich.console import Console

from qkd_gs.monitoring.terminal import view
from qkd_gs.report.count_figures import count_rates, error_rate
from qkd_gs.report.key_figures import waterfall
from qkd_gs.report.style import house_style
from qkd_gs.report.tracking_figures import spot_offset
from qkd_gs.report.view import Maker, SessionView
from qkd_gs.session.manifest import load_manifest
from qkd_gs.session.telemetry import load_telemetry

IMAGES = Path(__file__).resolve().parents[1] / 'doc' / 'images'
FIGURES: tuple[tuple[Maker, Maker], ...] = ((spot_offset, count_rates), (error_rate, waterfall))
WIDTH_PX, GAP_PX = 540, 16
LISTEN_S = 8.0


def report_picture(session: Path) -> Path:
    """Four figures of a session's report, two by two."""
    shown = SessionView(load_manifest(session), load_telemetry(session))
    with mpl.rc_context(), house_style():
        rows = [_beside([_image(maker, shown) for maker in row]) for row in FIGURES]
    width = max(row.shape[1] for row in rows)
    path = IMAGES / 'report.png'
    picture = np.vstack([cv2.copyMakeBorder(row, 0, GAP_PX, 0, width - row.shape[1], cv2.BORDER_CONSTANT,
                                            value=(255, 255, 255)) for row in rows])  # fmt: skip
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    return path


def watch_picture(namespace: str) -> Path:
    """The screen of `qkd-gs watch` for the station that runs on this machine."""
    from qkd_gs.nodes.clients.listener import StationListener

    listener = StationListener(namespace)
    try:
        now = listener.listen(LISTEN_S)
    finally:
        listener.close()
    console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system='truecolor')
    console.print(view(now))
    path = IMAGES / 'watch.svg'
    svg = console.export_svg(title='qkd-gs watch')  # without its fonts, which lie on another site
    path.write_text(
        re.sub(r'@font-face \{.*?\}\s*', '', svg, flags=re.DOTALL), encoding='utf-8'
    )  # fonts of another site
    return path


def _image(maker: Maker, shown: SessionView) -> np.ndarray:
    plot = maker(shown)
    if plot is None:
        raise SystemExit(f'{shown.manifest.session_id}: nothing to draw for {maker.__name__}')
    plot.figure.suptitle(plot.title, fontsize=11)
    buffer = io.BytesIO()
    plot.figure.savefig(buffer, format='png', dpi=110)
    image = cv2.imdecode(np.frombuffer(buffer.getvalue(), np.uint8), cv2.IMREAD_COLOR)
    height = round(image.shape[0] * WIDTH_PX / image.shape[1])
    return cv2.resize(image, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)


def _beside(images: list[np.ndarray]) -> np.ndarray:
    height = max(image.shape[0] for image in images)
    return np.hstack(
        [cv2.copyMakeBorder(image, 0, height - image.shape[0], 0, GAP_PX, cv2.BORDER_CONSTANT,
                            value=(255, 255, 255)) for image in images]
    )  # fmt: skip


def main() -> None:
    """Draw one of the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('session', type=Path, nargs='?', help='folder of the session')
    parser.add_argument('--watch', action='store_true', help='draw the running station instead')
    parser.add_argument('--namespace', default='')
    args = parser.parse_args()
    IMAGES.mkdir(exist_ok=True)
    if not args.watch and args.session is None:
        parser.error('give the folder of a session, or --watch')
    sys.stdout.write(f'{watch_picture(args.namespace) if args.watch else report_picture(args.session)}\n')


if __name__ == '__main__':
    main()
