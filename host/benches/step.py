"""One training step of tinyhero beside PyTorch's, on the same cores in the same run.

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python host/benches/step.py

Prints a Markdown table: the best time of a step of 64 samples, for SGD with momentum and for exact HERO, alternating between the two
programs so that both meet the same neighbours on the machine. PyTorch's threads wait for each other by spinning: where other programs use
the cores, compare with `--threads 1 --processor-time`. PyTorch runs once as installed and once with glibc's
memory thresholds raised, which saves it the page faults of fresh buffers. Networks, losses and optimizers are the same; the numbers in
them do not matter for the time.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ["cnn", "resnet8", "resnet20", "ds-cnn"]
METHODS = ["sgd", "hero"]
BATCH = 64
RAISED = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


def build(name):
    import torch
    from torch import nn

    def block(inputs, outputs, kernel=3, stride=1, padding=1, groups=1):
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    class Residual(nn.Module):
        def __init__(self, inputs, outputs, stride, normalized):
            super().__init__()
            self.first = block(inputs, outputs, stride=stride)
            self.second = nn.Sequential(
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
            )
            self.side = nn.Identity()
            if inputs != outputs:
                self.side = nn.Conv2d(inputs, outputs, 1, stride, bias=not normalized)
                if normalized:
                    self.side = nn.Sequential(self.side, nn.BatchNorm2d(outputs))

        def forward(self, x):
            return torch.relu(self.second(self.first(x)) + self.side(x))

    def ends(channels, classes):
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]

    if name == "mlp":
        layers = [nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)]
        return nn.Sequential(*layers), (1, 8, 8), 10
    if name == "cnn":
        layers = [block(1, 16), block(16, 32, stride=2), block(32, 32, stride=2), *ends(32, 10)]
        return nn.Sequential(*layers), (1, 28, 28), 10
    if name in ("resnet8", "resnet20"):
        blocks, normalized = (1, False) if name == "resnet8" else (3, True)
        layers, inputs = [block(3, 16)], 16
        for stage, channels in enumerate([16, 32, 64]):
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(Residual(inputs, channels, stride, normalized))
                inputs = channels
        return nn.Sequential(*layers, *ends(64, 10)), (3, 32, 32), 10
    # TensorFlow's padding of a 10x4 kernel: 4 above, 5 below (49 rows), 1 left, 1 right (10 columns), with stride 2.
    layers = [nn.ZeroPad2d((1, 1, 4, 5)), block(1, 64, (10, 4), 2, 0)]
    for _ in range(4):
        layers += [block(64, 64, groups=64), block(64, 64, 1, padding=0)]
    return nn.Sequential(*layers, *ends(64, 12)), (1, 49, 10), 12


class Step:
    """SGD with momentum, or HERO as published, written directly."""

    def __init__(self, name, method, rho=0.5, lam=5.0):
        import torch

        torch.manual_seed(0)
        self.model, shape, classes = build(name)
        self.model.train()
        self.x = torch.randn(BATCH, *shape)
        self.y = torch.arange(BATCH) % classes
        self.parameters = list(self.model.parameters())
        self.is_weight = [p.dim() > 1 for p in self.parameters]
        self.optimizer = torch.optim.SGD(
            self.parameters, lr=1e-4, momentum=0.9, weight_decay=5e-4
        )
        self.method, self.rho, self.lam = method, rho, lam

    def gradients(self, create_graph=False):
        import torch

        loss = torch.nn.functional.cross_entropy(self.model(self.x), self.y)
        return torch.autograd.grad(loss, self.parameters, create_graph=create_graph)

    def run(self):
        import torch

        if self.method == "sgd":
            total = self.gradients()
        else:
            g0 = self.gradients()
            with torch.no_grad():
                weighted = [p * g for p, g in zip(self.parameters, g0)]
                norm = torch.sqrt(sum((w * w).sum() for w in weighted)) + 1e-12
                saved = [p.clone() for p in self.parameters]
                for p, w in zip(self.parameters, weighted):
                    p.add_(p * w * (self.rho / norm))
            g1 = self.gradients(create_graph=True)
            terms = zip(g1, g0, self.is_weight)
            term = self.lam * sum(((a - b) ** 2).mean() for a, b, weight in terms if weight)
            curvature = torch.autograd.grad(term, self.parameters, allow_unused=True)
            with torch.no_grad():
                for p, s in zip(self.parameters, saved):
                    p.copy_(s)
            total = [g.detach() if c is None else g.detach() + c for g, c in zip(g1, curvature)]
        for p, g in zip(self.parameters, total):
            p.grad = g
        self.optimizer.step()

    def best(self, seconds):
        started, best, least, rounds = time.perf_counter(), float("inf"), float("inf"), 0
        while rounds < 5 or time.perf_counter() - started < seconds:
            begin, processor = time.perf_counter(), time.process_time()
            self.run()
            if rounds > 1:
                best = min(best, (time.perf_counter() - begin) * 1e3)
                least = min(least, (time.process_time() - processor) * 1e3)
            rounds += 1
        return best, least


def serve():
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    cases = {}
    for line in sys.stdin:
        name, method, seconds = line.split()
        if (name, method) not in cases:
            cases[name, method] = Step(name, method)
        print(*cases[name, method].best(float(seconds)), flush=True)


class Child:
    """A program that answers a line with the best time of a step and its least processor time."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def ask(self, name, method, seconds):
        self.process.stdin.write(f"{name} {method} {seconds}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]


def program():
    """The bench program, built."""
    command = ["cargo", "bench", "-p", "tinyhero", "--bench", "step", "--no-run"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stderr
    path = re.search(r"Executable .*\((.*)\)", text).group(1)
    return str(ROOT / path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each program")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="time in which the program ran, not that in which others did (only sensible with one thread)",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of each program")
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="which networks")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    options = parser.parse_args()
    if options.serve:
        return serve()
    ours = program()
    count = str(options.threads)
    threads = {"RAYON_NUM_THREADS": count, "OMP_NUM_THREADS": count}
    torch = [sys.executable, __file__, "--serve"]
    children = [
        Child([ours, "--serve"], threads),
        Child(torch, threads),
        Child(torch, {**threads, **RAISED}),
    ]
    print("| network | step | tinyhero | PyTorch | ratio | PyTorch, thresholds raised | ratio | HERO / SGD |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for name in options.networks:
        best = {}
        for _ in range(options.rounds):
            for method in METHODS:
                for index, child in enumerate(children):
                    times = child.ask(name, method, options.seconds)
                    time_ms = times[1 if options.processor_time else 0]
                    best[method, index] = min(best.get((method, index), time_ms), time_ms)
        for method in METHODS:
            own, stock, raised = (best[method, index] for index in range(3))
            factor = f"{own / best['sgd', 0]:.2f}" if method == "hero" else ""
            print(
                f"| {name} | {method} | {own:.2f} ms | {stock:.2f} ms | {own / stock:.2f} "
                f"| {raised:.2f} ms | {own / raised:.2f} | {factor} |",
                flush=True,
            )
    print("\n| network | memory, SGD | memory, HERO | ratio |\n|---|--:|--:|--:|")
    for name in options.networks:
        sizes = {}
        for method in METHODS:
            command = [ours, "--memory", name, method]
            environment = {**os.environ, **threads}
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, env=environment
            ).stdout
            before, after = map(int, output.split())
            sizes[method] = after - before
        print(
            f"| {name} | {sizes['sgd'] / 1e6:.1f} MB | {sizes['hero'] / 1e6:.1f} MB "
            f"| {sizes['hero'] / sizes['sgd']:.2f} |"
        )


if __name__ == "__main__":
    main()
