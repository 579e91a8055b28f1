"""Inference of tinyhero's integer networks beside PyTorch's float forward pass, on one core in the same run.

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python host/benches/inference.py

Prints a Markdown table: images a second of one core's processor time, the best of alternating turns of both programs. PyTorch runs its eager
float32 forward pass on batches of 64 without gradients.
"""

import argparse
import os
import re
import subprocess
import sys
import time

from step import BATCH, ROOT, Child, build

NETWORKS = ["mlp", "cnn", "resnet8", "ds-cnn"]
ONE = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def serve():
    import torch

    torch.set_num_threads(1)
    cases = {}
    for line in sys.stdin:
        name, _, seconds = line.split()
        if name not in cases:
            model, shape, _ = build(name)
            cases[name] = model.eval(), torch.rand(BATCH, *shape)
        model, images = cases[name]
        started, least = time.perf_counter(), float("inf")
        with torch.no_grad():
            while least == float("inf") or time.perf_counter() - started < float(seconds):
                before, turn, batches = time.process_time(), time.perf_counter(), 0
                while time.perf_counter() - turn < 0.1:
                    model(images)
                    batches += 1
                least = min(least, (time.process_time() - before) / (batches * BATCH) * 1e6)
        print(least, flush=True)


def program():
    """The bench program, built."""
    command = ["cargo", "bench", "-p", "tinyhero", "--bench", "inference", "--no-run"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stderr
    return str(ROOT / re.search(r"Executable .*\((.*)\)", text).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="which networks")
    options = parser.parse_args()
    if options.serve:
        return serve()
    ours = [program(), "--serve"]
    children = {
        "host": Child(ours, ONE),
        "plain": Child(ours, {**ONE, "TINYHERO_VECTORS": "plain"}),
        "torch": Child([sys.executable, os.path.abspath(__file__), "--serve"], ONE),
    }
    turns = [
        ("portable kernels", "host", "portable"),
        ("plain code", "plain", "host"),
        ("with digests", "host", "digests"),
        ("tinyhero", "host", "host"),
        ("PyTorch", "torch", "torch"),
    ]
    print("| network | " + " | ".join(title for title, _, _ in turns) + " | tinyhero / PyTorch |")
    print("|---|" + "--:|" * (len(turns) + 1))
    for name in options.networks:
        least = {}
        for _ in range(options.rounds):
            for title, child, kernels in turns:
                [microseconds] = children[child].ask(name, kernels, options.seconds)
                least[title] = min(least.get(title, microseconds), microseconds)
        rates = " | ".join(f"{1e6 / least[title]:,.0f}" for title, _, _ in turns)
        ratio = least["PyTorch"] / least["tinyhero"]
        print(f"| {name} | {rates} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
