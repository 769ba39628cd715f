#!/usr/bin/env python3
"""Draws the training losses of runs over each other, step by step. Needs matplotlib.

    python3 scripts/loss-curves.py NAME=RUN_FOLDER [NAME=RUN_FOLDER ...] --out PICTURE [--mean 15]

A thin line is each step's loss, a thick one the mean of the --mean steps up to it. Steps of a single image (what is left of an
epoch) are left out: batch norm over one image makes their losses jump.
"""
import argparse
import json
import pathlib

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot

pyplot.rcParams.update({"svg.hashsalt": "hemf", "svg.fonttype": "none"})


def losses(run):
    """The steps of a run and their losses."""
    lines = map(json.loads, pathlib.Path(run, "log.jsonl").read_text().splitlines())
    return zip(*[(line["step"], line["loss"]) for line in lines if line["event"] == "step" and line["images"] > 1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("runs", nargs="+", metavar="NAME=RUN_FOLDER")
    p.add_argument("--out", required=True)
    p.add_argument("--mean", type=int, default=15)
    a = p.parse_args()
    figure, axes = pyplot.subplots(figsize=(7, 3.5), layout="constrained")
    for i, (name, _, run) in enumerate(given.partition("=") for given in a.runs):
        steps, values = losses(run)
        first = [max(0, k + 1 - a.mean) for k in range(len(values))]
        means = [sum(values[f : k + 1]) / (k + 1 - f) for k, f in enumerate(first)]
        axes.plot(steps, values, color=f"C{i}", alpha=0.35, linewidth=0.8)
        axes.plot(steps, means, color=f"C{i}", linewidth=1.8, label=name)
    axes.set(xlabel="step", ylabel="training loss", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(a.out, metadata={"Date": None} if a.out.endswith(".svg") else None)


if __name__ == "__main__":
    main()
