"""Whether a flat minimum helps at few bits, once weights are rounded well or trained as integers.

    python3 docs/comparisons/few_bits.py PROGRAM FOLDER [--data digits] [--seeds 5] ...

trains `cnn` with SGD, ASAM and HERO, rounds each network to the nearest integers and by descent, and
trains each on with the quantizer in the loop; all of it for every label noise and seed. It prints the
accuracies of the deployed integers as Markdown: means, and differences from SGD paired by seed with
their standard errors. Files in FOLDER are not made twice, so more seeds can follow. Standard library
only.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess

FLOAT = {"sgd": [], "asam": ["--rho", "0.5"], "hero": ["--rho", "1"]}
# Name, start, method, times the epochs: a step of ASAM computes two gradients.
LOOPS = [
    ("SGD, from SGD", "sgd", "sgd", 1),
    ("SGD, from ASAM", "asam", "sgd", 1),
    ("SGD, from HERO", "hero", "sgd", 1),
    ("ASAM, from SGD", "sgd", "asam", 1),
    ("HERO, from SGD", "sgd", "hero", 1),
    ("SGD, twice the epochs", "sgd", "sgd", 2),
]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("program")
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--data", default="digits")
parser.add_argument("--seeds", type=int, default=5)
parser.add_argument("--noises", default="0,0.4")
parser.add_argument("--epochs", type=int, default=14)
parser.add_argument("--weight-decay", default="2e-3")
parser.add_argument("--loop-epochs", type=int, default=7)
parser.add_argument("--bits", default="4,3,2")
parser.add_argument("--loop-bits", default="2")
options = parser.parse_args()
all_bits = options.bits.split(",")


def run(*arguments):
    subprocess.run([options.program, *map(str, arguments)], check=True, capture_output=True)


def trained(folder, *arguments):
    """A finished run, made if it is not there."""
    if not (folder / "loss.svg").exists():
        run("train", *arguments, "--out", folder)
    return folder


def accuracy(folder, name, *arguments):
    """Accuracy of the integers that a run is deployed as."""
    report = folder / f"{name}.json"
    if not report.exists():
        model = folder / f"{name}.hero"
        run("quantize", folder, *arguments, "--out", model)
        run("evaluate", model, "--data", options.data, "--json", report)
    return json.loads(report.read_text())["accuracy"]


def float_run(method, noise, seed):
    return trained(
        options.folder / f"{method}-{noise}-{seed}",
        *["--data", options.data, "--network", "cnn", "--optimizer", method, *FLOAT[method]],
        *["--epochs", options.epochs, "--weight-decay", options.weight_decay],
        *["--label-noise", noise, "--seed", seed],
    )


def loop_run(start, method, times, noise, seed, bits):
    return trained(
        options.folder / f"{start}-{noise}-{seed}-{method}-{times}-{bits}",
        *["--from", float_run(start, noise, seed), "--bits", bits, "--optimizer", method],
        *(FLOAT[method] if method != "hero" else ["--rho", "0.5"]),
        *["--epochs", options.loop_epochs * times],
    )


def cell(values, base):
    """Mean, and the difference from `base` with its standard error."""
    text = f"{100 * statistics.mean(values):.2f}"
    if base is not None and len(values) > 1:
        differences = [100 * (value - other) for value, other in zip(values, base)]
        error = statistics.stdev(differences) / math.sqrt(len(values))
        text += f" ({statistics.mean(differences):+.2f} ± {error:.2f})"
    return text


for noise in options.noises.split(","):
    seeds = range(options.seeds)
    print(f"\nLabel noise {float(noise):.0%}, {options.seeds} seeds:\n")
    print("| rounding | start | " + " | ".join(f"{bits} bit" for bits in all_bits) + " |")
    print("|---|---|" + "--:|" * len(all_bits))
    for rounding in "nearest", "descent":
        base = {}
        for method in FLOAT:
            cells = []
            for bits in all_bits:
                values = [
                    accuracy(
                        float_run(method, noise, seed),
                        *[f"{rounding}-{bits}", "--bits", bits, "--rounding", rounding],
                    )
                    for seed in seeds
                ]
                cells.append(cell(values, base.get(bits)))
                base.setdefault(bits, values)
            print(f"| {rounding} | {method} | " + " | ".join(cells) + " |", flush=True)
    base = {}
    for name, start, method, times in LOOPS:
        cells = []
        for bits in all_bits:
            if bits not in options.loop_bits.split(","):
                cells.append("")
                continue
            values = [
                accuracy(loop_run(start, method, times, noise, seed, bits), "loop") for seed in seeds
            ]
            cells.append(cell(values, base.get(bits)))
            base.setdefault(bits, values)
        print(f"| in the loop | {name} | " + " | ".join(cells) + " |", flush=True)
