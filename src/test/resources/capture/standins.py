"""Modules shaped as diffusers' transformers and attention processors, without torch: each layer's processor hands the
Q, K and V it was given to the attention operation, where and as diffusers' own do."""

from types import SimpleNamespace

import numpy as np


def dispatch_attention_fn(query, key, value, attn_mask=None, **options):
    return np.moveaxis(attend(*(np.moveaxis(x, 2, 1) for x in (query, key, value))), 1, 2)


def attend(query, key, value):
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ value


F = SimpleNamespace(
    scaled_dot_product_attention=lambda query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False: attend(
        query, key, value
    ),
    silu=lambda x: x / (1 + np.exp(-x)),
)


class Module:
    def __init__(self):
        self.before, self.after = [], []

    def register_forward_pre_hook(self, hook, with_kwargs=False):
        return self.add(self.before, (hook, with_kwargs))

    def register_forward_hook(self, hook):
        return self.add(self.after, hook)

    @staticmethod
    def add(hooks, hook):
        hooks.append(hook)
        return SimpleNamespace(remove=lambda: hooks.remove(hook))

    def __call__(self, *args, **kwargs):
        for hook, with_kwargs in list(self.before):
            hook(self, args, kwargs) if with_kwargs else hook(self, args)
        out = self.forward(*args, **kwargs)
        for hook in list(self.after):
            hook(self, args, out)
        return out


class DispatchingProcessor:
    """Wan's and HunyuanVideo's."""

    def __call__(self, attn, qkv):
        return dispatch_attention_fn(*qkv, attn_mask=None)


class FunctionalProcessor:
    """CogVideoX's."""

    def __call__(self, attn, qkv):
        return F.scaled_dot_product_attention(*qkv, attn_mask=None, dropout_p=0.0, is_causal=False)


class Attention(Module):
    def __init__(self, processor, weight):
        super().__init__()
        self.processor = processor
        self.to_out = [SimpleNamespace(weight=weight)]

    def forward(self, qkv):
        return self.processor(self, qkv)


class Transformer(Module):
    """layers: Q, K and V of each."""

    def __init__(self, config, layers, weights):
        super().__init__()
        self.config, self.layers = config, layers
        self.make(weights)

    def forward(self, hidden_states, timestep, encoder_hidden_states, **others):
        rows = hidden_states.shape[0]
        self.before_blocks()
        return [self.attention(i)([part[:rows] for part in qkv]) for i, qkv in enumerate(self.layers)]

    def before_blocks(self):
        pass


class WanTransformer3DModel(Transformer):
    def make(self, weights):
        self.blocks = [
            SimpleNamespace(
                attn1=Attention(DispatchingProcessor(), weight), attn2=Attention(DispatchingProcessor(), weight)
            )
            for weight in weights
        ]

    def attention(self, layer):
        block = self.blocks[layer]

        def both(qkv):
            out = block.attn1(qkv)
            block.attn2([-part for part in qkv])  # cross-attention: not to be captured
            return out

        return both


class HunyuanVideoTransformer3DModel(Transformer):
    def make(self, weights):
        dual = self.config["num_layers"]
        self.refiner = Attention(DispatchingProcessor(), weights[0])
        self.transformer_blocks = [
            SimpleNamespace(attn=Attention(DispatchingProcessor(), weight)) for weight in weights[:dual]
        ]
        self.single_transformer_blocks = [
            SimpleNamespace(attn=Attention(DispatchingProcessor(), None), proj_out=SimpleNamespace(weight=weight))
            for weight in weights[dual:]
        ]

    def attention(self, layer):
        blocks = self.transformer_blocks + self.single_transformer_blocks
        return blocks[layer].attn

    def before_blocks(self):
        self.refiner([-part for part in self.layers[0]])  # the token refiner: not to be captured


class CogVideoXTransformer3DModel(Transformer):
    def make(self, weights):
        self.transformer_blocks = [
            SimpleNamespace(attn1=Attention(FunctionalProcessor(), weight)) for weight in weights
        ]

    def attention(self, layer):
        return self.transformer_blocks[layer].attn1
