"""Makes a pretrained model and its card from a finished run.

    python3 card.py PROGRAM RUN NAME --data DATA --float-accuracy 0.98 [--bits 4]
        --task "…" --source "…" --licence "…" --command "…" --command "…" [--bundled] [--network FILE]

writes NAME.hero and NAME.toml beside this script: the file that `quantize` gives in the portable layout,
and its accuracy on the test samples of DATA. What it takes on each core is added by
`TINYHERO_REWRITE=1 cargo test --release --test pretrained`. Standard library only.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("program")
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("name")
parser.add_argument("--data", required=True)
parser.add_argument("--float-accuracy", required=True, type=float)
parser.add_argument("--validation-accuracy", type=float)
parser.add_argument("--bits", action="append", default=[])
parser.add_argument("--task", required=True)
parser.add_argument("--source", required=True)
parser.add_argument("--licence", required=True)
parser.add_argument("--command", action="append", required=True)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bundled", action="store_true")
parser.add_argument("--network", type=pathlib.Path)
options = parser.parse_args()
here = pathlib.Path(__file__).parent
file = here / f"{options.name}.hero"
bits = [word for value in options.bits for word in ("--bits", value)]


def report(*arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "report.json"
        subprocess.run(
            [options.program, *map(str, arguments), "--json", path], check=True, capture_output=True
        )
        return json.loads(path.read_text())


report("quantize", options.run, *bits, "--out", file)
inspection = report("inspect", file)
evaluation = report("evaluate", file, "--data", options.data)
text = json.dumps  # a JSON string is a TOML string
lines = [
    f"name = {text(options.name)}",
    f"task = {text(options.task, ensure_ascii=False)}",
    f"data = {text(options.source, ensure_ascii=False)}",
    *([f"bundled-data = {text(options.data)}"] if options.bundled else []),
    f"licence = {text(options.licence, ensure_ascii=False)}",
    "commands = [",
    *(f"    {text(command, ensure_ascii=False)}," for command in options.command),
    "]",
    f"seed = {options.seed}",
    *([f'network = """\n{options.network.read_text()}"""'] if options.network else []),
    f"bits = {[layer['bits'] for layer in inspection['layers'] if layer['bits']]}",
    f"samples = {evaluation['samples']}",
    f"float-accuracy = {options.float_accuracy}",
    f"accuracy = {evaluation['accuracy']}",
]
if options.validation_accuracy is not None:
    lines.append(f"validation-accuracy = {options.validation_accuracy}")
lines += [
    f"bytes = {inspection['bytes']}",
    f"arena = {inspection['arena']}",
    f"sha256 = {text(hashlib.sha256(file.read_bytes()).hexdigest())}",
    "",
    "[cores]",
]
(here / f"{options.name}.toml").write_text("\n".join(lines) + "\n")
print(f"{options.name}: {evaluation['accuracy']:.4f}, {inspection['bytes']} bytes")
