#!/usr/bin/env python3
"""PSNR and SSIM as scikit-image computes them, for comparison with mae/metrics.

usage: metrics_oracle.py FOLDER

For every FOLDER/NAME.SIZE.picture (float32 [SIZE, SIZE, 3] in [0,1]) beside NAME.SIZE.image (uint8 of
the same shape) prints "NAME mse psnr ssim" with 17 significant digits. Exits 77 when scikit-image
is not installed.
"""
import pathlib
import sys

try:
    import numpy as np
    from skimage.metrics import (mean_squared_error, peak_signal_noise_ratio,
                                 structural_similarity)
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.picture")):
    name, size = path.stem.rsplit(".", 1)
    shape = (int(size), int(size), 3)
    picture = np.fromfile(path, np.float32).reshape(shape).astype(np.float64)
    image = np.fromfile(path.with_suffix(".image"), np.uint8).reshape(shape) / 255.0
    ssim = structural_similarity(image, picture, gaussian_weights=True, sigma=1.5,
                                 use_sample_covariance=False, data_range=1, channel_axis=-1)
    mse = mean_squared_error(image, picture)
    psnr = peak_signal_noise_ratio(image, picture, data_range=1)
    print(f"{name} {mse:.17g} {psnr:.17g} {ssim:.17g}")
