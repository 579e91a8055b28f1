"""Made-up readings of an accelerometer in three states, one window of 16 samples x 3 axes a row, the state last.

    python3 data.py > motion.csv
    tinyhero train --data motion.csv:16x1x3 --network mlp --optimizer hero --epochs 12 --seed 1 --out run
    tinyhero quantize run --bits 4 --out motion.hero

One g is 16,384, as the LIS3DH gives it within +-2 g.
"""
import math
import random

GRAVITY = 16384
SAMPLES = 16
random.seed(1)


def turned(angle, axis):
    """Gravity in the sensor's three axes after a turn about one of the two lying ones."""
    lying = GRAVITY * math.sin(angle)
    up = GRAVITY * math.cos(angle)
    return [lying, 0, up] if axis == 0 else [0, lying, up]


def window(state):
    angle = random.uniform(-1.5, 1.5)
    axis = random.randrange(2)
    turn = {0: 0.0, 1: random.choice([-1, 1]) * random.uniform(0.05, 0.12), 2: 0.0}[state]
    shake = random.uniform(5000, 14000) if state == 2 else 0
    period = random.uniform(2.5, 6)
    phase = random.uniform(0, 6.28)
    row = []
    for sample in range(SAMPLES):
        wave = shake * math.sin(phase + 6.2832 * sample / period)
        for value in turned(angle + turn * sample, axis):
            value += wave * 0.6 + random.gauss(0, 250)
            row.append(max(-32768, min(32767, int(value))))
    return row


for number in range(3000):
    state = number % 3
    print(",".join(str(value) for value in window(state)) + f",{state}")
