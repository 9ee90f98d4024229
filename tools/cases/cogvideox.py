"""Writes the reference case of a whole CogVideoX1.5 image-to-video run: what diffusers' pipeline
computes in fp32 with the tiny checkpoint that lies among the cases already.

Needs torch and diffusers (58eb52c was used); the build and the tests do not. Run it as

    python tools/cases/cogvideox.py src/test/resources/cases
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXTransformer3DModel,
)
from safetensors.torch import save_file

CHECKPOINT = "cogvideox1.5-i2v-tiny"
SIZE = dict(height=64, width=96, num_frames=13)


class WithoutNoise(CogVideoXDPMScheduler):
    """The random term is another generator's in every implementation."""

    def step(self, *args, **kwargs):
        normal = torch.randn
        torch.randn = lambda shape, dtype=None, **_: torch.zeros(shape, dtype=dtype)
        try:
            return super().step(*args, **kwargs)
        finally:
            torch.randn = normal


@torch.no_grad()
def main(cases):
    torch.manual_seed(1)
    transformer = CogVideoXTransformer3DModel.from_pretrained(
        cases / "denoisers" / CHECKPOINT, torch_dtype=torch.float32
    )
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    scheduler = WithoutNoise(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        snr_shift_scale=1.0,
    )
    pipeline = CogVideoXImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, scheduler=scheduler
    )
    pipeline.set_progress_bar_config(disable=True)
    prepare, prepared = pipeline.prepare_latents, []

    def recording(*args, **kwargs):
        prepared.append(prepare(*args, **kwargs))
        return prepared[0]

    pipeline.prepare_latents = recording
    arguments = dict(SIZE, num_inference_steps=6, guidance_scale=6.0, use_dynamic_cfg=True)
    tensors = {
        "prompt_embeds": torch.randn(1, 10, 24),
        "negative_prompt_embeds": torch.randn(1, 10, 24),
        "latents": torch.randn(1, 4, 4, 8, 12),
    }
    image = torch.rand(1, 3, SIZE["height"], SIZE["width"])
    out = pipeline(image=image, **arguments, **tensors, output_type="latent", return_dict=False)[0]
    stored = {"in." + name: t.contiguous() for name, t in tensors.items()}
    stored |= {"in.condition": prepared[0][1].contiguous(), "out": out.contiguous()}
    metadata = {
        "pipeline": "CogVideoXImageToVideoPipeline",
        "args": json.dumps(arguments),
        "checkpoint": CHECKPOINT,
        "scheduler": "cogvideox-dpm",
    }
    save_file(stored, cases / "runs" / "cogvideox1.5-i2v.safetensors", metadata)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
