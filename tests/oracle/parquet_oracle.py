#!/usr/bin/env python3
"""A data set as Hugging Face's parquet files, and the same pictures as files, for comparison.

usage: parquet_oracle.py FOLDER SEED

Writes FOLDER/parquet/*.parquet, turns them into FOLDER/shards with
experiments/parquet_to_shards.py, and writes FOLDER/files/SHARD/NAME.png and .cls. Prints the exit
code and the message of the script for files of another form. Exits 77 when pyarrow is not
installed.
"""
import pathlib
import random
import struct
import subprocess
import sys
import zlib

try:
    import pyarrow
    import pyarrow.parquet
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

folder, rng = pathlib.Path(sys.argv[1]), random.Random(int(sys.argv[2]))
script = pathlib.Path(__file__).parents[2] / "experiments/parquet_to_shards.py"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png():
    width, height = rng.randint(1, 40), rng.randint(1, 40)
    rows = b"".join(b"\0" + rng.randbytes(3 * width) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def write(name, count):
    pictures, labels = [png() for _ in range(count)], [rng.randrange(9) for _ in range(count)]
    table = pyarrow.table({"image": [{"bytes": p, "path": None} for p in pictures],
                           "label": labels})
    pyarrow.parquet.write_table(table, folder / "parquet" / f"{name}.parquet", row_group_size=100)
    files = folder / "files" / name
    files.mkdir(parents=True)
    for row, (picture, label) in enumerate(zip(pictures, labels)):
        (files / f"{row:08d}.png").write_bytes(picture)
        (files / f"{row:08d}.cls").write_text(str(label))


def convert(*files):
    return subprocess.run([sys.executable, script, folder / "shards", *files],
                          capture_output=True, text=True)


(folder / "parquet").mkdir()
write("train-00000-of-00002", 300)
write("train-00001-of-00002", 20)
write("valid-00000-of-00001", 30)
run = convert(*sorted((folder / "parquet").iterdir()))
if run.returncode:
    sys.exit(run.stderr)
other = folder / "other.parquet"
pyarrow.parquet.write_table(pyarrow.table({"image": [b"x"], "class": [1]}), other)
run = convert(other)
print(run.returncode, run.stderr, end="")
other.write_bytes(b"PAR1")
run = convert(other)
print(run.returncode, run.stderr, end="")
