#!/usr/bin/env python3
"""Crops resized by Pillow, for comparison with the crop_resize kernel.

usage: crop_oracle.py FOLDER SEED

Draws images (noise and photos) into FOLDER/pool, uint8 RGB one behind the other, and boxes in them
that are shrunk, stretched, both, or kept. For each prints "offset src_width src_height left top
width height flip size" and appends what Pillow makes of it to FOLDER/expected. Exits 77 when Pillow
or scikit-image's photos are not installed.
"""
import pathlib
import sys

try:
    import numpy as np
    from PIL import Image

    import pictures
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)


def box(rng, width, height, size, kind):
    """Width and height of a box: up to all of the image, at most or at least the target size, or
    exactly it in one direction."""
    w, h = (int(rng.integers(1, n + 1)) for n in (width, height))
    if kind == "shrink":
        w, h = (int(rng.integers(min(size, n), n + 1)) for n in (width, height))
    elif kind == "stretch":
        w, h = (int(rng.integers(1, min(size, n) + 1)) for n in (width, height))
    elif kind == "whole":
        w, h = width, height
    elif kind == "one way":
        w = min(size, width)
    return w, h


folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
offset = 0
with open(folder / "pool", "wb") as pool, open(folder / "expected", "wb") as expected:
    for number in range(60):
        width, height = (int(n) for n in rng.integers(1, (40, 130, 290)[number % 3], 2))
        image = (pictures.photo if number % 2 else pictures.noise)(rng, height, width)
        kind = ("any", "shrink", "stretch", "whole", "one way")[number % 5]
        size = int(rng.choice((1, 7, 16, 32, 64, 96, 224)))
        w, h = box(rng, width, height, size, kind)
        left, top = (int(rng.integers(0, n + 1)) for n in (width - w, height - h))
        flip = int(rng.integers(2))
        result = Image.fromarray(image).crop((left, top, left + w, top + h))
        result = np.asarray(result.resize((size, size), Image.BICUBIC))
        expected.write(np.ascontiguousarray(result[:, ::-1] if flip else result).tobytes())
        pool.write(image.tobytes())
        print(offset, width, height, left, top, w, h, flip, size)
        offset += image.size
