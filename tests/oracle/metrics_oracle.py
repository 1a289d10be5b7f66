#!/usr/bin/env python3
"""PSNR and SSIM as scikit-image computes them, for comparison with mae/metrics.

usage: metrics_oracle.py FOLDER SEED

Draws pairs of an image and a picture of it - noise and photos, from the smallest size that has an
SSIM up to 224 - into FOLDER/NAME.image (uint8 [SIZE, SIZE, 3]) and FOLDER/NAME.picture (float32 of
the same shape in [0,1]) and prints "NAME SIZE mse psnr ssim uniform global" with 17 significant
digits: ssim with the Gaussian window, with scikit-image's default one, and (it has no such
function) with one window over the whole arrays. Exits 77 when scikit-image is not installed.
"""
import pathlib
import sys

try:
    import numpy as np
    from skimage.metrics import (mean_squared_error, peak_signal_noise_ratio,
                                 structural_similarity)

    import pictures
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)


def distort(rng, image):
    """From nearly the image to hardly anything of it: less contrast, noise, whole blocks lost."""
    picture = image / 255.0
    picture = picture * rng.uniform(0.5, 1) + rng.normal(0, rng.uniform(0.001, 0.3), image.shape)
    rows, columns = (np.arange(n) // 8 for n in image.shape[:2])
    lost = rng.random((rows[-1] + 1, columns[-1] + 1)) < rng.uniform(0, 0.8)
    picture[lost[rows][:, columns]] = picture.mean()
    return picture.clip(0, 1).astype(np.float32)


def global_ssim(x, y):
    """The formula of Wang et al. 2004 over all values at once."""
    c1, c2, covariance = 0.01**2, 0.03**2, np.mean((x - x.mean()) * (y - y.mean()))
    return ((2 * x.mean() * y.mean() + c1) * (2 * covariance + c2)
            / ((x.mean()**2 + y.mean()**2 + c1) * (x.var() + y.var() + c2)))


folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))
for number in range(16):
    size = (11, 16, 33, 64, 96, 128, 224, int(rng.integers(11, 225)))[number // 2]
    image = (pictures.photo if number % 2 else pictures.noise)(rng, size, size)
    picture = distort(rng, image)
    (folder / f"{number}.image").write_bytes(image.tobytes())
    (folder / f"{number}.picture").write_bytes(picture.tobytes())
    image, picture = image / 255.0, picture.astype(np.float64)
    ssim = structural_similarity(image, picture, gaussian_weights=True, sigma=1.5,
                                 use_sample_covariance=False, data_range=1, channel_axis=-1)
    uniform = structural_similarity(image, picture, data_range=1, channel_axis=-1)
    mse = mean_squared_error(image, picture)
    psnr = peak_signal_noise_ratio(image, picture, data_range=1)
    print(f"{number} {size} {mse:.17g} {psnr:.17g} {ssim:.17g} {uniform:.17g} "
          f"{global_ssim(image, picture):.17g}")
