#!/usr/bin/env python3
"""Times hemf and a PyTorch script in turn, and prints the ratios.

    cargo build --release -p hemf-cli
    python3 scripts/bench-vs-pytorch.py [--rounds 3] [--threads 2] [--weights FILE] [--out FILE]

The opponent is torch_hemf.py, run by the Python that runs this script, which needs torch (and safetensors for --weights);
of its two memory layouts the better one counts. Each figure is the median over the rounds of the medians of one process
each; in a round hemf comes first, then the opponent. Raw lines go to --out.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

OPPONENT = pathlib.Path(__file__).with_name("torch_hemf.py")
LAYOUTS = ("channels_last", "contiguous")
CASES = [  # name, mode, batch, warm-up, repeats
    ("inference, batch 1", "infer", 1, 3, 15),
    ("inference, batch 8", "infer", 8, 2, 7),
    ("training step, batch 8", "train", 8, 1, 4),
]


def run(command):
    """The process's last line as JSON, and its wall time."""
    begun = time.perf_counter()
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"failed with code {done.returncode}: {' '.join(map(str, command))}")
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - begun


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hemf", default="target/release/hemf")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--weights", help="a .safetensors file for the start to first prediction; without it that is left out")
    p.add_argument("--classes", type=int, default=7, help="of that file")
    p.add_argument("--only", default="", help="only cases whose name contains this")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("bench-vs-pytorch.jsonl"))
    a = p.parse_args()
    lines = []

    def take(who, name, command):
        seen, wall = run(command)
        lines.append({"who": who, "case": name, "wall_s": round(wall, 4), **seen})
        return lines[-1]

    def race(name, mode, batch, warmup, repeat, key, also=(), weights=()):
        """Medians of `key` (and other keys) over the rounds: of hemf, and of the opponent in each layout."""
        seen = {}
        common = ["--batch", batch, "--size", a.size, "--threads", a.threads, "--warmup", warmup, "--repeat", repeat,
                  *weights]
        for _ in range(a.rounds):
            command = [a.hemf, "bench", mode, "--json", "--set", f"model.classes={a.classes}", *common]
            seen.setdefault("hemf", []).append(take("hemf", name, command))
            for layout in LAYOUTS:
                command = [sys.executable, OPPONENT, "--device", "cpu", "--mode", mode, "--classes", a.classes,
                           "--layout", layout, *common]
                seen.setdefault(layout, []).append(take(layout, name, command))
        middle = lambda who, key: statistics.median(line[key] for line in seen[who])
        best = min(LAYOUTS, key=lambda layout: middle(layout, key))
        print(f"{name:32} hemf {middle('hemf', key):8.3f} s   PyTorch {middle(best, key):8.3f} s ({best})   "
              f"ratio {middle(best, key) / middle('hemf', key):.2f}", flush=True)
        for other in also:
            least = min(middle(layout, other) for layout in LAYOUTS)
            print(f"{'  ' + other:32} hemf {middle('hemf', other) / 1e9:8.3f} GB  PyTorch {least / 1e9:8.3f} GB   "
                  f"ratio {middle('hemf', other) / least:.2f}", flush=True)

    for name, mode, batch, warmup, repeat in CASES:
        if a.only in name:
            race(name, mode, batch, warmup, repeat, "median_s", ["peak_bytes"])
    if a.weights and a.only in "start to first prediction":
        race("start to first prediction", "infer", 1, 0, 1, "wall_s", weights=["--weights", a.weights])
    a.out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"raw figures: {a.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
