"""Parity with PyTorch: the same weights, images and masks through this trainer and through
mae_oracle.py; loss, prediction and every named gradient must agree.

    python3 tests/oracle/parity.py --tool build/tests/parity_tool [--quick] [--device cuda:0]

--quick runs the small models only (what CI does). PyTorch computes on the CPU, this trainer on
--device. Inputs are fresh on every run unless --seed is given; the seed is printed first. Exit
status 1 when anything is out of tolerance.
"""
import argparse
import dataclasses
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import mae_oracle
import safetensors_io

VIT_BASE = dict(image_size=224, patch_size=16, encoder=(768, 12, 12))
SMALL = dict(image_size=64, patch_size=8, encoder=(192, 6, 3), decoder=(96, 2, 3))
TOLERANCE = {"fp32": 2e-5, "bf16": 1e-2}
# How much further from fp32 than PyTorch's own autocast a single gradient may be in 16 bits. Both
# are noise of the same size: over 30 draws ours was 0.90 to 1.11 times as far.
PEER_FACTOR = 1.25
WEIGHT_TOLERANCE = 1e-4
# What 50 steps added to a weight is some thousandth of it: it gets a tolerance of its own, or a
# wrong optimiser could hide behind the size of the weight.
UPDATE_TOLERANCE = 1e-2


@dataclasses.dataclass
class Case:
    name: str
    model: dict
    ratio: float = 0.75
    batch: int = 4
    precision: str = "fp32"
    steps: int = 0
    options: dict = dataclasses.field(default_factory=dict)  # further oracle arguments


def small_cases():
    cases = [Case(f"small {ratio}{' norm_pix' if pix else ''}", SMALL, ratio,
                  options=dict(norm_pix=pix))
             for ratio in (0.5, 0.75, 0.9) for pix in (False, True)]
    kinds = ("sincos2d", "sincos1d", "learned", "none")
    cases += [Case(f"small {kind} + {other}", SMALL,
                   options=dict(pos_embed=kind, decoder_pos_embed=other))
              for kind in kinds for other in (kind, kinds[(kinds.index(kind) + 1) % 4])]
    cases += [Case("small no class token", SMALL, options=dict(class_token=False)),
              Case("small loss on all patches", SMALL, options=dict(loss="all")),
              Case("small encoder mask tokens", SMALL, options=dict(encoder_mask_tokens=True)),
              Case("small bf16", SMALL, precision="bf16"),
              Case("small 50 steps", SMALL, batch=8, steps=50),
              Case("small learned positions 50 steps", SMALL, batch=8, steps=50,
                   options=dict(pos_embed="learned", decoder_pos_embed="learned"))]
    return cases


def base_cases():
    light = dict(VIT_BASE, decoder=(384, 12, 6))
    paper = dict(VIT_BASE, decoder=(512, 8, 16))
    cases = []
    for name, model in (("ViT-B + 384x12x6", light), ("ViT-B + 512x8x16", paper)):
        for ratio in (0.5, 0.75, 0.9):
            for pix in (False, True):
                cases.append(Case(f"{name} {ratio}{' norm_pix' if pix else ''}", model, ratio, 2,
                                  options=dict(norm_pix=pix)))
        for kind in ("sincos1d", "learned", "none"):
            cases.append(Case(f"{name} {kind}", model, batch=2,
                              options=dict(pos_embed=kind, decoder_pos_embed=kind)))
        cases.append(Case(f"{name} bf16", model, batch=2, precision="bf16"))
        cases.append(Case(f"{name} 50 steps", model, batch=2, steps=50))
    return cases


def tower(size):
    return "x".join(map(str, size))


def settings(case):
    """The case as options of the trainer."""
    m, o = case.model, case.options
    values = {
        "model.image_size": m["image_size"], "model.patch_size": m["patch_size"],
        "model.encoder": tower(m["encoder"]), "model.decoder": tower(m["decoder"]),
        "model.pos_embed": o.get("pos_embed", "sincos2d"),
        "model.decoder_pos_embed": o.get("decoder_pos_embed", "sincos2d"),
        "model.class_token": str(o.get("class_token", True)).lower(),
        "model.encoder_mask_tokens": str(o.get("encoder_mask_tokens", False)).lower(),
        "train.mask_ratio": case.ratio, "train.loss": o.get("loss", "masked"),
        "train.norm_pix": str(o.get("norm_pix", False)).lower(),
        "train.precision": case.precision, "train.batch": case.batch,
        "run.emulate": str(case.precision != "fp32").lower(),
    }
    if case.steps:
        values.update({"train.steps": case.steps, "train.warmup_steps": WARMUP_STEPS})
    return [f"{key}={value}" for key, value in values.items()]


WARMUP_STEPS = 10
BLR, WEIGHT_DECAY = 1.5e-4, 0.05


def relative(a, b):
    """||a - b|| / ||b||; a NaN anywhere is never small."""
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    norm = np.linalg.norm(b)
    error = np.linalg.norm(a - b) / (norm if norm > 0 else 1.0)
    return error if np.isfinite(error) else np.inf


def run_tool(tool, device, case, folder, tensors):
    """Writes the inputs, runs the trainer's side, returns what it computed."""
    source, result = os.path.join(folder, "in.safetensors"), os.path.join(folder, "out.safetensors")
    safetensors_io.save(source, tensors)
    weights = os.path.join(folder, "weights.safetensors")
    started = time.time()
    done = subprocess.run([tool, weights, source, result, *settings(case), f"run.device={device}"],
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{case.name}: {tool} failed: {done.stderr.strip()}")
    return safetensors_io.load(result), time.time() - started


def draw_inputs(case, generator, steps):
    size, batch = case.model["image_size"], case.batch
    patches = (size // case.model["patch_size"]) ** 2
    keep = int(round(patches * (1 - case.ratio) * 1e6)) // 10 ** 6
    # Smooth pictures with noise on top: realistic targets, no two patches alike.
    coarse = torch.rand((steps * batch, 3, 8, 8), generator=generator)
    images = torch.nn.functional.interpolate(coarse, size, mode="bilinear", align_corners=False)
    images = images + 0.1 * torch.randn(images.shape, generator=generator)
    images = (images.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    order = torch.rand((steps * batch, patches), generator=generator).argsort(1)
    visible = order[:, :keep].contiguous()
    return (images.reshape(steps, batch, size, size, 3), visible.reshape(steps, batch, keep))


def run_case(case, tool, device, generator):
    """Returns a list of (what, error, tolerance)."""
    oracle = mae_oracle.MaskedAutoencoder(**case.model, **case.options)
    oracle.randomize(generator)
    images, visible = draw_inputs(case, generator, max(case.steps, 1))
    with tempfile.TemporaryDirectory() as folder:
        safetensors_io.save(os.path.join(folder, "weights.safetensors"),
                            {k: v.detach().numpy() for k, v in oracle.state_dict().items()})
        out, seconds = run_tool(tool, device, case, folder, {
            "images": images.numpy(), "visible": visible.numpy().astype(np.int32)})
    compare = compare_training if case.steps else compare_gradients
    return compare(case, oracle, images, visible, out), seconds


def gradients(oracle):
    return {k: p.grad.detach().clone().numpy() for k, p in oracle.named_parameters()
            if p.requires_grad}


def compare_gradients(case, oracle, images, visible, out):
    loss, prediction = oracle(images[0], visible[0])
    loss.backward()
    named = gradients(oracle)
    tolerance = TOLERANCE[case.precision]
    checks = [("loss", relative(out["loss"], loss.item()), tolerance),
              ("prediction", relative(out["prediction"], prediction.detach().numpy()), tolerance)]
    got = {k[len("grad."):] for k in out if k.startswith("grad.")}
    if got != set(named):
        raise SystemExit(f"{case.name}: parameter names differ: {sorted(got ^ set(named))}")
    errors = {k: relative(out["grad." + k], g) for k, g in named.items()}
    if case.precision == "fp32":
        return checks + [(f"gradient of {k}", e, tolerance) for k, e in errors.items()]
    # In 16 bits the whole gradient keeps the tolerance, but a single LayerNorm's, a sum that mostly
    # cancels, passes it now and then (1.45e-2 in 30 draws), as it does for PyTorch's own autocast.
    checks.append(("whole gradient", relative(
        np.concatenate([out["grad." + k] for k in named]),
        np.concatenate([g.ravel() for g in named.values()])), tolerance))
    oracle.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = oracle(images[0], visible[0])
    loss.backward()
    peer = max(relative(g, named[k]) for k, g in gradients(oracle).items())
    tolerance = max(tolerance, PEER_FACTOR * peer)
    return checks + [(f"gradient of {k}", e, tolerance) for k, e in errors.items()]


def without_key_bias(name, value):
    """The scores' softmax does not change when a constant is added to every key, so the gradient of
    a key's bias is zero but for rounding, and AdamW turns any rounding into steps of size lr. The
    key third of qkv.bias is left out of the comparison of trained weights."""
    if not name.endswith("attn.qkv.bias"):
        return value
    third = len(value) // 3
    return np.concatenate([value[:third], value[2 * third:]])


def compare_training(case, oracle, images, visible, out):
    optimizer = mae_oracle.adamw(oracle, WEIGHT_DECAY)
    losses = []
    initial = {k: p.detach().clone().numpy() for k, p in oracle.named_parameters()}
    for step in range(case.steps):
        rate = mae_oracle.learning_rate(step, BLR * case.batch / 256, 0.0, WARMUP_STEPS, case.steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss, _ = oracle(images[step], visible[step])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    checks = [("losses", relative(out["losses"], losses), TOLERANCE[case.precision])]
    for name, p in oracle.named_parameters():
        if not p.requires_grad:
            continue
        before, want, got = (without_key_bias(name, x) for x in (
            initial[name], p.detach().numpy(), out["weight." + name].reshape(p.shape)))
        checks.append((f"trained {name}", relative(got, want), WEIGHT_TOLERANCE))
        checks.append((f"update of {name}", relative(got - before, want - before),
                       UPDATE_TOLERANCE))
    return checks


def largest(checks, start):
    """The largest error of the checks whose names begin so, as a column of the table."""
    errors = [error for name, error, _ in checks if name.startswith(start)]
    return f"{max(errors):9.1e}" if errors else " " * 9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--without", help="not the cases whose name contains this")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"parity with PyTorch {torch.__version__}, seed {seed}")
    generator = torch.Generator().manual_seed(seed)
    cases = small_cases() + ([] if arguments.quick else base_cases())
    cases = [case for case in cases if arguments.only in case.name
             and not (arguments.without and arguments.without in case.name)]
    passed = failed = 0
    print(f"{'case':42s} {'loss':>9s} {'predict.':>9s} {'weights':>9s} {'worst':>9s}  of")
    for case in cases:
        checks, seconds = run_case(case, arguments.tool, arguments.device, generator)
        worst = max(checks, key=lambda check: check[1] / check[2])
        good = worst[1] <= worst[2]
        passed, failed = passed + good, failed + (not good)
        print(f"{case.name:42s} {largest(checks, 'loss')} {largest(checks, 'prediction')} "
              f"{largest(checks, 'trained')} {worst[1]:9.1e}  {worst[0]}"
              f"{'' if good else f'   > {worst[2]:.0e}  FAILED'}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
