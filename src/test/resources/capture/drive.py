"""Runs a reference case's checkpoint three steps long under capture_diffusers.py, as a pipeline would.

drive.py SCRIPTS standins|diffusers CHECKPOINT OUT OPTIONS: OPTIONS are capture()'s, as JSON. The case's own timestep is
the second step's. The checkpoint's projections are taken from its weights either way.
"""

import json
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np

scripts, how, checkpoint, out, options = sys.argv[1:]
sys.path.insert(0, scripts)
from capture_diffusers import Geometry, capture


def read(path):
    data = Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + at for at in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            bits = np.frombuffer(data[begin:end], "<u2").astype(np.uint32) << 16
            tensor = bits.view(np.float32)
        else:
            tensor = np.frombuffer(data[begin:end], "<f4")
        tensors[name] = tensor.reshape(entry["shape"])
    return tensors


config = json.loads((Path(checkpoint) / "config.json").read_text())
case = read(Path(checkpoint) / "case.safetensors")
inputs = {name[3:]: tensor for name, tensor in case.items() if name.startswith("in.")}
now = float(inputs["timestep"].max())
timesteps = [now + 20, now, now / 2]
geometry = Geometry(config)

if how == "standins":
    import standins as library

    weights = read(Path(checkpoint) / "diffusion_pytorch_model.safetensors")
    width = geometry.heads * geometry.head_dim
    projections = []
    for layer in range(geometry.layers):
        names = [f"blocks.{layer}.attn1.to_out.0.weight", f"transformer_blocks.{layer}.attn1.to_out.0.weight",
                 f"transformer_blocks.{layer}.attn.to_out.0.weight",
                 f"single_transformer_blocks.{layer - config['num_layers']}.proj_out.weight"]
        projections.append(next(weights[name] for name in names if name in weights))
    layers = [[case[f"attn.{layer}.{part}"] for part in "qkv"] for layer in range(geometry.layers)]
    transformer = getattr(library, config["_class_name"])(config, layers, projections)
else:
    import diffusers
    import torch

    transformer = getattr(diffusers, config["_class_name"]).from_pretrained(checkpoint, torch_dtype=torch.float32)
    inputs = {name: torch.from_numpy(tensor.copy()) for name, tensor in inputs.items()}
    if "image_rotary_emb" not in inputs and geometry.cogvideox:
        from diffusers.models.embeddings import get_3d_rotary_pos_embed

        sequence = geometry.sequence(*(inputs["hidden_states"].shape[i] for i in (1, 3, 4)), 0)
        grid = sequence["height"], sequence["width"]
        inputs["image_rotary_emb"] = get_3d_rotary_pos_embed(
            geometry.head_dim, None, grid, sequence["frames"], grid_type="slice", max_size=grid)

pipe = SimpleNamespace(transformer=transformer, scheduler=SimpleNamespace(timesteps=timesteps))
given = json.loads(options)
passes = inputs["hidden_states"].shape[0] if geometry.cogvideox else 2
if geometry.hunyuan:
    passes = 1
calls = 1 if geometry.cogvideox else passes
with capture(pipe, out, passes=passes, name=Path(checkpoint).name, **given):
    for timestep in timesteps:
        for call in range(calls):
            one = inputs["timestep"] * 0 + timestep
            transformer(**(inputs | {"timestep": one}))
        if getattr(pipe, "_interrupt", False):
            break
print("steps run", timesteps.index(timestep) + 1)
