#!/usr/bin/env python3
"""Captures Q, K and V of a diffusers pipeline's self-attention, for `svdit search`.

Knows Wan, HunyuanVideo and CogVideoX. Q, K and V are taken where the attention operation gets them, after norms and
rotary embedding, and written one point (a layer in one forward pass) at a time, in the format that README.md beside
this file describes. An interrupted capture goes on where it stopped: points that are there are not written again.

From the command line, which loads the pipeline and says first how much will be written:

    python capture_diffusers.py Wan-AI/Wan2.1-T2V-1.3B-Diffusers --size 480x832 --frames 81 --prompt "a cat" \\
        --at-steps 5,15,30,45 --layers 0,10,20,29 --query-blocks 32 --out capture

In a program, around a pipeline that is set up as you like:

    with capture(pipe, "capture", steps=[5, 15, 30, 45], passes=2):
        pipe(prompt, ...)

Needs what the pipeline needs; estimating (--estimate) needs nothing but Python.
"""

import argparse
import contextlib
import json
import os
import re
import sys
from pathlib import Path

from capture_files import TYPES, Geometry, Refused, Selection, Writer, announce, kind_of

LIMIT_GB = 100


# ---- hooks -----------------------------------------------------------------------------------------------------


class Functions:
    """Stands in for torch.nn.functional in a processor's module."""

    def __init__(self, inner, watch):
        self.inner = inner
        self.scaled_dot_product_attention = watch(inner.scaled_dot_product_attention, "BHSD")

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Hooks:
    """Watches a pipeline's transformers."""

    def __init__(self, pipe, writer, samples, passes, kind, timesteps, limit_gb, yes):
        self.pipe, self.writer, self.samples, self.passes, self.kind = pipe, writer, samples, passes, kind
        self.given_timesteps, self.limit_gb, self.yes = timesteps, limit_gb, yes
        self.transformers = [pipe.transformer]
        if getattr(pipe, "transformer_2", None) is not None:
            self.transformers.append(pipe.transformer_2)
        self.undo, self.announced, self.layer = [], False, None
        self.begin_sample(0)

    def begin_sample(self, sample):
        if sample >= self.samples:
            raise Refused(f"sample {sample}; the capture has {self.samples}")
        self.sample, self.calls = sample, 0

    def attach(self):
        for network, transformer in enumerate(self.transformers):
            before = transformer.register_forward_pre_hook(
                lambda module, args, kwargs, network=network: self.forward(network, args, kwargs), with_kwargs=True)
            self.undo.append(before.remove)
            for layer, attention in enumerate(self.writer.geometry.attentions(transformer)):
                enter = attention.register_forward_pre_hook(lambda module, args, layer=layer: self.enter(layer))
                leave = attention.register_forward_hook(lambda module, args, out: self.leave())
                self.undo += [enter.remove, leave.remove]
                self.patch(sys.modules[type(attention.processor).__module__])

    def detach(self):
        while self.undo:
            self.undo.pop()()

    def patch(self, module):
        """Puts watchers in place of the attention operation that a processor's module calls."""
        for name, stand_in in (("dispatch_attention_fn", lambda inner: self.watch(inner, "BSHD")),
                               ("F", lambda inner: Functions(inner, self.watch))):
            inner = getattr(module, name, None)
            known = isinstance(inner, Functions) or getattr(inner, "watches", False)
            if inner is None or known or name == "F" and not hasattr(inner, "scaled_dot_product_attention"):
                continue
            setattr(module, name, stand_in(inner))
            self.undo.append(lambda module=module, name=name, inner=inner: setattr(module, name, inner))

    def watch(self, inner, layout):
        def call(query, key, value, *args, **kwargs):
            if self.layer is not None:
                self.seen(query, key, value, layout)
            return inner(query, key, value, *args, **kwargs)

        call.watches = True
        return call

    def forward(self, network, args, kwargs):
        """A transformer is about to run."""
        inputs = dict(zip(("hidden_states", "timestep", "encoder_hidden_states"), args)) | kwargs
        latents, text = inputs["hidden_states"], inputs["encoder_hidden_states"]
        if self.writer.geometry.cogvideox:
            frames, height, width = latents.shape[1], latents.shape[3], latents.shape[4]
        else:
            frames, height, width = latents.shape[2:]
        self.sequence = self.writer.geometry.sequence(frames, height, width, text.shape[1])
        mask = inputs.get("encoder_attention_mask")
        self.valid = None if mask is None else [int(row) for row in mask.sum(1)]
        rows = latents.shape[0]
        if rows not in (1, self.passes):
            raise Refused(f"a batch of {rows}; expected 1, or {self.passes} with both guidance branches: run one prompt "
                          "and one video at a time, and say how many passes a step has")
        # diffusers puts the unconditional branch first in a batch, and last in calls of its own.
        self.branches = [self.passes - 1 - row for row in range(rows)] if rows > 1 else [self.calls % self.passes]
        self.step = self.calls // (1 if rows > 1 else self.passes)
        self.calls += 1
        self.network = network
        if self.given_timesteps is None:
            self.given_timesteps = [float(t) for t in self.pipe.scheduler.timesteps]
        steps = self.given_timesteps
        now = float(inputs["timestep"].max())
        if self.step >= len(steps) or abs(now - steps[self.step]) > max(5.0, 0.01 * now):  # bf16 rounds it
            raise Refused(f"call {self.calls} is at timestep {now}, and step {self.step} of {len(steps)} was expected "
                          f"there: does a step have {self.passes} passes?")
        if not self.announced:
            kind = self.kind or kind_of(latents)
            announce(self.writer.geometry, self.sequence, self.writer.selection, len(steps), self.passes, self.samples,
                     kind, self.limit_gb, self.yes)
            self.announced = True

    def enter(self, layer):
        wanted = any(self.writer.selection.wants(self.step, layer, branch) for branch in self.branches)
        self.layer, self.operations = (layer if wanted else None), 0

    def leave(self):
        if self.layer is not None and self.operations != 1:
            raise Refused(f"layer {self.layer} called its attention operation {self.operations} times; expected once")
        self.layer = None

    def seen(self, query, key, value, layout):
        self.operations += 1
        if self.writer.manifest is None:
            self.writer.begin(self.sequence, self.kind or kind_of(query), layout, self.samples, self.passes,
                              self.given_timesteps, self.starts())
        for row, branch in enumerate(self.branches):
            where = (self.sample, self.step, self.layer, branch)
            if self.writer.selection.wants(*where[1:]) and not self.writer.point(*where).exists():
                part = slice(row, row + 1)
                valid = None if self.valid is None else self.valid[row]
                self.writer.write(*where, query[part], key[part], value[part], valid)
        projections = self.writer.geometry.output_projections(self.transformers[self.network])
        self.writer.write_projection(self.layer, self.network, projections[self.layer])
        if self.complete():
            self.pipe._interrupt = True  # diffusers' pipelines then skip the steps that are left

    def complete(self):
        """Whether no later step of this sample is wanted, and this is the last layer and branch of this one."""
        chosen = self.writer.selection
        last_step = self.step if chosen.steps is None else max(chosen.steps)
        last_layer = self.writer.geometry.layers - 1 if chosen.layers is None else max(chosen.layers)
        last_branch = self.passes - 1 if chosen.branches is None else max(chosen.branches)
        return (chosen.steps is not None and self.step == last_step and self.layer == last_layer
                and last_branch in self.branches)

    def starts(self):
        """Steps at which a second network takes over."""
        if len(self.transformers) < 2:
            return []
        boundary = self.pipe.config.boundary_ratio * self.pipe.scheduler.config.num_train_timesteps
        return [next(step for step, t in enumerate(self.given_timesteps) if t < boundary)]


@contextlib.contextmanager
def capture(pipe, folder, steps=None, layers=None, heads=None, query_blocks=None, block=128, branches=None, passes=None,
            samples=1, kind=None, timesteps=None, name=None, limit_gb=LIMIT_GB, yes=False):
    """Captures the runs of pipe inside the with statement.

    pipe: a diffusers pipeline, or anything with transformer and scheduler.
    steps, layers, heads, branches: which, from 0; None for all. Branch 0 is the conditional one.
    query_blocks: how many video query blocks of `block` tokens, evenly spread, or a list of them; None for all rows.
    passes: guidance branches of a step; by default 1 for HunyuanVideo, which embeds its guidance, else 2.
    samples: how many runs there will be; call begin_sample(n) of what this yields before the n-th.
    kind: bf16, fp16 or fp32; None for what the model computes in.
    timesteps: of the run; None for the scheduler's when it begins.
    """
    geometry = Geometry(dict(pipe.transformer.config) | {"_class_name": type(pipe.transformer).__name__})
    writer = Writer(folder, geometry, name or model_name(pipe),
                    Selection(steps, layers, heads, query_blocks, block, branches))
    hooks = Hooks(pipe, writer, samples, passes or (1 if geometry.hunyuan else 2), kind, timesteps, limit_gb, yes)
    try:
        hooks.attach()
        yield hooks
    finally:
        hooks.detach()


def model_name(pipe):
    return str(getattr(getattr(pipe, "config", None), "_name_or_path", "")).rstrip("/").split("/")[-1]


# ---- command line ----------------------------------------------------------------------------------------------


def numbers(text):
    return [int(part) for part in text.split(",")]


def size(text):
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 480x832")
    return [int(part) for part in text.split("x")]


def blocks(text):
    return numbers(text) if "," in text else int(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a pipeline's folder or its name on the hub; with --estimate a config.json")
    parser.add_argument("--prompt", action="append", default=[], help="once for each sample")
    parser.add_argument("--out", help="the capture's folder")
    parser.add_argument("--size", type=size, help="height x width of the video in pixels")
    parser.add_argument("--frames", type=int, help="of the video")
    parser.add_argument("--steps", type=int, default=50, help="denoising steps (50)")
    parser.add_argument("--guidance", type=float, help="guidance scale (the pipeline's)")
    parser.add_argument("--passes", type=int, help="guidance branches of a step")
    parser.add_argument("--at-steps", type=numbers, help="steps to capture, from 0 (all)")
    parser.add_argument("--layers", type=numbers, help="layers to capture, from 0 (all)")
    parser.add_argument("--heads", type=numbers, help="heads to capture, from 0 (all)")
    parser.add_argument("--branches", type=numbers, help="guidance branches to capture: 0 conditional, 1 not (all)")
    parser.add_argument("--query-blocks", type=blocks, help="so many video query blocks, or those listed (all rows)")
    parser.add_argument("--block", type=int, default=128, help="tokens of a query block (128)")
    parser.add_argument("--type", choices=TYPES, default="bf16", help="to compute in and to write (bf16)")
    parser.add_argument("--seed", type=int, default=0, help="of the first sample")
    parser.add_argument("--device", default="cuda", help="to run on (cuda)")
    parser.add_argument("--limit", type=float, default=LIMIT_GB, help="GB to write without asking (100)")
    parser.add_argument("--yes", action="store_true", help="write more than that")
    parser.add_argument("--estimate", action="store_true", help="only say how much it would be")
    parser.add_argument("--vae", type=size, default=[4, 8], help="frames x pixels of a latent (4x8)")
    parser.add_argument("--text", type=int, help="text tokens (the family's)")
    return parser.parse_args()


def main():
    given = arguments()
    if given.size is None or given.frames is None:
        raise Refused("--size HxW and --frames N say how large the video is")
    if not given.estimate and not (given.out and given.prompt):
        raise Refused("--out FOLDER and at least one --prompt are needed")
    if given.estimate and os.path.isfile(given.model):
        config = json.loads(Path(given.model).read_text())
    else:
        import diffusers
        import torch

        config = diffusers.ModelMixin.load_config(given.model, subfolder="transformer")
    geometry = Geometry(config)
    latents = (given.frames - 1) // given.vae[0] + 1, given.size[0] // given.vae[1], given.size[1] // given.vae[1]
    sequence = geometry.sequence(*latents, given.text or geometry.usual_text)
    passes = given.passes or (1 if geometry.hunyuan or given.guidance == 1 else 2)
    selection = Selection(given.at_steps, given.layers, given.heads, given.query_blocks, given.block, given.branches)
    announce(geometry, sequence, selection, given.steps, passes, max(1, len(given.prompt)), given.type, given.limit,
             given.yes or given.estimate, sys.stdout)
    if given.estimate:
        return
    pipe = diffusers.DiffusionPipeline.from_pretrained(given.model, torch_dtype=getattr(torch, TYPES[given.type][2]))
    pipe.to(given.device)
    guidance = {} if given.guidance is None else {"guidance_scale": given.guidance}
    with capture(pipe, given.out, given.at_steps, given.layers, given.heads, given.query_blocks, given.block,
                 given.branches, passes, len(given.prompt), given.type, limit_gb=given.limit, yes=True) as hooks:
        for sample, prompt in enumerate(given.prompt):
            hooks.begin_sample(sample)
            pipe(prompt=prompt, height=given.size[0], width=given.size[1], num_frames=given.frames,
                 num_inference_steps=given.steps, output_type="latent",
                 generator=torch.Generator("cpu").manual_seed(given.seed + sample), **guidance)
            print(f"sample {sample} of {len(given.prompt)}: {prompt}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except (Refused, OSError) as problem:
        sys.exit(f"capture_diffusers: {problem}")
