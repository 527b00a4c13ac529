#!/usr/bin/env python3
"""Trains the model of the demo: a multi-layer perceptron on dataset/wdbc.csv, saved as model/model.safetensors.

    pip install numpy safetensors
    python3 train.py

Deterministic on one machine and numpy version: fixed seed, fixed order. Prints the accuracy on a held-out fifth.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
HIDDEN = (512, 1024)
EPOCHS, RATE, DECAY, SEED = 60, 1e-3, 1e-4, 20261121


def load():
    table = np.loadtxt(HERE / "dataset" / "wdbc.csv", delimiter=",", skiprows=1, dtype=np.float32)
    table = table[np.random.default_rng(SEED).permutation(len(table))]
    x, y = table[:, :-1], table[:, -1]
    cut = len(x) * 4 // 5
    mean, std = x[:cut].mean(0), x[:cut].std(0)
    x = (x - mean) / std
    return x[:cut], y[:cut], x[cut:], y[cut:], mean, std


def forward(p, x):
    h1 = np.maximum(x @ p["dense1.weight"] + p["dense1.bias"], 0)
    h2 = np.maximum(h1 @ p["dense2.weight"] + p["dense2.bias"], 0)
    logit = (h2 @ p["dense3.weight"] + p["dense3.bias"])[:, 0]
    return h1, h2, 1 / (1 + np.exp(-logit))


def gradients(p, x, y):
    h1, h2, prob = forward(p, x)
    d3 = ((prob - y) / len(x))[:, None]
    d2 = (d3 @ p["dense3.weight"].T) * (h2 > 0)
    d1 = (d2 @ p["dense2.weight"].T) * (h1 > 0)
    return {
        "dense1.weight": x.T @ d1, "dense1.bias": d1.sum(0),
        "dense2.weight": h1.T @ d2, "dense2.bias": d2.sum(0),
        "dense3.weight": h2.T @ d3, "dense3.bias": d3.sum(0),
    }


def main():
    x, y, x_test, y_test, mean, std = load()
    rng = np.random.default_rng(SEED)
    sizes = (x.shape[1], *HIDDEN, 1)
    p = {}
    for i, (rows, cols) in enumerate(zip(sizes, sizes[1:]), start=1):
        p[f"dense{i}.weight"] = rng.normal(0, (2 / rows) ** 0.5, (rows, cols)).astype(np.float32)
        p[f"dense{i}.bias"] = np.zeros(cols, np.float32)
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    step = 0
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(x)), 8):
            step += 1
            for k, g in gradients(p, x[batch], y[batch]).items():  # Adam with weight decay
                m[k] = 0.9 * m[k] + 0.1 * g
                v[k] = 0.999 * v[k] + 0.001 * g * g
                update = (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
                p[k] = (p[k] - RATE * (update + DECAY * p[k])).astype(np.float32)
    accuracy = float(((forward(p, x_test)[2] > 0.5) == y_test).mean())
    p |= {"input.mean": mean, "input.std": std}
    (HERE / "model").mkdir(exist_ok=True)
    save_file(p, HERE / "model" / "model.safetensors", metadata={"task": "wdbc", "seed": str(SEED)})
    card = {"name": "wdbc-mlp", "layers": sizes, "test_rows": len(y_test), "test_accuracy": round(accuracy, 4),
            "dataset": "dataset/wdbc.csv", "seed": SEED, "epochs": EPOCHS}
    (HERE / "model" / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card))


if __name__ == "__main__":
    main()
