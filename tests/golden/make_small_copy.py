#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_small_copy.py [FULL]: makes the small golden data of this directory from the full ones.

FULL is the directory of the full data, OTTLA_GOLDEN_DIR without it. Of each case it takes the
partition directories listed below, byte for byte, and the part of expected.json that speaks of
them; of each oracle file ten cases, picked so that together they show as much as ten can. The same
input gives the same output.
"""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
MAX_BYTES = 3_000_000
CASES_PER_FILE = 10

# What is taken of each case: regular expressions that match whole directory names.
PARTITIONS = {
    "codecs": r"codec-(none|snappy)-0|lat-\w+-0|levels-0|odd-timestamps-0|recompress-[\w-]+-0"
              r"|empty-\d|__cluster_metadata-0",
    "rolled": r"rolled-(interval0|indexfull|jumpback|start)-0|emptied-0|epochs-only-\d|multi-[01]"
              r"|retained-ms-0",
    "txn": r"idem-0|txn-1|txn-comp-0|groups-in-\d|__consumer_offsets-\d|__transaction_state-0",
    "compaction": r"compact-(headers|txn)-0|first-0",
    "crash": r"crash-(torn-half|flip-last|bad-index)-0",
    "names": r"---0|\.-\.-0|a-0-0|a\.b-\d|snapshot\.log-0|to-delete-0\..*-delete|sa\.b_c.*|-1-0|0-0"
             r"|__-0|b-stray-0|da\.b_c.*|foo-future-0|to-stray-0\..*-stray",
}
# What the broker logged: nothing of ours is compared with that.
LEFT_OUT = {"cleaner_log", "broker_log_of_recovery", "broker_log_third_run"}

ORACLE = ["accumulator_sizes", "assignor_cooperative_sticky", "assignor_range",
          "batches_compressed", "batches_control", "batches_invalid", "batches_plain", "cleaner",
          "configs", "group_classic", "index_placement", "indexes", "leader_epoch_cache",
          "log_traces", "murmur2", "producer_state", "string_hash"]


# ── partition directories ────────────────────────────────────────────────────────────────────────

def is_kept(name, partitions):
    """Whether an entry of expected.json, named after a partition, a topic or a call upon one of
    them, speaks of what was taken."""
    name = name.split(" ")[-1]
    return name in partitions or any(partition.startswith(name + "-") for partition in partitions)


def reduced(expected, partitions):
    """expected.json without what speaks of other partitions."""
    out = {}
    for key, value in expected.items():
        if key in LEFT_OUT:
            continue
        if key == "dirs":
            value = {name: {**content,
                            "partitions": {partition: files
                                           for partition, files in content["partitions"].items()
                                           if partition in partitions}}
                     for name, content in value.items()}
        elif key.startswith("groups") and "__consumer_offsets-0" not in partitions:
            continue
        elif key in ("topics", "damage", "delete_records_low_watermarks") or "client" in key:
            value = {name: one for name, one in value.items() if is_kept(name, partitions)}
        out[key] = value
    return out


def lines_of(value, depth):
    """JSON with a line for each member of the outermost `depth` levels."""
    if depth == 0 or not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "{\n" + ",\n".join(json.dumps(key, ensure_ascii=False) + ":" + lines_of(one, depth - 1)
                              for key, one in value.items()) + "\n}"


def copy_case(full, case, pattern):
    expected = json.loads((full / case / "expected.json").read_text(encoding="utf-8"))
    kept = {name for content in expected["dirs"].values() for name in content["partitions"]
            if re.fullmatch(pattern, name)}
    shutil.rmtree(HERE / case, ignore_errors=True)
    for name, content in expected["dirs"].items():
        target = HERE / case / name
        target.mkdir(parents=True)
        for file in content["root_files"]:
            shutil.copyfile(full / case / name / file, target / file)
        for partition in kept & set(content["partitions"]):
            shutil.copytree(full / case / name / partition, target / partition,
                            copy_function=shutil.copyfile)
            os.chmod(target / partition, 0o755)
    (HERE / case / "expected.json").write_text(lines_of(reduced(expected, kept), 4) + "\n",
                                               encoding="utf-8")


# ── oracle files ─────────────────────────────────────────────────────────────────────────────────

def traits(value, path=""):
    """What a case shows, coarsely: words as they are, numbers by magnitude, lists by length."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from traits(one, f"{path}.{re.sub(r'[0-9]+', 'N', key)}")
    elif isinstance(value, list):
        yield f"{path} has {min(len(value), 3)}"
        for one in value:
            yield from traits(one, path + "[]")
    elif isinstance(value, bool) or value is None:
        yield f"{path}={value}"
    elif isinstance(value, (int, float)):
        magnitude = 0 if value == 0 else int(math.copysign(1 + math.log2(1 + abs(value)) // 8, value))
        yield f"{path}~{magnitude}"
    elif len(value) > 40 or re.fullmatch(r"[0-9a-f]*", value):
        yield f"{path} of {len(value).bit_length()}"
    else:
        yield f"{path}={re.sub(r'[0-9]+', 'N', value)}"


def is_wanted(name, case):
    """group_classic: static members come later than the tests that use the small copy."""
    return name != "group_classic" or all(step.get("instance") is None for step in case["steps"])


def pick(name, cases):
    """The indexes of ten cases: again and again the one with the most new traits for its size. A
    trait counts less the rarer it is, so that what is peculiar to one case attracts nobody."""
    shown = [set(traits(case)) if is_wanted(name, case) else None for case in cases]
    counts = {}
    for one in filter(None, shown):
        for trait in one:
            counts[trait] = counts.get(trait, 0) + 1
    seen, picked = set(), []
    while len(picked) < CASES_PER_FILE:
        def worth(i):
            new = sum(math.log2(1 + counts[trait]) for trait in shown[i] - seen)
            return (new + 0.01) / len(json.dumps(cases[i])) ** 0.6
        best = max((i for i in range(len(cases)) if shown[i] is not None and i not in picked),
                   key=lambda i: (worth(i), -i))
        picked.append(best)
        seen |= shown[best]
    return sorted(picked)


def copy_oracle(full, name):
    """The file's own lines: one case is one line."""
    text = (full / "oracle" / f"{name}.json").read_text(encoding="utf-8")
    cases = json.loads(text)["cases"]
    head, body = text.split('"cases": [\n')
    lines = [line.removesuffix(",") for line in body.split("\n")][:len(cases)]
    picked = [lines[i] for i in pick(name, cases)]
    target = HERE / "oracle" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(head + '"cases": [\n' + ",\n".join(picked) + "\n]\n}\n", encoding="utf-8")
    json.loads(target.read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("full", nargs="?", default=os.environ.get("OTTLA_GOLDEN_DIR"))
    full = parser.parse_args().full
    if not full or not pathlib.Path(full, "oracle").is_dir():
        parser.error("name the full golden data, or set OTTLA_GOLDEN_DIR to them")
    full = pathlib.Path(full)
    for case, pattern in PARTITIONS.items():
        copy_case(full, case, pattern)
    shutil.rmtree(HERE / "oracle", ignore_errors=True)
    for name in ORACLE:
        copy_oracle(full, name)
    total = sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file())
    print(f"{total} bytes")
    return 0 if total <= MAX_BYTES else f"error: {MAX_BYTES} bytes are allowed"


if __name__ == "__main__":
    sys.exit(main())
