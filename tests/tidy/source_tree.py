# SPDX-License-Identifier: Apache-2.0
"""The files that the checks look at, and C++ text without its comments and strings."""

import fnmatch
import pathlib
import re

CODE = (".hpp", ".ipp", ".cpp")
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt")


class Tree:
    """Texts by path (with /, from the project's root), from the disk or, in tests, from a dict."""

    def __init__(self, texts, top_level=None):
        self.texts = texts
        self.top_level = top_level or sorted({path.split("/")[0] for path in texts})

    @classmethod
    def of_disk(cls, root):
        root = pathlib.Path(root)
        patterns = [line.strip("/") for line in (root / ".gitignore").read_text().split()
                    if line.startswith("/")]

        def ignored(name):
            return name == ".git" or any(fnmatch.fnmatch(name, pattern) for pattern in patterns)

        texts = {}
        for path in sorted(root.rglob("*")):
            parts = path.relative_to(root).parts
            data = (parts[:2] == ("tests", "golden") and path.suffix != ".md"
                    or parts[:3] == ("tests", "fuzz", "corpus"))
            if path.is_file() and not data and not ignored(parts[0]) and path.suffix != ".pyc":
                texts["/".join(parts)] = path.read_text(encoding="utf-8", errors="replace")
        return cls(texts, sorted(path.name for path in root.iterdir() if not ignored(path.name)))

    def code(self, prefix=""):
        """C++ files below `prefix`."""
        return {path: text for path, text in self.texts.items()
                if path.startswith(prefix) and path.endswith(CODE)}

    def written(self):
        """What people write for compilers and interpreters: C++, scripts, CMake."""
        return {path: text for path, text in self.texts.items()
                if path.endswith(CODE + SCRIPTS) or path.startswith(".ci/")}


def is_public(path):
    return path.startswith("include/") and path.endswith(".hpp") and "/impl/" not in path


def folder_of(path):
    """`record` of include/ottla/record/impl/x.ipp; None above the folders and outside."""
    found = re.match(r"include/ottla/([a-z]+)/", path)
    return found.group(1) if found else None


def includes(text):
    """(line number, what is included, with its brackets or quotes) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*([<"][^>"]+[>"])', line)
        if found:
            yield number, found.group(1)


_COMMENT_OR_STRING = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'", re.DOTALL)


def bare(text):
    """C++ without comments and without what is inside strings; lines stay where they are."""
    return _COMMENT_OR_STRING.sub(lambda found: '""' + "\n" * found.group(0).count("\n"), text)


def matches(text, pattern):
    """(line number, text) of each match of a pattern."""
    for found in re.finditer(pattern, text, re.MULTILINE):
        yield text.count("\n", 0, found.start()) + 1, found.group(0)


def _without_directives(text):
    """Blank lines for preprocessor lines, and for all branches of an #if but the first."""
    depth_skipped, continued = 0, False
    for line in text.splitlines():
        directive = re.match(r"\s*#\s*(\w+)", line)
        word = directive.group(1) if directive else ""
        if depth_skipped:
            depth_skipped += word in ("if", "ifdef", "ifndef")
            depth_skipped -= word == "endif"
        elif word in ("else", "elif"):
            depth_skipped = 1
        yield "" if directive or continued or depth_skipped else line
        continued = (directive or continued) and line.endswith("\\")


def function_lengths(text):
    """(first line, number of lines) of each outermost brace block that is neither a namespace,
    nor a type, nor data."""
    stack, head, number = [], "", 1
    for char in "\n".join(_without_directives(bare(text))):
        number += char == "\n"
        if char == "{":
            type_or_namespace = re.search(
                r"\b(namespace|class|struct|union|enum|extern)\b(\s+\w+\([^()]*\))*[^()=]*$", head)
            inside = bool(stack) and stack[-1][0] != "scope"
            stack.append(("inner" if inside or head.rstrip().endswith("=") else
                          "scope" if type_or_namespace else "function", number))
        elif char == "}" and stack:
            kind, start = stack.pop()
            if kind == "function":
                yield start, number - start + 1
        head = "" if char in "{};" else head + char
