"""This trainer and a PyTorch masked autoencoder (peer.py) on the same device, in one run.

    python3 tests/gpu/bench.py --mae build-gpu/bin/mae --out results/reference/gpu [options]

Every row of the table is a precision, a batch and where the images come from:
  device    ready on the device before the first step, for both
  pipeline  random resized crops of 64 x 64 sources, new ones in every step: ours are cut on the
            device from a pool that lies there; PyTorch's come through a DataLoader with workers and
            page-locked memory, and are cropped on the device
Both draw new masks in every step, in both. Within a row the contestants take turns (ours, PyTorch
eager, PyTorch compiled, ours, ...), so that clocks and heat are shared; a contestant's number is the
median over its turns of the turn's median step. The peak is the fastest large square matrix product
that either library reached in the same run. Without PyTorch our half is measured alone.

Writes DEVICE-bench.tsv, a line per row, and DEVICE-bench-turns.tsv, every turn; anew after every
row. Exit status: 0 all rows measured, 1 something failed, 4 no such device, 75 --minutes was too
short for all rows.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES, SOURCE_SIZE = 8192, 64  # pictures of the pipeline's pool, as large as TinyImageNet's
COLUMNS = ("input", "precision", "batch", "ours_images_s", "eager_images_s", "compiled_images_s",
           "ratio", "peak_tflops", "ours_share", "peer_share", "ours_mib", "peer_mib", "note")
SETTINGS = {
    "vit-base": {"model.image_size": 224, "model.patch_size": 16, "model.encoder": "vit_base",
                 "model.decoder": "384x12x6"},
    "small": {"model.image_size": 64, "model.patch_size": 8, "model.encoder": "192x6x3",
              "model.decoder": "96x2x3"},
    "tiny": {"model.image_size": 32, "model.patch_size": 8, "model.encoder": "64x2x2",
             "model.decoder": "32x1x1"},
}


# PyTorch's side: a process of its own that obeys lines of JSON ------------------------------------

class Peer:
    def __init__(self, model, device, mode):
        import torch
        import peer
        self.torch, self.peer = torch, peer
        self.shape, self.device, self.mode = peer.MODELS[model], torch.device(device), mode
        self.cuda = self.device.type == "cuda"
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        self.trainers, self.precision = {}, None

    def hello(self):
        torch = self.torch
        name = torch.cuda.get_device_name(self.device) if self.cuda else "cpu"
        attention = hasattr(torch.nn.functional, "scaled_dot_product_attention")
        return {"version": torch.__version__, "name": name, "fused_attention": attention,
                "compile": hasattr(torch, "compile")}

    def trainer(self, precision, compiled):
        """Eager and compiled share weights and moments; another precision starts anew."""
        torch = self.torch
        if precision != self.precision:
            self.trainers, self.precision = {}, precision
            self.model = None
            torch.manual_seed(1)
            self.model = self.peer.PeerMae(**self.shape)
            for p in (self.model.cls_token, self.model.mask_token, self.model.pos_embed,
                      self.model.decoder_pos_embed):
                torch.nn.init.normal_(p, std=0.02)
        if compiled not in self.trainers:
            self.trainers[compiled] = self.peer.Trainer(self.model, self.device, precision,
                                                        compiled, self.mode)
        return self.trainers[compiled]

    def batches(self, source, batch):
        torch, size = self.torch, self.shape["image_size"]
        if source == "device":
            images = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8,
                                   device=self.device)
            while True:
                yield images
        pool = torch.randint(0, 256, (SOURCES, SOURCE_SIZE, SOURCE_SIZE, 3), dtype=torch.uint8)

        class Batches(torch.utils.data.IterableDataset):
            def __iter__(self):
                while True:
                    yield pool[torch.randint(len(pool), (batch,))]

        workers = min(8, max(1, (os.cpu_count() or 1) - 1)) if self.cuda else 0
        loader = torch.utils.data.DataLoader(Batches(), batch_size=None, num_workers=workers,
                                             pin_memory=self.cuda,
                                             **({"prefetch_factor": 4} if workers else {}))
        for pictures in loader:
            yield self.peer.random_resized_crop(pictures.to(self.device, non_blocking=True), size)

    def clock(self):
        if not self.cuda:
            return time.perf_counter()
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def measure(self, precision, compiled, source, batch, steps, warmup):
        torch = self.torch
        trainer = self.trainer(precision, compiled)
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        batches = self.batches(source, batch)
        for _ in range(warmup):
            loss = trainer.step(next(batches))
        # The clock starts when the device has nothing left of the warm-up to do.
        loss.item()
        ends = [self.clock()]
        for _ in range(steps):
            loss = trainer.step(next(batches))
            ends.append(self.clock())
        loss = loss.item()
        batches.close()
        seconds = [a.elapsed_time(b) / 1e3 if self.cuda else b - a
                   for a, b in zip(ends, ends[1:])]
        memory = torch.cuda.max_memory_allocated() if self.cuda else 0
        trainer.optimizer.zero_grad(set_to_none=True)
        return {"images_per_second": batch / statistics.median(seconds), "memory": memory,
                "loss": loss}

    def peak(self, precision):
        """TFLOP/s of square products, as `mae bench --peak` measures ours."""
        torch, best = self.torch, 0.0
        for n in (1024, 2048, 4096, 8192):
            a = torch.rand(n, n, device=self.device).to(self.peer.PRECISIONS[precision]
                                                       or torch.float32)
            seconds = []
            for _ in range(12):
                begin = self.clock()
                a @ a
                end = self.clock()
                if self.cuda:
                    torch.cuda.synchronize()
                seconds.append(begin.elapsed_time(end) / 1e3 if self.cuda else end - begin)
            best = max(best, 2e-12 * n ** 3 / statistics.median(seconds[2:]))
            if statistics.median(seconds[2:]) > 0.05:
                break
        return {"tflops": best}


def serve(arguments):
    sys.path.insert(0, HERE)

    def answer(value):
        print(json.dumps(value), file=arguments.answers, flush=True)

    def failure(problem):
        return {"error": f"{type(problem).__name__}: {problem}".splitlines()[0][:200]}

    try:
        peer = Peer(arguments.model, arguments.device, arguments.compile_mode)
    except Exception as problem:  # no PyTorch: the answer to `hello`
        answer(failure(problem))
        return 1
    for line in sys.stdin:
        request = json.loads(line)
        try:
            value = getattr(peer, request.pop("do"))(**request)
        except Exception as problem:  # one row is lost, not the run
            value = failure(problem)
        if peer.cuda:
            peer.torch.cuda.empty_cache()
        answer(value)
    return 0


class PeerProcess:
    def __init__(self, arguments):
        self.process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--serve", "--model", arguments.model,
             "--device", arguments.device,
             *(["--compile-mode", arguments.compile_mode] if arguments.compile_mode else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, do, **values):
        try:
            self.process.stdin.write(json.dumps({"do": do, **values}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        return json.loads(line) if line else {"error": "the PyTorch process ended"}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# Our side -----------------------------------------------------------------------------------------

def run_ours(arguments, precision, source, batch, peak=False):
    settings = {**SETTINGS[arguments.model], "run.device": arguments.device, "train.batch": batch,
                "train.precision": precision, "train.shards": 1}
    command = [arguments.mae, "bench", "--json", "--steps", str(arguments.steps), "--warmup",
               str(arguments.warmup), *(["--peak"] if peak else []),
               *(["--pipeline"] if source == "pipeline" else [])]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1],
                "code": done.returncode}
    return json.loads(done.stdout)


# The table ----------------------------------------------------------------------------------------

def median_of(turns, key):
    values = [turn[key] for turn in turns if key in turn]
    return statistics.median(values) if values else None


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.started = time.time()
        self.turns, self.rows, self.peaks = [], [], {}
        self.name = self.peer = self.written = None
        self.failed = self.late = False

    def open_peer(self):
        peer = PeerProcess(self.arguments)
        hello = peer.ask("hello")
        if "error" in hello:
            self.note = f"PyTorch not measured: {hello['error']}"
            return
        self.peer, self.compiles = peer, hello["compile"] and not self.arguments.no_compile
        ways = ("eager and compiled" if self.compiles else
                "eager" if hello["compile"] else "eager (it has no compile)")
        self.note = (f"PyTorch {hello['version']}, "
                     f"{'fused' if hello['fused_attention'] else 'no fused'} attention, {ways}")

    def peak(self, precision):
        """TFLOP/s; also the first run of ours, which tells whether the device has the precision."""
        if precision not in self.peaks:
            ours = run_ours(self.arguments, precision, "device", self.arguments.batches[0], True)
            if ours.get("code") == 4 or ours.get("code") == 3 and self.name is None:
                print(f"bench.py: {ours['error']}", file=sys.stderr)
                sys.exit(4)
            if "error" in ours:
                self.peaks[precision] = ours
                return ours
            self.name = ours["device"]
            best = ours["peak_gflops_per_second"] / 1e3
            if self.peer:
                best = max(best, self.peer.ask("peak", precision=precision).get("tflops", 0))
            self.peaks[precision] = {"tflops": best, "gflops_per_image": ours["gflops_per_image"]}
        return self.peaks[precision]

    def turn(self, who, source, precision, batch):
        a = self.arguments
        if who == "ours":
            result = run_ours(a, precision, source, batch)
            result["memory"] = result.get("peak_memory_bytes")
        else:
            result = self.peer.ask("measure", precision=precision, compiled=who == "compiled",
                                   source=source, batch=batch, steps=a.steps, warmup=a.warmup)
        loss = result.get("loss", 0.0)
        if not 0.0 <= loss < 100.0:
            result = {"error": f"its loss is {loss}"}
        self.turns.append((who, source, precision, batch, result))
        return result

    def row(self, source, precision, batch):
        row = {"input": source, "precision": precision, "batch": batch}
        peak = self.peak(precision)
        if "error" in peak:
            self.rows.append({**row, "note": f"not measured: {peak['error']}"})
            return
        contestants = ["ours"]
        if self.peer:
            contestants += ["eager"] + (["compiled"] if self.compiles else [])
        taken = {who: [] for who in contestants}
        notes = []
        for _ in range(self.arguments.turns):
            for who in contestants:
                result = self.turn(who, source, precision, batch)
                if "error" in result:
                    notes.append(f"{who}: {result['error']}")
                else:
                    taken[who].append(result)
        row["peak_tflops"] = peak["tflops"]
        for who in contestants:
            row[f"{who}_images_s"] = median_of(taken[who], "images_per_second")
        share = 1e-3 * peak["gflops_per_image"] / peak["tflops"]
        best = max(("eager", "compiled"), key=lambda who: row.get(f"{who}_images_s") or 0)
        ours, theirs = row["ours_images_s"], row.get(f"{best}_images_s")
        if ours:
            row["ours_share"] = ours * share
            row["ours_mib"] = median_of(taken["ours"], "memory") / 2 ** 20
        else:
            self.failed = True
        if theirs:
            row["peer_share"] = theirs * share
            row["peer_mib"] = median_of(taken[best], "memory") / 2 ** 20
        if ours and theirs:
            row["ratio"] = ours / theirs
        row["note"] = "; ".join(dict.fromkeys(notes))
        self.rows.append(row)

    def run(self):
        a = self.arguments
        if a.mae_only:
            self.note = "PyTorch not measured: not asked for"
        else:
            self.open_peer()
        print(self.note)
        self.head()
        for precision in a.precisions:
            for source in a.inputs:
                for batch in a.batches:
                    if time.time() - self.started > 60 * a.minutes:
                        self.rows.append({"input": source, "precision": precision, "batch": batch,
                                          "note": f"not measured: {a.minutes:g} minutes were over"})
                        self.late = True
                    else:
                        self.row(source, precision, batch)
                    self.print_row(self.rows[-1])
                    self.write()
        if self.peer:
            self.peer.close()

    WIDTHS = (8, 9, 5, 13, 14, 17, 6, 11, 10, 10, 8, 8)

    def head(self):
        print(" ".join(c.rjust(w) for c, w in zip(COLUMNS, self.WIDTHS)), "note")

    def print_row(self, row):
        print(" ".join(text(row.get(c)).rjust(w) for c, w in zip(COLUMNS, self.WIDTHS)),
              row.get("note", ""), flush=True)

    def write(self):
        a = self.arguments
        if not a.out or not self.name:
            return
        os.makedirs(a.out, exist_ok=True)
        stem = os.path.join(a.out, a.name or dashed(self.name))
        facts = [f"# {self.name}; {driver()}; commit {commit()}; {self.note}",
                 f"# {a.model}, {a.turns} turns of {a.steps} steps after {a.warmup}"]
        with open(stem + "-bench.tsv", "w") as f:
            lines = facts + ["\t".join(COLUMNS)]
            lines += ["\t".join(text(row.get(c)) for c in COLUMNS) for row in self.rows]
            f.write("\n".join(lines) + "\n")
        with open(stem + "-bench-turns.tsv", "w") as f:
            lines = facts + ["turn\tcontestant\tinput\tprecision\tbatch\timages_s\tloss\terror"]
            for i, (*key, result) in enumerate(self.turns):
                lines.append("\t".join(map(text, (i + 1, *key, result.get("images_per_second"),
                                                  result.get("loss"), result.get("error", "")))))
            f.write("\n".join(lines) + "\n")
        self.written = f"written: {stem}-bench.tsv and {stem}-bench-turns.tsv"


def text(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)


def dashed(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
        return done.stdout.strip() if done.returncode == 0 else ""
    except OSError:
        return ""


def driver():
    version = output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return f"driver {version.splitlines()[0]}" if version else "driver unknown"


def commit():
    return os.environ.get("COMMIT") or output_of("git", "describe", "--always", "--dirty",
                                                 "--abbrev=12") or "unknown"


def words(choices=None, kind=str):
    def parse(value):
        parts = [kind(part) for part in value.split(",")]
        if choices and not set(parts) <= set(choices):
            raise argparse.ArgumentTypeError(f"{value}: choose from {', '.join(choices)}")
        return parts
    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mae", help="the mae program to measure")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--model", default="vit-base", choices=sorted(SETTINGS))
    parser.add_argument("--precisions", default=["bf16", "fp16"],
                        type=words(("fp32", "bf16", "fp16")))
    parser.add_argument("--batches", default=[256, 1024], type=words(kind=int))
    parser.add_argument("--inputs", default=["device", "pipeline"],
                        type=words(("device", "pipeline")))
    parser.add_argument("--steps", default=20, type=int)
    parser.add_argument("--warmup", default=5, type=int)
    parser.add_argument("--turns", default=2, type=int)
    parser.add_argument("--minutes", default=1e9, type=float, help="begin no row after these")
    parser.add_argument("--mae-only", action="store_true", help="leave PyTorch out")
    parser.add_argument("--no-compile", action="store_true", help="PyTorch eager only")
    parser.add_argument("--compile-mode", help="of torch.compile, such as max-autotune")
    parser.add_argument("--out", help="folder for the tables")
    parser.add_argument("--name", help="their name, instead of the device's")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        # What libraries print must not mix with the answers.
        arguments.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        return serve(arguments)
    if not arguments.mae:
        parser.error("--mae is needed")
    bench = Bench(arguments)
    bench.run()
    if bench.written:
        print(bench.written)
    return 1 if bench.failed else 75 if bench.late else 0


if __name__ == "__main__":
    sys.exit(main())
