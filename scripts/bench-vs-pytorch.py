#!/usr/bin/env python3
"""Times hemf and its network in PyTorch in turn, and prints figures and ratios.

    cargo build --release -p hemf-cli
    python3 scripts/bench-vs-pytorch.py [--rounds 3] [--threads 2] [--weights FILE] [--out FILE]
    python3 scripts/bench-vs-pytorch.py --device cuda:0 --hemf target/cuda/release/hemf

The opponent is torch_hemf.py, run by --python (by default the one that runs this script), which needs torch (and safetensors
for --weights). On the processor hemf in f32 meets PyTorch's two memory layouts, of which the better one counts. On a GPU hemf in
f32, tf32 and bf16 meets PyTorch eager in f32 and tf32, under autocast to bf16, and compiled with autocast; there all batches
are measured by one process, since PyTorch takes long to start and to compile. Each figure is the median over the rounds of the
medians of one process each. A process that fails, or takes longer than --limit, is named and left out; what was measured is in
--out at once, a line of JSON each.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

OPPONENT = pathlib.Path(__file__).with_name("torch_hemf.py")
# Batch, warm-up and repeats of inference and of training steps.
PROCESSOR = {"infer": [(1, 3, 15), (8, 2, 7)], "train": [(8, 1, 4)]}
GPU = {"infer": [(1, 10, 20), (32, 10, 20), (256, 10, 20)], "train": [(32, 5, 10), (128, 5, 10)]}


def contenders(gpu):
    """Names, and what each is told."""
    if not gpu:
        return {"hemf f32": [], "PyTorch channels_last": ["--layout", "channels_last"],
                "PyTorch contiguous": ["--layout", "contiguous"]}
    return {"hemf f32": [], "hemf tf32": ["--precision", "tf32"], "hemf bf16": ["--precision", "bf16"],
            "PyTorch eager f32": [], "PyTorch eager tf32": ["--tf32"],
            "PyTorch autocast bf16": ["--amp", "bf16", "--tf32"],
            "PyTorch compiled bf16": ["--amp", "bf16", "--tf32", "--compile"]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hemf", default="target/release/hemf")
    p.add_argument("--device", default="cpu", help="cpu or cuda:N")
    p.add_argument("--python", default=sys.executable, help="one that has torch")
    p.add_argument("--rounds", type=int, help="3 on the processor, 1 on a GPU")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--infer", help="batches of inference, such as 1,32; 0 for none")
    p.add_argument("--train", help="batches of training steps; 0 for none")
    p.add_argument("--weights", help="a .safetensors file for the start to first prediction; without it that is left out")
    p.add_argument("--classes", type=int, default=7, help="of that file")
    p.add_argument("--only", default="", help="only cases whose name contains this")
    p.add_argument("--limit", type=int, default=600, help="seconds for one process")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-vs-pytorch.jsonl"))
    a = p.parse_args()
    gpu = a.device != "cpu"
    rounds = a.rounds or (1 if gpu else 3)
    failed = False
    a.out.write_text("")

    def take(who, cases, command):
        """The process's lines of JSON, one for each case, with its wall time; or why there is none. All are kept."""
        begun = time.perf_counter()
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=a.limit)
            why = (done.stderr.strip().splitlines() or [f"code {done.returncode}"])[-1]
            told, code = done.stdout, done.returncode
        except subprocess.TimeoutExpired as late:
            why = f"took longer than {a.limit} s"
            told, code = (late.stdout or b"").decode(), 1
        wall = round(time.perf_counter() - begun, 4)
        told = [{"wall_s": wall, **json.loads(line)} for line in told.splitlines() if line.endswith("}")]
        if code and len(told) == len(cases):
            told.pop()  # what it was doing when it failed
        told += [{"failed": why}] * (len(cases) - len(told))
        lines = [{"who": who, "case": case, **line} for case, line in zip(cases, told)]
        with a.out.open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in lines)
        return lines

    def race(names, mode, batches, warmup, repeat, key="median_s", weights=()):
        """Rounds of all contenders, each over all batches, whose cases have these names; and a row for each."""
        nonlocal failed
        common = ["--batch", ",".join(map(str, batches)), "--size", a.size, "--threads", a.threads, "--warmup", warmup,
                  "--repeat", repeat, *weights]
        seen = {}
        for _ in range(rounds):
            for who, told in contenders(gpu).items():
                if who.startswith("hemf"):
                    command = [a.hemf, "bench", mode, "--json", "--ceilings", "--device", a.device, "--set",
                               f"model.classes={a.classes}", *common, *told]
                    if key == "wall_s":
                        command.remove("--ceilings")
                else:
                    command = [a.python, OPPONENT, "--device", a.device.split(":")[0], "--mode", mode, "--classes",
                               a.classes, *common, *told]
                for name, line in zip(names, take(who, names, command)):
                    seen.setdefault(name, {}).setdefault(who, []).append(line)
        for name, batch in zip(names, batches):
            failed |= tell(name, batch, seen[name], key)

    def tell(case, batch, seen, key):
        """A row for each contender; whether hemf failed."""
        middle = lambda who, key: statistics.median(line[key] for line in seen[who])
        ran = {who: middle(who, key) for who in seen if not any("failed" in line for line in seen[who])}
        best = min((time for who, time in ran.items() if who.startswith("PyTorch")), default=None)
        for who, lines in seen.items():
            if who not in ran:
                why = next(line["failed"] for line in lines if "failed" in line)
                print(f"{case:24} {who:22} did not run: {why[:100]}", flush=True)
                continue
            row = f"{case:24} {who:22} {ran[who]:9.4f} s"
            if key == "median_s":
                row += f" {batch / ran[who]:9.1f} images/s"
                if not gpu:  # there hemf tells of main memory, and PyTorch of the card's
                    row += f" {middle(who, 'peak_bytes') / 1e9:7.2f} GB"
            if who.startswith("hemf"):
                if best:
                    row += f"   {best / ran[who]:.2f} times the best PyTorch"
                if "ceilings" in lines[-1]:
                    share = lines[-1]["gflops"] / lines[-1]["ceilings"]["product_gflops"]
                    row += f"   {100 * share:.1f} % of the ceiling"
            print(row, flush=True)
        return any(who.startswith("hemf") and who not in ran for who in seen)

    for mode, cases in (GPU if gpu else PROCESSOR).items():
        asked = getattr(a, mode)
        if asked is not None:
            given = {case[0]: case for case in cases}
            cases = [given.get(n, (n, *cases[-1][1:])) for n in map(int, asked.split(",")) if n > 0]
        named = [(f"{'inference' if mode == 'infer' else 'training step'}, batch {case[0]}", *case) for case in cases]
        named = [case for case in named if a.only in case[0]]
        for group in [named] if gpu and named else [[case] for case in named]:
            names, batches, warmups, repeats = zip(*group)
            race(names, mode, batches, warmups[0], repeats[0])
    start = "start to first prediction"
    if a.weights and a.only in start:
        race([start], "infer", [1], 0, 1, key="wall_s", weights=["--weights", a.weights])
    print(f"raw figures: {a.out}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
