#!/usr/bin/env python3
"""Picture files of every kind with what Pillow reads from them, for comparison with picture_read.

usage: picture_oracle.py FOLDER SEED

Writes files of random size and content into FOLDER, prints "name width height" for each and appends
the bytes of Image.open(name).convert("RGB") to FOLDER/expected. JPEGs are in every colour space,
also with the harmless faults of cameras and editors; PNGs of every depth, with transparency and
gamma. Where Pillow clips (16-bit grey) the high byte is expected. Exits 77 when Pillow is not
installed.
"""
import io
import pathlib
import struct
import sys
import warnings
import zlib

try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

warnings.simplefilter("ignore")
folder, rng = pathlib.Path(sys.argv[1]), np.random.default_rng(int(sys.argv[2]))


def smooth(height, width, channels):
    """Noise enlarged, so that a JPEG of it is like one of a photo."""
    small = rng.integers(0, 256, (max(height // 8, 2), max(width // 8, 2), channels), np.uint8)
    planes = [Image.fromarray(small[:, :, c]).resize((width, height), Image.BICUBIC)
              for c in range(channels)]
    return np.stack([np.asarray(p) for p in planes], 2)


def jpeg(mode, **options):
    height, width = (int(n) for n in rng.integers(9, 90, 2))
    pixels = smooth(height, width, {"L": 1, "RGB": 3, "CMYK": 4}[mode])
    image = Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode)
    data = io.BytesIO()
    image.save(data, "JPEG", **{"quality": int(rng.integers(40, 100)), **options})
    return data.getvalue()


def two_pictures():
    """As cameras write them: a second picture behind the first."""
    first, second = (Image.open(io.BytesIO(jpeg("RGB"))) for _ in range(2))
    data = io.BytesIO()
    first.save(data, "MPO", save_all=True, append_images=[second])
    return data.getvalue()


def jpegs():
    for subsampling in range(3):
        for progressive in (False, True):
            yield jpeg("RGB", subsampling=subsampling, progressive=progressive)
    yield jpeg("L")
    cmyk = jpeg("CMYK")
    yield cmyk
    adobe = cmyk.index(b"Adobe") + 11
    yield cmyk[:adobe] + b"\2" + cmyk[adobe + 1:]  # the same bytes, said to be YCCK
    start = cmyk.index(b"\xff\xee")
    yield cmyk[:start] + cmyk[start + 16:]  # without Adobe's marker
    for options in ({"subsampling": 2}, {"progressive": True}, {"quality": 30, "optimize": True}):
        inks = jpeg("CMYK", **options)
        adobe = inks.index(b"Adobe") + 11
        yield inks
        yield inks[:adobe] + b"\2" + inks[adobe + 1:]
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield jpeg("RGB", exif=exif)
    yield jpeg("RGB", icc_profile=rng.bytes(70000))  # of two markers, and no profile at all
    yield two_pictures()
    yield jpeg("L", progressive=True)
    named = bytearray(jpeg("RGB", subsampling=0))
    frame, scan = named.index(b"\xff\xc0"), named.index(b"\xff\xda")
    jfif = named[2:4 + struct.unpack(">H", named[4:6])[0]]
    for i, letter in enumerate(b"RGB"):
        named[frame + 10 + 3 * i] = named[scan + 5 + 2 * i] = letter
    yield bytes(named)
    yield bytes(named[:2] + named[2 + len(jfif):])  # without JFIF's marker the names say RGB
    plain = jpeg("RGB")
    for transform in range(3):  # Adobe's marker in place of JFIF's; 2 is nonsense, and told
        size = struct.unpack(">H", plain[4:6])[0]
        marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
        yield plain[:2] + marker + plain[4 + size:]
    rgb = jpeg("RGB")
    yield rgb[:-2] + b"\0" * int(rng.integers(20, 900)) + rgb[-2:]
    yield rgb + rng.bytes(100)
    tables = rgb.index(b"\xff\xdb")
    yield rgb[:tables] + b"padding" + rgb[tables:]
    jfif = rgb.index(b"JFIF\0") + 5
    yield rgb[:jfif] + b"\7" + rgb[jfif + 1:]
    scan = rgb.index(b"\xff\xda") + 11
    yield rgb[:scan] + b"\0\0" + rgb[scan + 2:]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, colour, extra=b""):
    """Random samples of any depth and colour type; Pillow itself writes only a few of them."""
    height, width = (int(n) for n in rng.integers(1, 40, 2))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = [b"\0" + rng.bytes((width * channels * depth + 7) // 8) for _ in range(height)]
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra +
            chunk(b"IDAT", zlib.compress(b"".join(rows))) + chunk(b"IEND", b""))


def pngs():
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    for extra in (b"", gamma):
        for depth in (1, 2, 4, 8, 16):
            yield png(depth, 0, extra)
        for depth in (1, 2, 4, 8):
            palette = chunk(b"PLTE", rng.bytes(3 << depth))
            yield png(depth, 3, extra + palette)
            yield png(depth, 3, extra + palette + chunk(b"tRNS", rng.bytes(1 << depth)))
        for colour in (2, 4, 6):
            for depth in (8, 16):
                yield png(depth, colour, extra)
    yield png(8, 2, chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
    yield png(8, 0, chunk(b"tRNS", struct.pack(">H", 200)))


with open(folder / "expected", "wb") as expected:
    for number, data in enumerate([*jpegs(), *pngs()]):
        image = Image.open(io.BytesIO(data))
        if image.mode.startswith("I"):
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        (folder / str(number)).write_bytes(data)
        pixels = np.asarray(image.convert("RGB"))
        expected.write(pixels.tobytes())
        print(number, pixels.shape[1], pixels.shape[0])
