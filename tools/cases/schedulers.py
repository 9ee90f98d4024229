"""Writes what diffusers' schedulers compute with settings apart from the published ones, in fp32: a
made-up model's outputs, and the sample after each step.

Needs torch and diffusers; the build and the tests do not. The file that is there was made with the
four classes' own sources (58eb52c) and NumPy in the place of torch. Run it as

    python tools/cases/schedulers.py src/test/resources/io/github/sparsevdit/pipeline/schedulers.json
"""

import inspect
import json
import sys

import diffusers
import numpy as np
import torch

UNIPC, EULER = "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler"
DDIM, DPM = "CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
V = {"prediction_type": "v_prediction"}
UNUSED_BY_FLOWS = {
    "beta_start": 0.01,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
    "sample_max_value": 0.5,
    "sigma_min": 0.1,
    "sigma_max": 0.9,
    "rescale_betas_zero_snr": True,
}
NO_SHIFTING = {"base_shift": 0.9, "max_shift": 3.0, "time_shift_type": "linear", "max_image_seq_len": 9}
PUBLISHED = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "snr_shift_scale": 1.0}
OTHER_BETAS = {"beta_start": 0.001, "beta_end": 0.02, "num_train_timesteps": 800}

CASES = [
    (UNIPC, 6, FLOW),
    (UNIPC, 6, FLOW | {"disable_corrector": [0, 1, 2]}),
    (UNIPC, 6, FLOW | {"disable_corrector": [3]}),
    (UNIPC, 6, FLOW | {"shift_terminal": 0.1}),
    (UNIPC, 6, FLOW | {"shift_terminal": 0}),
    (UNIPC, 6, FLOW | {"final_sigmas_type": "sigma_min"}),
    (UNIPC, 6, FLOW | {"solver_order": 1}),
    (UNIPC, 6, FLOW | {"solver_type": "heun"}),
    (UNIPC, 6, FLOW | {"flow_shift": 0.5, "num_train_timesteps": 500}),
    (UNIPC, 6, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    (UNIPC, 6, FLOW | UNUSED_BY_FLOWS),
    (EULER, 6, {"shift": 7.0}),
    (EULER, 6, {}),
    (EULER, 6, {"shift": 7.0, "use_karras_sigmas": True}),
    (EULER, 6, {"shift": 7.0, "use_exponential_sigmas": True}),
    (EULER, 6, {"shift": 7.0, "shift_terminal": 0.1}),
    (EULER, 6, {"shift": 3.0, "shift_terminal": 0.05, "use_karras_sigmas": True}),
    (EULER, 6, {"shift": 7.0} | NO_SHIFTING),
]
for either in (DDIM, DPM):
    CASES += [
        (either, 6, V),
        (either, 6, V | PUBLISHED),
        (either, 6, V | {"beta_schedule": "linear"}),
        (either, 6, V | {"timestep_spacing": "linspace"}),
        (either, 6, V | {"timestep_spacing": "leading", "steps_offset": 1}),
        (either, 6, V | {"set_alpha_to_one": False, "clip_sample": False, "clip_sample_range": 0.1}),
        (either, 6, {}),
        (either, 6, {"prediction_type": "sample"}),
        (either, 7, V | {"timestep_spacing": "trailing"} | OTHER_BETAS),
    ]


def run(name, steps, config):
    scheduler = getattr(diffusers, name)(**config)
    if name == EULER:  # as HunyuanVideo's pipeline does
        scheduler.set_timesteps(sigmas=np.linspace(1.0, 0.0, steps + 1)[:-1])
    else:
        scheduler.set_timesteps(steps)
    x = torch.tensor([0.8, -1.1, 0.3]).reshape(1, 3, 1, 1)
    timesteps, samples, old = list(scheduler.timesteps), [], None
    for i, t in enumerate(timesteps):
        output = np.sin(1.0 + i) * np.array([0.5, 1.0, -0.7])
        output = torch.from_numpy(output.astype(np.float32)).reshape(1, 3, 1, 1)
        if name == DPM:
            back = int(timesteps[i - 1]) if i > 0 else None
            x, old = scheduler.step(output, old, int(t), back, x)
        else:
            t = int(t) if name == DDIM else t
            x = scheduler.step(output, t, x, return_dict=False)[0]
        samples.append([float("%.8g" % value) for value in x.flatten()])
    return {
        "class": name,
        "steps": steps,
        "config": config,
        "timesteps": [float("%.8g" % t) for t in timesteps],
        "samples": samples,
    }


def defaults(name):
    parameters = inspect.signature(getattr(diffusers, name).__init__).parameters
    return {key: p.default for key, p in parameters.items() if key != "self"}


if __name__ == "__main__":
    zero = lambda shape, **_: torch.zeros(shape)
    diffusers.schedulers.scheduling_dpm_cogvideox.randn_tensor = zero
    everything = {
        "note": "What diffusers' scheduler classes compute; see tools/cases/schedulers.py.",
        "defaults": {name: defaults(name) for name in (UNIPC, EULER, DDIM, DPM)},
        "cases": [run(*case) for case in CASES],
    }
    with open(sys.argv[1], "w") as file:
        json.dump(everything, file)
