#!/usr/bin/env python3
"""Turns a data set of Hugging Face's parquet files into shards that data.source = webdataset reads.

usage: parquet_to_shards.py [--image COLUMN] [--label COLUMN] OUT FILE.parquet...

Every FILE.parquet becomes OUT/FILE.tar, which holds its pictures as they are encoded, in their
order: 00000000.jpg with 00000000.cls, the number of its class. A file's name should have train,
valid, validation, val or test as a word, as those of Hugging Face do. The column `image` holds
{bytes, path} or bytes, the column `label` whole numbers from 0. A shard that is there already is
kept, so that the same command goes on after an interruption.

Needs pyarrow (pip install pyarrow). Exit code 4: a file is missing or damaged, or not of this form.
"""
import argparse
import io
import os
import pathlib
import sys
import tarfile

BATCH = 256  # pictures held at once


def fail(message):
    print("parquet_to_shards:", message, file=sys.stderr)
    sys.exit(4)


try:
    import pyarrow
    import pyarrow.parquet
except ImportError as missing:
    fail(f"pyarrow, which this needs, is not usable: {missing} (pip install pyarrow)")


def ending(data, where):
    if data[:3] == b"\xff\xd8\xff":
        return "jpg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    return fail(f"{where}: neither a JPEG nor a PNG")


def samples(path, image, label):
    """Each row's bytes and label."""
    parquet = pyarrow.parquet.ParquetFile(path)
    names = parquet.schema_arrow.names
    for column in (image, label):
        if column not in names:
            fail(f"{path}: no column '{column}'; there are {', '.join(names)}")
    row = 0
    for batch in parquet.iter_batches(BATCH, columns=[image, label]):
        columns = batch.to_pydict()
        for picture, number in zip(columns[image], columns[label]):
            where = f"{path}: row {row}"
            data = picture.get("bytes") if isinstance(picture, dict) else picture
            if not isinstance(data, bytes):
                fail(f"{where}: column '{image}' holds no bytes of a picture")
            if not isinstance(number, int) or number < 0:
                fail(f"{where}: column '{label}' holds {number!r}, which is not the number of a "
                     "class")
            yield row, data, number, where
            row += 1


def add(shard, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    shard.addfile(info, io.BytesIO(data))


def convert(path, out, image, label):
    target = out / (path.name.removesuffix(".parquet") + ".tar")
    if target.exists():
        print(f"{target}: there already")
        return
    temporary = target.with_suffix(".tmp")
    count = 0
    with tarfile.open(temporary, "w") as shard:
        for row, data, number, where in samples(path, image, label):
            add(shard, f"{row:08d}.{ending(data, where)}", data)
            add(shard, f"{row:08d}.cls", f"{number}\n".encode())
            count += 1
    os.replace(temporary, target)
    print(f"{target}: {count} pictures")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="image", help="column of pictures")
    parser.add_argument("--label", default="label", help="column of class numbers")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for path in options.files:
        try:
            convert(path, options.out, options.image, options.label)
        except (OSError, pyarrow.ArrowException) as error:
            fail(f"{path}: {error}")


main()
