"""What `mae eval` measures, measured again with PyTorch, Pillow and scikit-image alone.

From a weights file and a packed data set: the held-out images, their evaluation masks, the model's
output for them and every metric of the protocol. Shares no code with the trainer; the formats and
the random numbers are written down here a second time.
"""
import struct

import numpy as np
import torch
from PIL import Image
from skimage.metrics import structural_similarity

import mae_oracle

PIXELS_AT = 4096
EVAL_MASK = 5  # the stream of random numbers that evaluation masks come from


def read_pack(path):
    """The held-out images of a pack, uint8 [height, width, 3] each."""
    data = np.memmap(path, np.uint8, "r")
    magic, version = struct.unpack_from("<8sI", data)
    if magic != b"MAEPACK\n" or version != 1:
        raise SystemExit(f"{path}: not a pack of format 1")
    train, held_out = struct.unpack_from("<II", data, 240)
    (index,) = struct.unpack_from("<Q", data, 264)
    images = []
    for i in range(train, train + held_out):
        offset, width, height = struct.unpack_from("<Qii", data, index + 24 * i)
        at = PIXELS_AT + offset
        images.append(np.array(data[at:at + 3 * width * height]).reshape(height, width, 3))
    return images


def centre_crop(image, size):
    height, width, _ = image.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = Image.fromarray(image).crop((left, top, left + side, top + side))
    return np.asarray(box.resize((size, size), Image.Resampling.BICUBIC))


def philox(counter, key):
    """Philox4x32-10 (Salmon et al. 2011) on Python integers."""
    low = 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [b >> 32 ^ counter[1] ^ key[0], b & low, a >> 32 ^ counter[3] ^ key[1], a & low]
        key = [key[0] + 0x9E3779B9 & low, key[1] + 0xBB67AE85 & low]
    return counter


def random_bits(seed, stream, epoch, sample, element):
    low = 0xFFFFFFFF
    words = philox([element >> 2, sample & low, sample >> 32 | stream << 24, epoch],
                   [seed & low, seed >> 32])
    return words[element & 3]


def visible_patches(seed, image, patches, keep):
    """Floyd's sampling: `keep` of `patches`, ascending."""
    visible = set()
    for element, last in enumerate(range(patches - keep, patches)):
        candidate = random_bits(seed, EVAL_MASK, 0, image, element) * (last + 1) >> 32
        visible.add(last if candidate in visible else candidate)
    return sorted(visible)


def psnr(squared_error):
    return -10 * np.log10(squared_error)


def ssim(image, picture):
    return structural_similarity(image, picture, gaussian_weights=True, sigma=1.5, data_range=1,
                                 use_sample_covariance=False, channel_axis=-1)


def unpatch(patches, side, patch):
    """[L, p*p*3] -> [size, size, 3]."""
    x = patches.reshape(side, side, patch, patch, 3).permute(0, 2, 1, 3, 4)
    return x.reshape(side * patch, side * patch, 3)


def pictures(oracle, images, prediction):
    """The decoder's output as pictures in [0,1]; norm_pix is undone with the target's own patch
    statistics, which is why such a model's scores are called leaky."""
    if oracle.norm_pix:
        target = oracle.patches(oracle.normalise(images))
        deviation = (target.var(-1, unbiased=True, keepdim=True) + 1e-6).sqrt()
        prediction = prediction * deviation + target.mean(-1, keepdim=True)
    for patches in prediction:
        pixels = unpatch(patches, oracle.side, oracle.patch)
        yield (pixels * mae_oracle.STD + mae_oracle.MEAN).clamp(0, 1).double().numpy()


def evaluate(oracle, held_out, ratio, seed):
    """Every metric under its name in the protocol, for all of the held-out images given."""
    size, patches = oracle.side * oracle.patch, oracle.side ** 2
    keep = int(round(patches * (1 - ratio) * 1e6)) // 10 ** 6
    images = torch.tensor(np.stack([centre_crop(image, size) for image in held_out]))
    visible = torch.tensor([visible_patches(seed, i, patches, keep)
                            for i in range(len(held_out))])
    with torch.no_grad():
        loss, prediction = oracle(images, visible)
    rows = []
    for image, kept, full in zip(images, visible, pictures(oracle, images, prediction)):
        hidden = torch.ones(patches)
        hidden[kept] = 0
        hidden = unpatch(hidden[:, None].expand(-1, 3 * oracle.patch ** 2), oracle.side,
                         oracle.patch).numpy()
        image = image.numpy() / 255.0
        composite = np.where(hidden > 0, full, image)
        error = ((composite - image) ** 2).sum()
        rows.append([psnr(error / hidden.sum()), psnr(error / hidden.size),
                     psnr(((full - image) ** 2).mean()), ssim(image, composite), ssim(image, full)])
    means = np.mean(rows, axis=0)
    names = ("psnr_masked", "psnr_composite", "psnr_full", "ssim_composite", "ssim_full")
    if oracle.norm_pix:
        means, names = means[[1, 3]], ("psnr_leaky", "ssim_leaky")
    return {"loss": loss.item(), **dict(zip(names, means))}
