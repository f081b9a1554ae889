"""Draw the station's URDF at two poses into a PNG: `.venv/bin/python tools/draw_station.py FILE.png`."""

from __future__ import annotations

import sys
from math import pi, radians
from xml.etree import ElementTree

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from transforms3d.euler import euler2mat

from qkd_gs.monitoring.description import robot_description
from qkd_gs.monitoring.kinematics import FrameTree
from qkd_gs.pointing.enu import JOINT_NAMES, joint_positions
from qkd_gs.pointing.mount_model import MountModel
from qkd_gs.settings.loader import load_yaml
from qkd_gs.settings.station import StationSettings
from qkd_gs.share import share_path

POSES_DEG = ((80.0, 20.0), (205.0, 72.0))
SIDES = 32


def numbers(text):
    """Numbers of an attribute."""
    return np.array([float(part) for part in text.split()])


def faces_of(geometry):
    """Faces of a box or cylinder about its centre, each an array (n, 3), m."""
    box = geometry.find('box')
    if box is not None:
        half = numbers(box.get('size')) / 2
        corners = {}
        for axis in range(3):
            others = [other for other in range(3) if other != axis]
            for side in (-1.0, 1.0):
                square = np.empty((4, 3))
                square[:, axis] = side
                square[:, others] = [(-1, -1), (-1, 1), (1, 1), (1, -1)]
                corners[axis, side] = square * half
        return list(corners.values())
    cylinder = geometry.find('cylinder')
    radius, half = float(cylinder.get('radius')), float(cylinder.get('length')) / 2
    angles = np.linspace(0, 2 * pi, SIDES, endpoint=False)
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    low, high = (np.column_stack([ring, np.full(SIDES, z)]) for z in (-half, half))
    sides = [np.array([low[i], low[(i + 1) % SIDES], high[(i + 1) % SIDES], high[i]]) for i in range(SIDES)]
    return [low, high, *sides]


def draw(axes, robot, tree, az_deg, el_deg):
    """One pose, lit from the upper left."""
    colours = {
        material.get('name'): numbers(material.find('color').get('rgba'))[:3] for material in robot.findall('material')
    }
    where = dict(zip(JOINT_NAMES, joint_positions(radians(az_deg), radians(el_deg)), strict=True))
    sun = np.array([0.3, -0.7, 0.65])
    faces, shades = [], []
    for link in robot.findall('link'):
        rotation, origin = tree.pose(link.get('name'), where)
        for visual in link.findall('visual'):
            place = visual.find('origin')
            turn = rotation @ euler2mat(*numbers(place.get('rpy', '0 0 0')), 'sxyz')
            centre = origin + rotation @ numbers(place.get('xyz', '0 0 0'))
            for face in faces_of(visual.find('geometry')):
                corners = face @ turn.T + centre
                normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
                outwards = corners.mean(axis=0) - centre
                normal *= np.sign(normal @ outwards) / np.linalg.norm(normal)
                faces.append(corners)
                shades.append(colours[visual.find('material').get('name')] * (0.6 + 0.4 * max(normal @ sun, 0.0)))
    axes.add_collection3d(Poly3DCollection(faces, facecolors=shades, edgecolors='none'))
    start = tree.pose('line_of_sight', where)
    beam = np.array([start[1] + start[0][:, 0] * length for length in (0.42, 1.3)])
    axes.plot(*beam.T, color='tab:green', lw=1)
    for name, tip in (('E', (0.7, 0, 0)), ('N', (0, 0.7, 0))):
        axes.plot([0, tip[0]], [0, tip[1]], [0, 0], color='0.6', lw=0.8)
        axes.text(*tip, name, fontsize=8)
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(0, 2.2), zlabel='m', title=f'azimuth {az_deg:g}°, elevation {el_deg:g}°')
    axes.set_box_aspect((2, 2, 2.2), zoom=1.25)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.view_init(elev=12, azim=-60)


def main() -> None:
    """Draw the station of config/station.yaml."""
    station = load_yaml(share_path('config', 'station.yaml'), StationSettings)
    text = robot_description(station, MountModel())
    figure = plt.figure(figsize=(10, 5.6), layout='constrained')
    for number, pose in enumerate(POSES_DEG, 1):
        axes = figure.add_subplot(1, len(POSES_DEG), number, projection='3d', computed_zorder=True)
        draw(axes, ElementTree.fromstring(text), FrameTree(text), *pose)
    figure.savefig(sys.argv[1], dpi=80)


if __name__ == '__main__':
    main()
