"""Writes the reference cases of Wan's image branch and of Wan 2.2: tiny checkpoints with random
weights, and what diffusers computes with them in fp32.

Needs torch and diffusers (58eb52c was used); the build and the tests do not. Run it as

    python tools/cases/wan.py src/test/resources/cases
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from safetensors.torch import save_file

FRAMES, HEIGHT, WIDTH = 3, 8, 12  # of the latents
TEXT, FEATURES = 12, 24
STEPS = 6


def transformer(seed, **changes):
    """Random weights, rounded to bf16, in which they are stored."""
    torch.manual_seed(seed)
    config = dict(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=32,
        in_channels=4,
        out_channels=4,
        text_dim=FEATURES,
        freq_dim=256,
        ffn_dim=96,
        num_layers=2,
        cross_attn_norm=True,
        rope_max_seq_len=32,
    )
    model = WanTransformer3DModel(**(config | changes)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1 and "norm" in name and name.endswith("weight"):
                weight.copy_(1 + 0.2 * torch.randn_like(weight))
            elif name.endswith("bias"):
                weight.copy_(0.1 * torch.randn_like(weight))
            else:
                weight.mul_(1.5)
            weight.copy_(weight.to(torch.bfloat16))
    return model


def store(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    config = {k: v for k, v in model.config.items() if not k.startswith("_")}
    config = {"_class_name": type(model).__name__, "_diffusers_version": diffusers.__version__} | config
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    weights = {k: v.to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", {"format": "pt"})


def self_attention(model):
    """Records what each self-attention call saw and gave."""
    module = sys.modules[type(model).__module__]
    original = module.dispatch_attention_fn
    calls = []

    def recording(q, k, v, *args, **kwargs):
        out = original(q, k, v, *args, **kwargs)
        if q.shape[1] == k.shape[1]:
            calls.append((q, k, v, out))
        return out

    module.dispatch_attention_fn = recording
    return calls, lambda: setattr(module, "dispatch_attention_fn", original)


@torch.no_grad()
def denoiser_case(model, folder, **inputs):
    store(model, folder)
    calls, restore = self_attention(model)
    out = model(**inputs, return_dict=False)[0]
    restore()
    tensors = {"in." + name: value for name, value in inputs.items()} | {"out": out}
    for i, call in enumerate(calls):
        tensors |= {f"attn.{i}.{part}": t for part, t in zip("qkvo", call)}
    tensors = {name: t.contiguous().clone() for name, t in tensors.items()}
    metadata = {
        "attn_layout": "B,S,H,D; self-attention calls only",
        "diffusers": diffusers.__version__,
    }
    save_file(tensors, folder / "case.safetensors", metadata)


def vae(seed):
    torch.manual_seed(seed)
    return AutoencoderKLWan(
        base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    ).eval()


@torch.no_grad()
def run(pipeline_class, path, checkpoint, seed, shift, networks, config, arguments, tensors):
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )
    parts = dict(tokenizer=None, text_encoder=None, vae=vae(seed), scheduler=scheduler, **networks)
    pipeline = pipeline_class(**parts, **config)
    pipeline.set_progress_bar_config(disable=True)
    condition = []
    prepare = pipeline.prepare_latents

    def recording(*args, **kwargs):
        prepared = prepare(*args, **kwargs)
        if isinstance(prepared, tuple):
            condition.append(prepared[1])
        return prepared

    pipeline.prepare_latents = recording
    arguments = dict(height=8 * HEIGHT, width=8 * WIDTH, num_frames=4 * FRAMES - 3,
                     num_inference_steps=STEPS) | arguments
    image = {}
    if pipeline_class is WanImageToVideoPipeline:
        image = {"image": torch.rand(1, 3, 8 * HEIGHT, 8 * WIDTH)}
    given = dict(tensors)
    if "image_embeds" in given:
        features = given.pop("image_embeds")  # in place of a CLIP's
        pipeline.encode_image = lambda *_: features
    out = pipeline(**arguments, **given, **image, output_type="latent", return_dict=False)[0]
    stored = {"in." + name: t.contiguous() for name, t in tensors.items()} | {"out": out.contiguous()}
    if condition:
        stored["in.condition"] = condition[0].contiguous()
    metadata = {
        "pipeline": pipeline_class.__name__,
        "args": json.dumps(arguments),
        "checkpoint": checkpoint,
        "scheduler": f"unipc flow_shift={shift}",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(stored, path, metadata)


def pipeline_folder(folder, first, second, boundary):
    store(first, folder / "transformer")
    store(second, folder / "transformer_2")
    index = {
        "_class_name": "WanImageToVideoPipeline",
        "_diffusers_version": diffusers.__version__,
        "boundary_ratio": boundary,
        "expand_timesteps": False,
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "transformer_2": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def prompts(seed, text=TEXT):
    torch.manual_seed(seed)
    return {
        "latents": torch.randn(1, 4, FRAMES, HEIGHT, WIDTH),
        "prompt_embeds": torch.randn(1, text, FEATURES),
        "negative_prompt_embeds": torch.randn(1, text, FEATURES),
    }


def main(cases):
    denoisers, runs = cases / "denoisers", cases / "runs"

    # The image's features are keys of their own only where text is padded to 512 tokens, as
    # published pipelines do.
    model = transformer(1, in_channels=12, image_dim=20, added_kv_proj_dim=64)
    torch.manual_seed(2)
    image = torch.randn(1, 9, 20)
    denoiser_case(
        model,
        denoisers / "wan2.1-i2v-image-tiny",
        hidden_states=torch.randn(1, 12, FRAMES, HEIGHT, WIDTH),
        timestep=torch.tensor([613.0]),
        encoder_hidden_states=torch.randn(1, 512, FEATURES),
        encoder_hidden_states_image=image,
    )
    run(
        WanImageToVideoPipeline,
        runs / "wan2.1-i2v.safetensors",
        "wan2.1-i2v-image-tiny",
        11,
        3.0,
        dict(transformer=model, transformer_2=None),
        dict(boundary_ratio=None),
        dict(guidance_scale=5.0),
        prompts(12, 512) | {"image_embeds": image},
    )

    model = transformer(3)
    torch.manual_seed(4)
    of_token = torch.full((1, FRAMES, HEIGHT // 2, WIDTH // 2), 725.0)
    of_token[:, 0] = 0
    denoiser_case(
        model,
        denoisers / "wan2.2-ti2v-tiny",
        hidden_states=torch.randn(1, 4, FRAMES, HEIGHT, WIDTH),
        timestep=of_token.flatten(1),
        encoder_hidden_states=torch.randn(1, TEXT, FEATURES),
    )
    run(
        WanImageToVideoPipeline,
        runs / "wan2.2-ti2v.safetensors",
        "wan2.2-ti2v-tiny",
        5,
        5.0,
        dict(transformer=model, transformer_2=None),
        dict(boundary_ratio=None, expand_timesteps=True),
        dict(guidance_scale=5.0),
        prompts(6),
    )

    high, low = transformer(7, in_channels=12), transformer(8, in_channels=12)
    pipeline_folder(denoisers / "wan2.2-i2v-tiny", high, low, 0.9)
    run(
        WanImageToVideoPipeline,
        runs / "wan2.2-i2v.safetensors",
        "wan2.2-i2v-tiny",
        9,
        5.0,
        dict(transformer=high, transformer_2=low),
        dict(boundary_ratio=0.9, expand_timesteps=False),
        dict(guidance_scale=3.5, guidance_scale_2=2.5),
        prompts(10),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
