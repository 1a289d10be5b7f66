"""Weights to and from other programs, and a recorded score measured a second time.

    python3 tests/oracle/interchange.py --mae build/bin/mae [--base] [--seed N]

Trains small models with `mae train` and requires that
 - the oracle loads their checkpoints with strict=True and, on the same held-out images and masks,
   gets the logged loss, PSNR and SSIM with PyTorch, Pillow and scikit-image alone (evaluate.py);
 - the oracle's own state dict, taken in by `mae import`, scores the same in `mae eval`;
 - `mae export` writes what timm's VisionTransformer loads with strict names and Hugging Face's
   ViTMAE (transformers 4 or 5) with from_pretrained, and they compute the same from it;
 - `mae import` takes back what those save, under their own names and in 16 bits, with every value
   unchanged. Both where those programs are installed.
--base does the last two with ViT-Base at 224 px, as timm's vit_base_patch16_224.mae. Inputs are fresh on
every run; the seed is printed. Exit status 1 when anything differs by more than is allowed.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch

import evaluate
import mae_oracle
import safetensors_io

SMALL = dict(image_size=48, patch_size=8, encoder=(48, 2, 3), decoder=(32, 1, 2))
BASE = dict(image_size=224, patch_size=16, encoder=(768, 12, 12), decoder=(512, 8, 16))
CASES = (dict(), dict(norm_pix=True), dict(pos_embed="learned", decoder_pos_embed="sincos1d"))
RATIO = 0.75
LOSS, SCORE, OUTPUT = 2e-5, 2e-5, 2e-5  # relative

failures = 0


def check(what, error, tolerance):
    global failures
    good = error <= tolerance
    failures += not good
    print(f"  {what:72s} {error:9.1e}{'' if good else f'   > {tolerance:.0e}  FAILED'}", flush=True)


def relative(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    error = np.linalg.norm(a - b) / np.linalg.norm(b)
    return error if np.isfinite(error) else np.inf


def mae(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"mae {' '.join(map(str, arguments))}: {done.stderr.strip()}")
    return done.stdout


def settings(model, options):
    values = {"model.image_size": model["image_size"], "model.patch_size": model["patch_size"],
              "model.encoder": "x".join(map(str, model["encoder"])),
              "model.decoder": "x".join(map(str, model["decoder"])), "train.mask_ratio": RATIO}
    for key, value in options.items():
        section = "train" if key == "norm_pix" else "model"
        values[f"{section}.{key}"] = str(value).lower()
    return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]


def events(folder, name):
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def save_public(path, oracle, prefix=""):
    safetensors_io.save(path, {prefix + name: value.detach().numpy()
                               for name, value in oracle.state_dict().items()})


def load_strict(oracle, path):
    oracle.load_state_dict({name: torch.tensor(value)
                            for name, value in safetensors_io.load(path).items()}, strict=True)


def recorded_scores(program, folder, options, seed):
    """A trained model's logged scores against evaluate.py's; then the import of its state dict."""
    data = ["--set", f"data.cache={folder / 'cache'}", "--set", "data.source=shapes", "--set",
            "data.train_images=64", "--set", "train.batch=16", "--set", "eval.images=20", "--set",
            f"eval.seed={seed % 1000}"]
    run = folder / "run"
    mae(program, "train", "--quiet", "--out", run, *settings(SMALL, options), *data, "--set",
        "train.steps=12", "--set", "train.warmup_epochs=0", "--set", "train.blr=0.02", "--set",
        f"run.seed={seed % 9973}")
    (checkpoint,) = run.glob("checkpoints/step-12/model.safetensors")
    oracle = mae_oracle.MaskedAutoencoder(**SMALL, **options)
    load_strict(oracle, checkpoint)
    (pack,) = (folder / "cache").glob("*.pack")
    held_out = evaluate.read_pack(pack)[:20]
    scores = evaluate.evaluate(oracle, held_out, RATIO, seed % 1000)
    logged = events(run, "eval")[-1]
    for name, value in scores.items():
        check(f"logged {name} {logged[name]:.6f}", relative(logged[name], value),
              LOSS if name == "loss" else SCORE)

    save_public(folder / "public", oracle, "model.")
    mae(program, "import", folder / "public", "--out", folder / "in", *settings(SMALL, options))
    again = json.loads(mae(program, "eval", "--json", "--checkpoint", folder / "in", *data))
    for name in scores:
        check(f"{name} of the imported state dict", relative(again["model"][name], logged[name]),
              1e-8)  # what nine logged digits allow


def exported(program, folder, model, generator, base):
    """Random weights through `mae import` and `mae export` into timm and Hugging Face, and back."""
    oracle = mae_oracle.MaskedAutoencoder(**model)
    oracle.randomize(generator)
    save_public(folder / "public", oracle)
    mae(program, "import", folder / "public", "--out", folder / "in", *settings(model, {}))
    size, patches = model["image_size"], oracle.side ** 2
    images = torch.randint(0, 256, (2, size, size, 3), generator=generator, dtype=torch.uint8)
    for compare in (with_timm, with_hugging_face):
        try:
            compare(program, folder, model, oracle, images, patches, generator, base)
        except ImportError as problem:
            print(f"  {problem}: {compare.__name__[5:]} is not compared with")


def run_lines(lines):
    """The Python that `mae export` printed; what it leaves."""
    names = {}
    exec(lines, names)
    return names


def taken_back(what, program, folder, tensors, *arguments, decoder):
    """Saves torch tensors and imports them: every value of the original import again, rounded to
    the type it was saved in."""
    from safetensors.torch import save_file
    original = safetensors_io.load(folder / "in")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        saved = {name: value.detach().to(dtype).contiguous() for name, value in tensors.items()}
        (folder / "back").mkdir(exist_ok=True)
        save_file(saved, folder / "back" / "model.safetensors")
        mae(program, "import", folder / "back", "--out", folder / "again", *arguments)
        again = safetensors_io.load(folder / "again")
        wrong = [name for name, value in original.items() if decoder or not is_decoder(name)
                 if not np.array_equal(torch.tensor(value).to(dtype).float().numpy(), again[name])]
        check(f"{what} back, {str(dtype)[6:]}: wrong tensors", len(wrong), 0)


def is_decoder(name):
    return name.startswith("decoder_") or name == "mask_token"


def with_timm(program, folder, model, oracle, images, patches, generator, base):
    import timm
    lines = mae(program, "export", folder / "in", "--format", "timm", "--out", folder / "timm")
    peer = run_lines(lines)["model"].eval()
    tokens = {}
    hook = oracle.norm.register_forward_hook(lambda module, given, out: tokens.update(encoder=out))
    with torch.no_grad():
        oracle(images, torch.arange(patches).expand(len(images), -1))
        features = peer.forward_features(oracle.normalise(images))
    hook.remove()
    name = f"timm {timm.__version__}"
    check(f"{name}, strict names: features", relative(features, tokens["encoder"]), OUTPUT)
    if base:
        data = timm.data.resolve_data_config({}, model=peer)
        check(f"{name}: mean and std of its data config",
              relative(data["mean"] + data["std"], [.485, .456, .406, .229, .224, .225]), 1e-12)
    taken_back(name, program, folder, peer.state_dict(), "--encoder", *settings(model, {}),
               decoder=False)


def with_hugging_face(program, folder, model, oracle, images, patches, generator, base):
    import transformers
    from PIL import Image
    name = f"transformers {transformers.__version__}"
    given = folder / "hf"
    lines = mae(program, "export", folder / "in", "--format", "hf", "--out", f"{given}/")
    peer, report = transformers.ViTMAEForPreTraining.from_pretrained(given,
                                                                     output_loading_info=True)
    check(f"{name}: names and shapes that from_pretrained misses",
          sum(len(report[kind]) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")),
          0)
    left = run_lines(lines)
    pictures = [Image.fromarray(image.numpy()) for image in images]
    pixels = left["processor"](pictures, return_tensors="pt")["pixel_values"]
    check(f"{name}: pixels of its image processor", relative(pixels, oracle.normalise(images)),
          OUTPUT)
    noise = torch.rand((len(images), patches), generator=generator)
    visible = noise.argsort(1)[:, :patches - int(patches * RATIO)]
    for loaded in (peer.eval(), left["model"].eval()):
        with torch.no_grad():
            loss, prediction = oracle(images, visible)
            theirs = loaded(pixel_values=oracle.normalise(images), noise=noise)
        check(f"{name}: loss", relative(theirs.loss, loss), LOSS)
        check(f"{name}: prediction", relative(theirs.logits, prediction), OUTPUT)

    mae(program, "export", folder / "in", "--format", "hf", "--encoder", "--out",
        f"{folder}/vit/")
    for kind in (transformers.ViTMAEModel, transformers.ViTModel):
        options = dict(add_pooling_layer=False) if kind is transformers.ViTModel else {}
        encoder, report = kind.from_pretrained(folder / "vit", output_loading_info=True, **options)
        check(f"{name}: names that {kind.__name__} misses",
              len(report["missing_keys"]) + len(report["unexpected_keys"]), 0)

    taken_back(f"{name}, names in memory:", program, folder, peer.state_dict(),
               *settings(model, {}), decoder=True)
    taken_back(f"{name}, its encoder alone:", program, folder, encoder.state_dict(),
               "--encoder", *settings(model, {}), decoder=False)
    peer.save_pretrained(folder / "saved")  # with a config.json, which tells the heads
    mae(program, "import", folder / "saved", "--out", folder / "again")
    original, again = (safetensors_io.load(folder / file) for file in ("in", "again"))
    check(f"{name}: wrong tensors of what save_pretrained wrote",
          sum(not np.array_equal(again[key], value) for key, value in original.items()), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mae", required=True)
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"interchange with PyTorch {torch.__version__}, seed {seed}")
    generator = torch.Generator().manual_seed(seed)
    for options in () if arguments.base else CASES:
        print(f"trained, {options or 'default'}")
        with tempfile.TemporaryDirectory() as folder:
            recorded_scores(arguments.mae, pathlib.Path(folder), options, seed)
    print("exported" + (", ViT-Base" if arguments.base else ""))
    with tempfile.TemporaryDirectory() as folder:
        exported(arguments.mae, pathlib.Path(folder), BASE if arguments.base else SMALL, generator,
                 arguments.base)
    print("FAILED" if failures else "all equal within the tolerances")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
