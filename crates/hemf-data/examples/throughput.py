"""How long one core takes for an image with Pillow and torchvision: the other column of docs/data.md's table.

    pip install torch torchvision pillow
    python crates/hemf-data/examples/throughput.py path/to/images 200
"""

import sys
import time
from pathlib import Path

import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T

torch.set_num_threads(1)
folder = Path(sys.argv[1])
most = int(sys.argv[2]) if len(sys.argv) > 2 else 200
files = sorted(path for path in folder.iterdir() if path.is_file())[:most]

scale = [T.ToTensor(), T.Normalize([0.5] * 3, [0.5] * 3)]
train = T.Compose([T.RandomResizedCrop(224), T.RandomHorizontalFlip(), *scale])
evaluation = T.Compose([T.Resize(256), T.CenterCrop(224), *scale])

print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, {len(files)} images")
for name, transform in [("decode", None), ("decode + train", train), ("decode + eval", evaluation)]:
    # The best of five passes: what the core can do when nothing else is going on.
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for file in files:
            picture = Image.open(file).convert("RGB")
            if transform is not None:
                transform(picture)
        best = min(best, time.perf_counter() - began)
    print(f"{name:15} {1e3 * best / len(files):.3f} ms an image")
