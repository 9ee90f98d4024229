"""What PyTorch reaches on the work that timing.cpp times: dense SDPA (flash and cuDNN, forced) and compiled FlexAttention
with the same block masks; and the machine's ceilings, a large matrix product in bf16 and e4m3 and a large copy. One JSON line
a measurement, in timing.cpp's fields.

usage: torch_peers.py [--small] [--dense] [CASE ...]   CASE: hunyuan | wan14b | cogvideox

Every visible block is a full block for FlexAttention, so it evaluates no mask; multi-diagonal tensors are taken as already
permuted, and building masks is not timed. All three favour it. Where the tokens are no multiple of the block it checks
bounds; both lengths, as is and cut to whole blocks, are timed.

E4M3 has no peer that does the same work: PyTorch's SDPA multiplies e4m3 only through FlashAttention 3, a package of its own.
"torch flex e4m3" is FlexAttention given Q, K and V that are e4m3 already, with one scale for each tensor, weights unscaled and
an e4m3 output: less work and less accuracy (relative_rms, against flash in bf16).
--small cuts the sizes, to see that it runs; --dense leaves FlexAttention out, whose compilation takes most of the time.
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


def check_flex(compiled):
    """A silent fall back to eager would ignore the block lists."""
    q, k, v = (torch.randn(1, 2, 1500, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    seen = visible(1500, "diagonal", 0.27)
    rows = torch.arange(1500) // BLOCK
    reference = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=seen[rows][:, rows].cuda())
    error = (compiled(q, k, v, block_mask=block_mask(seen, 1500)).double() - reference).abs().max().item()
    assert error < 0.008, f"FlexAttention does not follow the block mask: off by {error}"


def measure(line, work, **rates):
    """Prints line with the times of work, and for each of rates its number a second in units of 1e12."""
    try:
        times = time_ms(work)
        ms = times[len(times) // 2]
        line.update(ms=round(ms, 4), least=round(times[0], 4), most=round(times[-1], 4))
        line.update({name: round(number / ms / 1e9, 2) for name, number in rates.items()})
    except Exception as reason:  # a peer that cannot run is reported, not fatal
        line["error"] = str(reason)[:300]
    print(json.dumps(line), flush=True)


def ceilings(size):
    a, b = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    one = torch.ones((), device="cuda")
    a8, b8 = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()
    measure(dict(who="torch", what="product bf16", size=size), lambda: a @ b, tflops=2 * size**3)
    for fast in (True, False):
        measure(dict(who="torch", what="product e4m3" + (", fast sums" if fast else ""), size=size), lambda: torch._scaled_mm(
            a8, b8, scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=fast), tflops=2 * size**3)
    source = torch.randn(size, 32 * size, device="cuda", dtype=torch.bfloat16)
    target = torch.empty_like(source)
    measure(dict(who="torch", what="copy", bytes=2 * source.nbytes), lambda: target.copy_(source), tb_per_s=2 * source.nbytes)


class Case:
    def __init__(self, name, length, tokens, heads, dim):
        self.name, self.length, self.tokens, self.heads, self.dim = name, length, tokens, heads, dim
        torch.manual_seed(0)
        self.q, self.k, self.v = (torch.randn(1, heads, tokens, dim, device="cuda", dtype=torch.bfloat16) for _ in range(3))

    def measure(self, who, what, arg, density, work, **more):
        line = dict(case=self.name, who=who, what=what, arg=arg, length=self.length, tokens=self.tokens, heads=self.heads,
                    dim=self.dim, density=round(density, 4), **more)
        measure(line, work, tflops=4 * self.heads * self.tokens**2 * self.dim * density)

    def dense(self):
        for who, backend in (("torch flash", SDPBackend.FLASH_ATTENTION), ("torch cudnn", SDPBackend.CUDNN_ATTENTION)):
            with sdpa_kernel(backend):
                self.measure(who, "full", 1, 1.0, lambda: F.scaled_dot_product_attention(self.q, self.k, self.v))

    def sparse(self, compiled):
        for mode in ("diagonal", "multi-diagonal", "vertical-stripe"):
            for density in DENSITIES:
                seen = visible(self.tokens, mode, density)
                mask = block_mask(seen, self.tokens)
                for tma in (False, True):
                    options = dict(BACKEND="TRITON", ROWS_GUARANTEED_SAFE=True, USE_TMA=tma)
                    self.measure("torch flex" + (" tma" if tma else ""), mode, density, pair_density(seen, self.tokens),
                                 lambda: compiled(self.q, self.k, self.v, block_mask=mask, kernel_options=options))

    def e4m3(self, compiled):
        scale = 64  # of V, so that the e4m3 output is none of the smallest numbers
        try:
            q8, k8, v8 = (x.to(torch.float8_e4m3fn) for x in (self.q, self.k, self.v * scale))
            options = dict(BACKEND="TRITON", ROWS_GUARANTEED_SAFE=True)
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
                exact = F.scaled_dot_product_attention(self.q[:, :1], self.k[:, :1], self.v[:, :1]).float()
            error = compiled(q8, k8, v8, kernel_options=options)[:, :1].float() / scale - exact
            rms = (error.square().mean() / exact.square().mean()).sqrt().item()
        except Exception as reason:
            print(json.dumps(dict(case=self.name, who="torch flex e4m3", error=str(reason)[:300])), flush=True)
            return
        self.measure("torch flex e4m3", "full", 1, 1.0, lambda: compiled(q8, k8, v8, kernel_options=options),
                     relative_rms=round(rms, 5))


def main():
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    torch._dynamo.config.recompile_limit = 256
    compiled = torch.compile(flex_attention, dynamic=False, mode="max-autotune-no-cudagraphs")
    names = [name for name in sys.argv[1:] if not name.startswith("--")] or list(GEOMETRY)
    small = "--small" in sys.argv[1:]

    ceilings(512 if small else 8192)
    cases = []
    for name in names:
        tokens, heads, dim = GEOMETRY[name]
        tokens = 1500 if small else tokens
        cases += [("as is", name, tokens, heads, dim), ("whole blocks", name, tokens // BLOCK * BLOCK, heads, dim)]
    # What compiles for long comes last: a time limit then costs the least.
    for length, name, *shape in cases:
        Case(name, length, *shape).dense()
    if "--dense" in sys.argv[1:]:
        return
    check_flex(compiled)
    for length, name, *shape in reversed(cases):
        Case(name, length, *shape).sparse(compiled)
    for length, name, *shape in cases[1::2]:
        Case(name, length, *shape).e4m3(compiled)


if __name__ == "__main__":
    main()
