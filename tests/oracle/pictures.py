"""Fresh pictures for comparisons with scikit-image and Pillow: noise, and parts of photos."""
import numpy as np
import skimage.data


def photos():
    return [skimage.data.astronaut(), skimage.data.chelsea(), skimage.data.coffee()]


def noise(rng, height, width):
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def photo(rng, height, width):
    """A random part of a random photo, every second or third pixel of it where it is large enough:
    photos of every degree of detail."""
    choices = photos()
    whole = choices[rng.integers(len(choices))]
    most = min((whole.shape[0] - 1) // height, (whole.shape[1] - 1) // width)
    step = int(rng.integers(1, min(most, 3) + 1))
    top = rng.integers(0, whole.shape[0] - step * height)
    left = rng.integers(0, whole.shape[1] - step * width)
    return np.ascontiguousarray(
        whole[top:top + step * height:step, left:left + step * width:step])
