#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py ROOT [CHECK...]: what a program can check about this source tree, people need not.

Each check is a function of a Tree that yields (path, line, complaint). CTest runs each as a test
of its own; tidy_test.py shows that each of them can fail.
"""

import json
import re
import shutil
import subprocess
import sys

import seams as seam_lists
from source_tree import (CODE, Tree, bare, folder_of, function_lengths, includes, is_public,
                         matches)

MAX_COLUMNS = 100
MAX_FUNCTION = 60
MAX_HEADER = 300
MAX_FILE = 500
MAX_SUPPORT = 200
MAX_README = 90
CLANG_FORMAT = "14"  # versions format differently: one is meant

TOP_LEVEL = ["include", "examples", "tests", "bench", "cmake", "CMakeLists.txt",
             "CMakePresets.json", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
DRAWERS = "util utils common helper helpers manager managers misc types".split()


def layer_list(tree):
    """cmake/layers.cmake: what each folder stands on, the machines, the folders behind the wall."""
    text = re.sub(r"#.*", "", tree.texts["cmake/layers.cmake"])
    stands_on = {name: needs.split() for name, needs in re.findall(r'"([a-z]+):([^"]*)"', text)}
    machines, forbidden = (re.search(rf"set\({variable}([^)]*)\)", text).group(1).split()
                           for variable in ("OTTLA_RULE_MACHINES", "OTTLA_BEHIND_THE_WALL"))
    return stands_on, machines, forbidden


def layers(tree):
    """A folder includes what cmake/layers.cmake says it stands on, and nobody else's impl/."""
    stands_on, _, _ = layer_list(tree)
    reach = {}
    for folder, needs in stands_on.items():
        for need in needs:
            if need not in reach:
                yield "cmake/layers.cmake", 1, f"{folder} stands on {need}, which is not above it"
        reach[folder] = {folder}.union(*(reach.get(need, set()) for need in needs))
    for path, text in tree.code().items():
        mine = folder_of(path)
        if mine and mine not in reach:
            yield path, 1, f"the folder {mine} is missing in cmake/layers.cmake"
            continue
        for line, target in includes(text):
            if path.startswith("include/") and target[0] == '"':
                yield path, line, f"{target}: include as <ottla/folder/file.hpp>"
            parts = target[1:-1].split("/")
            if parts[0] != "ottla":
                continue
            if "impl" in parts and parts[1] != mine:
                yield path, line, f"{target} is for {parts[1]} alone"
            if mine and parts[1] not in reach[mine]:
                yield path, line, f"{mine} does not stand on {parts[1]}: see cmake/layers.cmake"


def wall(tree):
    """No header that a rule machine reaches, however far away, touches the outside world."""
    _, machines, forbidden = layer_list(tree)
    reaches = {path: [f"include/{target[1:-1]}" for _, target in includes(text)]
               for path, text in tree.code("include/").items()}
    for start in (path for path in reaches if folder_of(path) in machines):
        seen, ways = {start}, [[start]]
        while ways:
            way = ways.pop()
            if folder_of(way[-1]) in forbidden:
                yield start, 1, "a rule machine reaches " + " -> ".join(way[1:])
                break
            new = [target for target in reaches.get(way[-1], [])
                   if target in reaches and target not in seen]
            seen.update(new)
            ways.extend(way + [target] for target in new)


def names(tree):
    """Names say what a thing is; a drawer says nothing."""
    drawer = "|".join(word.capitalize() for word in DRAWERS)
    for path, text in tree.written().items():
        for part in path.removesuffix("CMakeLists.txt").split("/"):
            if set(DRAWERS) & set(re.split(r"[_.-]", part)):
                yield path, 1, f"'{part}' is the name of a drawer"
        if path.endswith(CODE):
            if not re.fullmatch(r"[a-z0-9_./]+", path):
                yield path, 1, "file names are snake_case"
            for line, found in matches(bare(text), rf"\b(class|struct|enum)\s+\w*({drawer})\b"):
                yield path, line, f"'{found}' is the name of a drawer"


def sizes(tree):
    """A file is a thought, a function a step of it, a line fits on the screen."""
    for path, text in tree.written().items():
        lines = text.splitlines()
        limit = (MAX_SUPPORT if path.startswith("tests/support/") else
                 MAX_HEADER if is_public(path) else MAX_FILE)
        if len(lines) > limit:
            yield path, limit, f"{len(lines)} lines, {limit} at most"
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS and "://" not in line:
                yield path, number, f"{len(line)} columns, {MAX_COLUMNS} at most"
    for path, text in tree.code().items():
        for line, length in function_lengths(text):
            if length > MAX_FUNCTION:
                yield path, line, f"a function of {length} lines, {MAX_FUNCTION} at most"


def head(tree):
    """A file begins with its licence; a header goes on with its purpose, and is included once."""
    for path, text in tree.written().items():
        first = re.sub(r"^#!.*\n", "", text).split("\n")[0]
        if "SPDX-License-Identifier: Apache-2.0" not in first:
            yield path, 1, "the first line (after #!) is not the SPDX line"
        if path.endswith((".hpp", ".ipp")) and not re.search(r"^#pragma once$", text, re.M):
            yield path, 1, "no #pragma once"
        if is_public(path) and not re.match(r"// SPDX[^\n]*\n//\n// \S", text):
            yield path, 2, "no purpose under the SPDX line"


def readmes(tree):
    """Each folder has one page that says what it is."""
    for folder in sorted({folder_of(path) for path in tree.code("include/")} - {None}):
        path = f"include/ottla/{folder}/README.md"
        length = len(tree.texts.get(path, "").splitlines())
        if length == 0:
            yield path, 1, "missing: what the folder is, its invariants, what it must not know"
        if length > MAX_README:
            yield path, MAX_README, f"{length} lines: a page has {MAX_README} at most"


def seams(tree):
    """Clocks, threads, files, random numbers and locks are used at their seams and nowhere else."""
    for path, text in tree.code("include/").items():
        code = bare(text)
        for where, instead, pattern in seam_lists.WORDS:
            for line, found in () if re.match(where, path) else matches(code, pattern):
                yield path, line, f"'{found}' is not for here; use {instead}"
        for where, pattern in seam_lists.HEADERS:
            for line, target in () if re.match(where, path) else includes(text):
                if re.fullmatch(pattern, target):
                    yield path, line, f"{target} is not for here"


def tests(tree):
    """Tests do not wait for a clock, and none is put to sleep."""
    for path, text in tree.code("tests/").items():
        for line, found in matches(bare(text), r"\b(sleep_for|sleep_until|u?sleep|nanosleep)\("):
            yield path, line, f"'{found}' in a test: step the clock of env/memory"
        for line, _ in matches(text, r"\bTEST_CASE\([^\n]*\[[.!][^\n]*|\bSKIP\("):
            yield path, line, "a hidden or skipped test: mend it or delete it"


def top_level(tree):
    """The top level holds what it holds."""
    for name in tree.top_level:
        if name not in TOP_LEVEL and not name.startswith("."):
            yield name, 1, "not for the top level"


def machine_paths(tree):
    """Nothing names a place on the machine that it was written on."""
    for path, text in tree.texts.items():
        for line, found in matches(text, r"(?<![\w.])/(work|farm|home|root|Users|tmp/ottla)/\S*"):
            yield path, line, f"'{found}' is a path of somebody's machine"


def mutants(tree):
    """Each break of tests/mutants still has one place to be made in."""
    path = "tests/mutants/mutants.json"
    for number, mutant in enumerate(json.loads(tree.texts.get(path, "[]")), 1):
        times = tree.texts.get(f"include/ottla/{mutant['file']}", "").count(mutant["old"])
        if times != 1:
            yield path, 1, f"mutant {number}: what it replaces is {times} times in {mutant['file']}"


def clang_format_program():
    """The clang-format of the version meant, or None."""
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format"):
        program = shutil.which(name)
        if program and f"version {CLANG_FORMAT}." in subprocess.run(
                [program, "--version"], capture_output=True, text=True, check=True).stdout:
            return program
    return None


def clang_format(tree):
    """C++ is formatted as .clang-format says."""
    program = clang_format_program()
    if not program:
        print(f"SKIPPED: needs clang-format {CLANG_FORMAT}")
        return
    for path, text in tree.code().items():
        formatted = subprocess.run([program, f"--assume-filename={path}"], input=text, text=True,
                                   capture_output=True, check=True).stdout
        if formatted != text:
            pairs = zip(formatted.splitlines(), text.splitlines())
            line = next((number for number, (a, b) in enumerate(pairs, 1) if a != b), 1)
            yield path, line, f"not formatted: clang-format -i {path}"


CHECKS = {check.__name__: check for check in (layers, wall, names, sizes, head, readmes, seams,
                                              tests, top_level, machine_paths, mutants,
                                              clang_format)}


def main(root, *chosen):
    tree = Tree.of_disk(root)
    complaints = [f"{path}:{line}: {complaint}" for name in chosen or CHECKS
                  for path, line, complaint in CHECKS[name](tree)]
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
