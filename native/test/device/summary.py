"""A table of what gpu_check.sh timed: TFLOP/s of everybody at the same work, E4M3 against bf16 of the same kernels, and how far
what was measured twice is apart.

usage: summary.py FILE.jsonl ...
       summary.py --compare a-1.jsonl b-1.jsonl ...   two builds' runs (compare_builds.sh), a-* and b-*
"""
import json
import os
import statistics
import sys


def lines(paths):
    for path in paths:
        with open(path) as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:  # what was being written when a limit came
                    continue


def key_of(line):
    # Peers know one block size, 128.
    return line["case"], line.get("block", 128), line["what"], line.get("arg", 0)


def compare(paths):
    times = {}
    for path in paths:
        build = os.path.basename(path)[0]
        for line in lines([path]):
            if "tflops" in line:
                times.setdefault((line["who"],) + key_of(line), {"a": [], "b": []})[build].append(line["ms"])
    print("who, case, block, what | A ms | B ms | A / B | spread of A, of B")
    for key, of in times.items():
        if of["a"] and of["b"]:
            a, b = (statistics.median(of[build]) for build in "ab")
            spread = ", ".join(f"{(max(of[build]) - min(of[build])) / statistics.median(of[build]):.1%}" for build in "ab")
            print(f"{', '.join(map(str, key))} | {a:.3f} | {b:.3f} | {a / b:.3f} | {spread}")


def main():
    if sys.argv[1:2] == ["--compare"]:
        return compare(sys.argv[2:])
    work, others, first, again = {}, [], {}, []
    for line in lines(sys.argv[1:]):
        if "error" in line:
            others.append(f"{line.get('case', '')} {line.get('who', '')}: {line['error'][:120]}")
        elif "case" not in line:
            rate = f"{line['tflops']} TFLOP/s" if "tflops" in line else f"{line['tb_per_s']} TB/s"
            others.append(f"{line['who']} {line['what']}: {rate}")
        elif "tflops" in line:
            who = line["who"].removeprefix("svdit ") + (", whole blocks" if line.get("length") == "whole blocks" else "")
            row = work.setdefault(key_of(line), {})
            first.setdefault(who, len(first))
            if who in row:
                again.append(line["ms"] / row[who]["ms"])
            row.setdefault(who, line)
    columns = sorted(first, key=first.get)
    print(" | ".join(["case, block, what (TFLOP/s on visible pairs; ms where there are none)"] + columns))
    for key, row in work.items():
        case, block, what, arg = key
        cells = []
        for who in columns:
            line = row.get(who)
            cells.append("" if line is None else f"{line['tflops']:.0f}" if line["tflops"] else f"{line['ms']:.2f} ms")
        print(" | ".join([f"{case}, {block}, {what} {arg:g}"] + cells))
    for key, row in work.items():
        exact, rounded = row.get("sm90"), row.get("sm90 e4m3")
        if exact and rounded:
            error = f", relative RMS {rounded['relative_rms']}" if "relative_rms" in rounded else ""
            print(f"E4M3 against bf16: {', '.join(map(str, key))}: {exact['ms'] / rounded['ms']:.2f} x{error}")
    if again:
        print(f"measured again: {min(again):.3f} to {max(again):.3f} of the first time")
    print("\n".join(others))


if __name__ == "__main__":
    main()
