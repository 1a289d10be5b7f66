"""The peer of the benchmark must be a right one: its loss, gradients, 16-bit run and trained weights
against tests/oracle/mae_oracle.py on the same weights, images and masks, on the CPU.

    python3 tests/gpu/test_peer.py [--seed N]
"""
import argparse
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))
import mae_oracle
import peer

STEPS = 5
failures = []


def relative(a, b):
    a, b = a.detach().double().flatten(), b.detach().double().flatten()
    error = ((a - b).norm() / b.norm().clamp(min=1e-30)).item()
    return error if error == error else float("inf")


def expect(what, error, tolerance):
    good = error <= tolerance
    print(f"{what:44s} {error:9.1e}  {'ok' if good else f'> {tolerance:.0e}  FAILED'}")
    if not good:
        failures.append(what)


def make_pair(generator):
    oracle = mae_oracle.MaskedAutoencoder(**peer.TINY)
    oracle.randomize(generator)
    model = peer.PeerMae(**peer.TINY)
    model.load_state_dict(oracle.state_dict(), strict=True)
    return oracle, model


def draw(generator, model, batch):
    size = peer.TINY["image_size"]
    images = torch.randint(0, 256, (batch, size, size, 3), generator=generator, dtype=torch.uint8)
    return images, torch.rand(batch, model.patches, generator=generator).argsort(1)


def gradient_error(model, oracle):
    named = dict(oracle.named_parameters())
    return max((relative(p.grad, named[k].grad), k) for k, p in model.named_parameters()
               if p.requires_grad)


def check_gradients(generator):
    oracle, model = make_pair(generator)
    images, order = draw(generator, model, 6)
    expected, _ = oracle(images, order[:, :model.keep])
    expected.backward()
    loss = model(images, order)
    loss.backward()
    expect("loss, fp32", relative(loss, expected), 1e-6)
    error, name = gradient_error(model, oracle)
    expect(f"gradient, fp32: worst {name}", error, 2e-5)
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(images, order)
    loss.backward()
    expect("loss, bf16", relative(loss, expected), 1e-2)
    error, name = gradient_error(model, oracle)
    expect(f"gradient, bf16: worst {name}", error, 5e-2)


def check_training(generator):
    oracle, model = make_pair(generator)
    optimizer = mae_oracle.adamw(oracle, 0.05)
    for group in optimizer.param_groups:
        group["lr"] = 1e-4
    trainer = peer.Trainer(model, "cpu", "fp32", compiled=False)
    for _ in range(STEPS):
        images, order = draw(generator, model, 6)
        optimizer.zero_grad()
        expected, _ = oracle(images, order[:, :model.keep])
        expected.backward()
        optimizer.step()
        loss = trainer.step(images, order)
    expect(f"loss after {STEPS} steps", relative(loss, expected), 1e-5)
    named = dict(oracle.named_parameters())
    # A key's bias has no gradient but rounding, which AdamW makes steps of: see parity.py.
    worst = max((relative(p, named[k]), k) for k, p in model.named_parameters()
                if p.requires_grad and not k.endswith("qkv.bias"))
    expect(f"weights after {STEPS} steps: worst {worst[1]}", worst[0], 1e-4)


def check_compiled(generator):
    """Compiled for each batch size by itself, whatever sizes came before."""
    if not hasattr(torch, "compile"):
        return
    compile_for_device, variable = torch.compile, []

    def compiler(graph, inputs):
        sizes = [size for x in inputs for size in (x.shape if hasattr(x, "shape") else [x])]
        variable.append(any(isinstance(size, torch.SymInt) for size in sizes))
        return graph.forward

    torch.compile = lambda model, **options: compile_for_device(model, backend=compiler, **options)
    try:
        trainer = peer.Trainer(make_pair(generator)[1], "cpu", "fp32", compiled=True)
        for batch in (6, 4, 3):
            trainer.step(*draw(generator, trainer.model, batch))
    finally:
        torch.compile = compile_for_device
    expect("sizes that were not compiled for", 3 - len(variable), 0)
    expect("graphs compiled for any size", sum(variable), 0)


def check_crop(generator):
    """A crop's pixels come from its own picture, and mirroring happens about half of the time."""
    ramp = torch.arange(64, dtype=torch.uint8)[None, None, :, None].expand(64, 64, 64, 3)
    torch.manual_seed(int(torch.randint(0, 2 ** 31, (1,), generator=generator)))
    out = peer.random_resized_crop(ramp.contiguous(), 96).float()
    rising = out[:, :, -1] > out[:, :, 0]
    share = rising.float().mean().item()
    expect("share of mirrored crops away from a half", abs(share - 0.5), 0.3)
    expect("crops leave the picture's range", float((out > 63).any()), 0)
    span = (out[:, 0, -1, 0] - out[:, 0, 0, 0]).abs() / 63
    expect("narrowest crop under its least width", float(span.min() < 0.3), 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(4), "little")
    print(f"peer of the benchmark on PyTorch {torch.__version__}, seed {seed}")
    torch.set_num_threads(1)  # so small a model is slower with more
    generator = torch.Generator().manual_seed(seed)
    check_gradients(generator)
    check_training(generator)
    check_compiled(generator)
    check_crop(generator)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
