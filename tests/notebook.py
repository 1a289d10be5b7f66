"""Runs experiments/kaggle.ipynb as Kaggle would, at a tiny size on the CPU.

    notebook.py SOURCE PROGRAMS SCRATCH

Once whole, with TinyImageNet's layout somewhere below the inputs, and its planning alone without
images. Exit 0: trials, figures and files came out; 77: nbclient or ipykernel is not installed.
"""

import os
import pathlib
import re
import shutil
import sqlite3
import sys

try:
    import ipykernel  # noqa: F401: the kernel that runs the cells
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError
except ImportError as missing:
    print(f"skipped: {missing}; sh tests/deps.sh notebook installs it")
    sys.exit(77)

TINY = """model.encoder=32x1x2 model.decoder=16x1x2 train.steps=6 train.warmup_steps=2 train.batch=8
    data.train_images=16 eval.images=8 eval.batch=8 eval.every=3 probe.method=off run.threads=1
    train.mask_ratio=0.5,0.75 sweep.seeds=1"""
CLASSES = [f"n{number:08d}" for number in range(200)]


def write_tiny_imagenet(folder, picture):
    """An image of each class, as some have it: without wnids.txt."""
    (folder / "val/images").mkdir(parents=True)
    annotations = ""
    for name in CLASSES:
        (folder / "train" / name / "images").mkdir(parents=True)
        shutil.copy(picture, folder / f"train/{name}/images/{name}_0.JPEG")
        shutil.copy(picture, folder / f"val/images/val_{name}.JPEG")
        annotations += f"val_{name}.JPEG\t{name}\t0\t0\t1\t1\n"
    (folder / "val/val_annotations.txt").write_text(annotations)


def execute(notebook, folder, settings):
    """Runs the cells with these settings; all they printed, and the types of what they showed."""
    for name, value in settings.items():
        os.environ["MAEBENCH_" + name] = str(value)
    client = NotebookClient(notebook, timeout=900, kernel_name="python3",
                            resources={"metadata": {"path": str(folder)}})
    try:
        client.execute()
    except CellExecutionError as e:
        sys.exit(f"{outputs(notebook)[0]}{e}")
    return outputs(notebook)


def outputs(notebook):
    all_outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return ("".join(output.get("text", "") for output in all_outputs),
            [kind for output in all_outputs for kind in output.get("data", {})])


def main():
    source, programs, scratch = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "inputs").mkdir(parents=True)
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # the debugger of the kernel is not used
    os.environ.pop("MAE", None)
    file = source / "experiments/kaggle.ipynb"
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and not cell.get("execution_count"), \
            f"{file}: has outputs; remove them before it is committed"

    settings = {"SCALE": "cpu", "PROGRAMS": programs, "TIME_LIMIT": "30m",
                "OPTIONS": " ".join(TINY.split()), "INPUTS": scratch / "inputs",
                "WORK": scratch / "plan"}
    plan = nbformat.read(file, as_version=4)
    while "--dry-run" not in plan.cells[-1].source:
        plan.cells.pop()
    printed, _ = execute(plan, file.parent, settings)
    assert "No TinyImageNet below" in printed and "2 trials" in printed, printed

    write_tiny_imagenet(scratch / "inputs/some-data-set/tiny-imagenet-200",
                        source / "tests/fuzz/corpus/picture/rgb.jpg")
    settings["WORK"] = scratch / "work"
    printed, shown = execute(notebook, file.parent, settings)
    assert "TinyImageNet: " + str(scratch / "inputs/some-data-set") in printed, printed
    assert "The sweep is finished." in printed, printed
    database = sqlite3.connect(scratch / "work/results/results.db")
    done = database.execute("select count(*), min(psnr_masked) from trials where status = 'done'"
                            " and data_source = 'tiny-imagenet'").fetchone()
    assert done[0] == 2 and done[1] is not None, f"{done}\n{printed}"
    if shutil.which("gnuplot") and shutil.which("sqlite3"):
        assert shown.count("image/svg+xml") >= 2, f"{shown}\n{printed}"
        assert list((scratch / "work/figures").glob("*/quality.svg"))
        assert re.search(r"text/markdown", " ".join(shown))
    print("notebook.py: the cells ran,", shown.count("image/svg+xml"), "figures,", done[0], "trials")


main()
