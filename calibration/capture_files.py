"""What a capture is made of: the points there are, the query rows, and the files; README.md beside this describes them.

Part of capture_diffusers.py. Tensors are torch's, or NumPy's arrays.
"""

import json
import os
import struct
import sys
from pathlib import Path

FORMAT, VERSION = "sparse-vdit/capture", 1
TYPES = {"bf16": ("BF16", 2, "bfloat16"), "fp16": ("F16", 2, "float16"), "fp32": ("F32", 4, "float32")}


class Refused(Exception):
    """What was asked for cannot be done; the message says why and what helps."""


# ---- what there is to capture ----------------------------------------------------------------------------------


class Geometry:
    """A transformer's sizes, out of its config.json."""

    def __init__(self, config):
        self.family = config.get("_class_name")
        if self.family not in ("WanTransformer3DModel", "HunyuanVideoTransformer3DModel", "CogVideoXTransformer3DModel"):
            raise Refused(f"model class {self.family} is not known; Wan, HunyuanVideo and CogVideoX transformers are")
        self.heads, self.head_dim = config["num_attention_heads"], config["attention_head_dim"]
        self.layers = config["num_layers"] + (config.get("num_single_layers") or 0 if self.hunyuan else 0)
        patch = config["patch_size"]
        self.patch = tuple(patch) if isinstance(patch, (list, tuple)) else (config.get("patch_size_t") or 1, patch, patch)
        self.usual_text = {"W": 512, "H": 256, "C": 226}[self.family[0]]

    @property
    def hunyuan(self):
        return self.family.startswith("Hunyuan")

    @property
    def cogvideox(self):
        return self.family.startswith("Cog")

    def sequence(self, frames, height, width, text):
        """Of latents of that size."""
        t, y, x = self.patch
        in_attention = text if self.hunyuan or self.cogvideox else 0
        return {"frames": -(-frames // t), "height": height // y, "width": width // x, "text": in_attention,
                "textFirst": self.cogvideox and in_attention > 0}

    def output_projections(self, transformer):
        """Of all layers, [d, heads * head dim] each."""
        width = self.heads * self.head_dim
        if not self.hunyuan:
            blocks = transformer.transformer_blocks if self.cogvideox else transformer.blocks
            return [block.attn1.to_out[0].weight for block in blocks]
        single = [block.proj_out.weight[:, :width] for block in transformer.single_transformer_blocks]
        return [block.attn.to_out[0].weight for block in transformer.transformer_blocks] + single

    def attentions(self, transformer):
        """The self-attention modules, layer after layer."""
        if self.hunyuan:
            blocks = list(transformer.transformer_blocks) + list(transformer.single_transformer_blocks)
            return [block.attn for block in blocks]
        blocks = transformer.transformer_blocks if self.cogvideox else transformer.blocks
        return [block.attn1 for block in blocks]


def tokens(sequence):
    return sequence["frames"] * sequence["height"] * sequence["width"] + sequence["text"]


class Selection:
    """Which points, heads and query rows. None is all of them."""

    def __init__(self, steps=None, layers=None, heads=None, query_blocks=None, block=128, branches=None):
        self.steps, self.layers, self.branches = steps, layers, branches
        self.heads = None if heads is None else sorted(set(heads))
        self.query_blocks, self.block = query_blocks, block

    def check(self, geometry, sequence, steps, passes):
        self.requires("step", self.steps, steps)
        self.requires("layer", self.layers, geometry.layers)
        self.requires("head", self.heads, geometry.heads)
        self.requires("branch", self.branches, passes)
        self.requires("query block", self.blocks(sequence), video_blocks(sequence, self.block))

    @staticmethod
    def requires(what, chosen, count):
        for value in chosen or []:
            if not 0 <= value < count:
                raise Refused(f"{what} {value}; expected 0 to {count - 1}")

    def wants(self, step, layer, branch):
        return all(chosen is None or value in chosen
                   for value, chosen in ((step, self.steps), (layer, self.layers), (branch, self.branches)))

    def blocks(self, sequence):
        """Video query blocks: those that are listed, or so many, evenly spread."""
        if self.query_blocks is None or not isinstance(self.query_blocks, int):
            return None if self.query_blocks is None else sorted(set(self.query_blocks))
        if self.query_blocks < 1:
            raise Refused(f"{self.query_blocks} query blocks; expected at least 1")
        all_blocks = video_blocks(sequence, self.block)
        wanted = min(self.query_blocks, all_blocks)
        return [(2 * i + 1) * all_blocks // (2 * wanted) for i in range(wanted)]

    def rows(self, sequence):
        """Rows of Q, ascending: of the blocks in frame-major and in token-major order, and all text."""
        blocks = self.blocks(sequence)
        if blocks is None:
            return None
        frames, place = sequence["frames"], sequence["height"] * sequence["width"]
        video = frames * place
        first = sequence["text"] if sequence["textFirst"] else 0
        rows = set(range(sequence["text"])) if sequence["textFirst"] else set(range(video, video + sequence["text"]))
        for block in blocks:
            for at in range(block * self.block, min((block + 1) * self.block, video)):
                rows.add(first + at)
                rows.add(first + at % frames * place + at // frames)
        return sorted(rows)

    def points(self, geometry, steps, passes, samples):
        count = lambda chosen, total: total if chosen is None else len(set(chosen))
        return samples * count(self.steps, steps) * count(self.layers, geometry.layers) * count(self.branches, passes)

    def point_bytes(self, geometry, sequence, element_bytes):
        rows = self.rows(sequence)
        heads = geometry.heads if self.heads is None else len(self.heads)
        queries = tokens(sequence) if rows is None else len(rows)
        return (queries + 2 * tokens(sequence)) * heads * geometry.head_dim * element_bytes


def video_blocks(sequence, block):
    return -(-(tokens(sequence) - sequence["text"]) // block)


def announce(geometry, sequence, selection, steps, passes, samples, kind, limit_gb, yes, out=None):
    """Prints how much will be written; refuses more than the limit unless it is wanted."""
    selection.check(geometry, sequence, steps, passes)
    points = selection.points(geometry, steps, passes, samples)
    size = points * selection.point_bytes(geometry, sequence, TYPES[kind][1])
    print(f"capture: {points} points of {tokens(sequence)} tokens, {human(size)} of {kind}", file=out or sys.stderr)
    if size > limit_gb * 1e9 and not yes:
        raise Refused(f"that is {human(size)}, and the limit is {human(limit_gb * 1e9)}: choose steps, layers, heads or "
                      "query blocks, or say --yes (yes=True)")
    return size


def human(size):
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1e3:.1f} KB"


# ---- files -----------------------------------------------------------------------------------------------------


def write_whole(path, parts):
    """The file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_safetensors(path, kind, tensors, metadata=None):
    """tensors: name to an array that is contiguous and of that kind."""
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, tensor in tensors.items():
        size = TYPES[kind][1]
        for extent in tensor.shape:
            size *= extent
        header[name] = {"dtype": TYPES[kind][0], "shape": list(tensor.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_whole(path, [struct.pack("<Q", len(text)), text] + [memory(tensor) for tensor in tensors.values()])


def kind_of(tensor):
    name = str(tensor.dtype).removeprefix("torch.")
    for kind, (_, _, dtype) in TYPES.items():
        if name == dtype:
            return kind
    raise Refused(f"tensors of {tensor.dtype} cannot be captured; name one of {', '.join(TYPES)} as the type")


def of_kind(tensor, kind):
    """On the host, contiguous and of that kind; torch's tensors or NumPy's arrays."""
    if hasattr(tensor, "detach"):
        import torch

        return tensor.detach().to(getattr(torch, TYPES[kind][2])).to("cpu").contiguous()
    import numpy

    return numpy.ascontiguousarray(tensor, dtype=TYPES[kind][2])


def memory(tensor):
    if hasattr(tensor, "detach"):
        import torch

        tensor = tensor.flatten().view(torch.uint8).numpy()
    return tensor.reshape(-1).view("uint8").data


def taken(tensor, axis, places):
    """Some places of an axis."""
    if places is None:
        return tensor
    if hasattr(tensor, "detach"):
        import torch

        return tensor.index_select(axis, torch.as_tensor(places, device=tensor.device))
    return tensor.take(places, axis)


class Writer:
    """A capture's folder."""

    def __init__(self, folder, geometry, name, selection):
        self.folder, self.geometry, self.name, self.selection = Path(folder), geometry, name, selection
        self.manifest = None

    def begin(self, sequence, kind, layout, samples, passes, timesteps, starts):
        selection, geometry = self.selection, self.geometry
        manifest = {
            "format": FORMAT, "version": VERSION,
            "model": {"name": self.name, "layers": geometry.layers, "heads": geometry.heads,
                      "headDim": geometry.head_dim},
            "sequence": sequence, "type": kind, "layout": layout, "samples": samples, "branches": passes,
            "timesteps": timesteps,
        }
        if starts:
            manifest["networkStarts"] = starts
        if selection.heads is not None:
            manifest["heads"] = selection.heads
        if selection.query_blocks is not None:
            manifest["queries"] = {"block": selection.block, "blocks": selection.blocks(sequence)}
        file = self.folder / "capture.json"
        if file.exists():
            there = json.loads(file.read_text())
            for key in sorted(there.keys() | manifest.keys()):
                if there.get(key) != manifest.get(key):
                    raise Refused(f"{self.folder} holds another capture: its {key} is {there.get(key)}, this one's is "
                                  f"{manifest.get(key)}; name another folder")
        else:
            write_whole(file, [json.dumps(manifest, indent=2).encode()])
        self.manifest, self.rows = manifest, selection.rows(sequence)

    def point(self, sample, step, layer, branch):
        return self.folder / f"sample-{sample:03}" / f"step-{step:03}" / f"layer-{layer:03}-branch-{branch}.safetensors"

    def write(self, sample, step, layer, branch, q, k, v, valid):
        """q, k and v: one batch row, in the manifest's layout."""
        heads, rows = (2, 1) if self.manifest["layout"] == "BSHD" else (1, 2)
        name, kind = f"{sample}.{step}.{layer}.{branch}", self.manifest["type"]
        parts = {"q": taken(q, rows, self.rows), "k": k, "v": v}
        tensors = {f"{name}.{part}": of_kind(taken(tensor, heads, self.selection.heads), kind)
                   for part, tensor in parts.items()}
        metadata = None if valid is None else {f"{name}.textValid": str(valid)}
        write_safetensors(self.point(sample, step, layer, branch), kind, tensors, metadata)

    def write_projection(self, layer, network, weight):
        suffix = f"-network-{network}" if network else ""
        file = self.folder / "projections" / f"layer-{layer:03}{suffix}.safetensors"
        if not file.exists():
            kind = kind_of(weight)
            name = f"outProjection.{layer}" + (f".{network}" if network else "")
            write_safetensors(file, kind, {name: of_kind(weight, kind)})
