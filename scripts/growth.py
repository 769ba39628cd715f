#!/usr/bin/env python3
"""How time and memory of hemf grow with the batch, the images' size and the threads: a table, and a picture.

    cargo build --release -p hemf-cli
    python3 scripts/growth.py [--picture docs/images/growth.svg]      the picture needs matplotlib

Each row is a process of its own, whose most memory is therefore its own too. The median of its repeats is shown.
"""
import argparse
import json
import os
import subprocess
import sys

BATCHES = (1, 2, 4, 8, 16)
SIZES = (112, 160, 224, 320, 448)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--hemf", default="target/release/hemf")
    p.add_argument("--repeat", type=int, default=5)
    p.add_argument("--train", action="store_true", help="training steps rather than inference")
    p.add_argument("--picture", help="draws time and memory into this file (.svg or .png)")
    a = p.parse_args()
    work = "train" if a.train else "infer"
    cores = os.cpu_count()
    threads = [n for n in (1, 2, 4, 8, 16, 32) if n <= cores]

    def measure(batch, size, count):
        command = [a.hemf, "bench", work, "--json", "--batch", batch, "--size", size, "--threads", count,
                   "--warmup", 1, "--repeat", a.repeat]
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"failed with code {done.returncode}: {' '.join(map(str, command))}")
        seen = json.loads(done.stdout.splitlines()[-1])
        return 1e3 * seen["median_s"], seen["images_per_s"], seen["peak_bytes"] / 1e9

    series = [
        ("batch", f"Batch, 224 px, {cores} threads", [(n, measure(n, 224, cores)) for n in BATCHES]),
        ("side of an image, px", f"Side, one image, {cores} threads", [(n, measure(1, n, cores)) for n in SIZES]),
        ("threads", "Threads, batch 8, 224 px", [(n, measure(8, 224, n)) for n in threads]),
    ]
    for _, title, rows in series:
        print(f"\n| {title} | ms | images/s | most memory, GB |\n| --- | --- | --- | --- |")
        for x, (ms, rate, memory) in rows:
            print(f"| {x} | {ms:.0f} | {rate:.1f} | {memory:.2f} |")
    if a.picture:
        draw(series, a.picture)


def draw(series, path):
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "hemf"  # the same numbers give the same file
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(series), figsize=(10, 5), sharex="col", layout="constrained")
    for column, (name, title, rows) in enumerate(series):
        xs = [x for x, _ in rows]
        for axis, values, label in ((axes[0][column], [v[0] for _, v in rows], "ms"),
                                    (axes[1][column], [v[2] for _, v in rows], "most memory, GB")):
            axis.plot(xs, values, "o-", color="#0072B2", label="measured")
            axis.set_ylim(0, None)
            axis.grid(alpha=0.3)
            if column == 0:
                axis.set_ylabel(label)
        first = rows[0][1][0]
        power = {"batch": 1, "threads": -1}.get(name, 2)
        axes[0][column].plot(xs, [first * (x / xs[0]) ** power for x in xs], ":", color="#999999",
                             label={1: "in proportion", -1: "inversely", 2: "as the pixels"}[power] + " from the first")
        axes[0][column].legend(fontsize=8)
        axes[0][column].set_title(title, fontsize=10)
        axes[1][column].set_xlabel(name)
        axes[1][column].set_xticks(xs)
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None, dpi=150)


if __name__ == "__main__":
    main()
