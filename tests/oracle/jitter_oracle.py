#!/usr/bin/env python3
"""Colours changed by Pillow, for comparison with the color_jitter kernel.

usage: jitter_oracle.py FOLDER SEED

Draws square images (noise and photos) into FOLDER/images, uint8 RGB one behind the other, and for
each the factors of brightness, contrast and saturation in units of 1/16384 and an order of the
three. For each prints "size brightness contrast saturation first second third" and appends what
Pillow's ImageEnhance, which torchvision's ColorJitter calls, makes of it to FOLDER/expected. Exits
77 when Pillow or scikit-image's photos are not installed.
"""
import pathlib
import sys

try:
    import numpy as np
    from PIL import Image, ImageEnhance

    import pictures
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

ENHANCERS = ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color

folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
with open(folder / "images", "wb") as images, open(folder / "expected", "wb") as expected:
    for number in range(90):
        size = int(rng.choice((1, 7, 16, 32, 64, 96, 224)))
        pixels = (pictures.photo if number % 2 else pictures.noise)(rng, size, size)
        images.write(pixels.tobytes())
        low, high = (0, 32768) if number % 3 == 0 else (9831, 22937)
        factors = [int(n) for n in rng.integers(low, high + 1, 3)]
        order = [int(n) for n in rng.permutation(3)]
        result = Image.fromarray(pixels)
        for step in order:
            result = ENHANCERS[step](result).enhance(factors[step] / 16384)
        expected.write(np.asarray(result).tobytes())
        print(size, *factors, *order)
