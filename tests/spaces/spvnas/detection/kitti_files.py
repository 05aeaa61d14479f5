"""A small folder as KITTI's object benchmark has it. The numbers are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CALIBRATION = """P0: 721.5 0 609.5 0 0 721.5 172.8 0 0 0 1 0
P1: 721.5 0 609.5 -387.5 0 721.5 172.8 0 0 0 1 0
P2: 721.5 0 609.5 44.8 0 721.5 172.8 0.2 0 0 1 0.003
P3: 721.5 0 609.5 -339.5 0 721.5 172.8 2.2 0 0 1 0.003
R0_rect: 0.9999239 0.00983776 -0.00744505 -0.0098698 0.9999421 -0.00427846 0.00740253 0.00435161 0.9999631
Tr_velo_to_cam: 0.007533745 -0.9999714 -0.000616602 -0.004069766 0.01480249 0.0007280733 -0.9998902 -0.07631618 \
0.9998621 0.00752379 0.01480755 -0.2717806
Tr_imu_to_velo: 1 0 0 0 0 1 0 0 0 0 1 0

"""
LABELS = """Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57
Pedestrian 0.50 2 -0.20 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01
DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10
"""


def folder_of(base: Path) -> Path:
    for name in ("velodyne", "calib", "label_2"):
        (base / "training" / name).mkdir(parents=True)
    (base / "ImageSets").mkdir()
    (base / "ImageSets" / "train.txt").write_text("000003\n\n000001\n")
    for name in ("000001", "000003"):
        (base / "training" / "calib" / f"{name}.txt").write_text(CALIBRATION)
        (base / "training" / "label_2" / f"{name}.txt").write_text(LABELS)
        points = np.array([[20, 0, 0, 0.5], [-20, 0, 0, 0.25], [10, 30, 0, 0.75]], dtype="<f4")
        points.tofile(base / "training" / "velodyne" / f"{name}.bin")
    return base
