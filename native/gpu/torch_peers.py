"""What PyTorch reaches on the work that timing.cpp times: dense SDPA (flash and cuDNN, forced) and compiled FlexAttention
with the same block masks. One JSON line a measurement, in timing.cpp's fields.

usage: torch_peers.py [CASE ...]   CASE: hunyuan | wan14b | cogvideox

Every visible block is a full block for FlexAttention, so it evaluates no mask; multi-diagonal tensors are taken as already
permuted, and building masks is not timed. All three favour it. Where the tokens are no multiple of the block it checks
bounds; both lengths, as is and cut to whole blocks, are timed.
"""
import json
import sys

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, flex_attention

GEOMETRY = {"hunyuan": (33 * 45 * 80, 24, 128), "wan14b": (21 * 45 * 80, 40, 128), "cogvideox": (11 * 48 * 85, 48, 64)}
DENSITIES = (0.1, 0.3)
BLOCK = 128


def visible(tokens, mode, density):
    """[blocks, blocks], as timing.cpp chooses windows and stripes."""
    blocks = -(-tokens // BLOCK)
    low = torch.arange(blocks) * BLOCK
    high = torch.clamp(low + BLOCK, max=tokens) - 1
    if mode in ("diagonal", "multi-diagonal"):
        distance = torch.maximum(low[:, None] - high[None], low[None] - high[:, None]).clamp(min=0)
        return distance <= int(density * tokens / 2)
    seen = torch.zeros(blocks, dtype=torch.bool)
    stripes = max(1, round(density * blocks))
    seen[torch.arange(stripes) * blocks // stripes] = True
    return seen[None].expand(blocks, blocks).contiguous()


def pair_density(seen, tokens):
    size = torch.full((seen.shape[0],), float(BLOCK))
    size[-1] = tokens - BLOCK * (seen.shape[0] - 1)
    return (size @ seen.float() @ size / tokens**2).item()


def block_mask(seen, tokens):
    seen = seen.cuda()
    count = seen.sum(-1, dtype=torch.int32)[None, None]
    index = torch.argsort(seen.int(), dim=-1, descending=True, stable=True).int()[None, None]
    return BlockMask.from_kv_blocks(torch.zeros_like(count), index, count, index, BLOCK_SIZE=BLOCK,
                                    seq_lengths=(tokens, tokens))


def time_ms(work, repeats=7):
    for _ in range(2):
        work()
    torch.cuda.synchronize()
    times = []
    for _ in range(repeats):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return sorted(times)


def main():
    torch.manual_seed(0)
    # A silent fall back to eager would ignore the block lists.
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    torch._dynamo.config.recompile_limit = 256
    compiled = torch.compile(flex_attention, dynamic=False, mode="max-autotune-no-cudagraphs")

    q, k, v = (torch.randn(1, 2, 1500, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    seen = visible(1500, "diagonal", 0.27)
    rows = torch.arange(1500) // BLOCK
    reference = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=seen[rows][:, rows].cuda())
    error = (compiled(q, k, v, block_mask=block_mask(seen, 1500)).double() - reference).abs().max().item()
    assert error < 0.008, f"FlexAttention does not follow the block mask: off by {error}"

    for case in sys.argv[1:] or GEOMETRY:
        all_tokens, heads, dim = GEOMETRY[case]
        for length, tokens in (("as is", all_tokens), ("whole blocks", all_tokens // BLOCK * BLOCK)):
            q, k, v = (torch.randn(1, heads, tokens, dim, device="cuda", dtype=torch.bfloat16) for _ in range(3))

            def measure(who, what, arg, density, work):
                line = dict(case=case, who=who, what=what, arg=arg, length=length, tokens=tokens, heads=heads, dim=dim,
                            density=round(density, 4))
                try:
                    times = time_ms(work)
                    ms = times[len(times) // 2]
                    flop = 4 * heads * tokens**2 * dim * density
                    line.update(ms=round(ms, 4), least=round(times[0], 4), most=round(times[-1], 4),
                                tflops=round(flop / ms / 1e9, 1))
                except Exception as reason:  # a peer that cannot run is reported, not fatal
                    line["error"] = str(reason)[:300]
                print(json.dumps(line), flush=True)

            for who, backend in (("torch flash", SDPBackend.FLASH_ATTENTION), ("torch cudnn", SDPBackend.CUDNN_ATTENTION)):
                with sdpa_kernel(backend):
                    measure(who, "full", 1, 1.0, lambda: F.scaled_dot_product_attention(q, k, v))
            for mode in ("diagonal", "multi-diagonal", "vertical-stripe"):
                for density in DENSITIES:
                    seen = visible(tokens, mode, density)
                    mask = block_mask(seen, tokens)
                    for tma in (False, True):
                        options = dict(BACKEND="TRITON", ROWS_GUARANTEED_SAFE=True, USE_TMA=tma)
                        measure("torch flex" + (" tma" if tma else ""), mode, density, pair_density(seen, tokens),
                                lambda: compiled(q, k, v, block_mask=mask, kernel_options=options))


if __name__ == "__main__":
    main()
