# SPDX-License-Identifier: Apache-2.0
"""Each check of tidy.py fails on a bad sample, and is quiet on a good one."""

import unittest

import tidy
from source_tree import Tree, bare, function_lengths

LAYERS = """set(OTTLA_LAYERS "base:" "env: base" "record: base" "log: env record" "protocol: env"
"group: protocol")
set(OTTLA_RULE_MACHINES group)
set(OTTLA_BEHIND_THE_WALL env log)
"""
GOOD = "// SPDX-License-Identifier: Apache-2.0\n//\n// A thing.\n#pragma once\n"


def complaints(check, files):
    tree = Tree({"cmake/layers.cmake": "# SPDX-License-Identifier: Apache-2.0\n" + LAYERS, **files})
    return [f"{path}:{line}: {text}" for path, line, text in check(tree)]


class Checks(unittest.TestCase):
    def expect(self, check, path, text, *words):
        found = complaints(check, {path: text})
        self.assertEqual(len(found), len(words), found)
        for complaint, word in zip(found, words):
            self.assertTrue(complaint.startswith(path.split("/")[0]), complaint)
            self.assertIn(word, complaint)

    def in_header(self, check, code, *words, path="include/ottla/record/x.hpp"):
        self.expect(check, path, GOOD + code, *words)

    def test_layers(self):
        self.in_header(tidy.layers, "#include <ottla/base/ids.hpp>\n")
        self.in_header(tidy.layers, "#include <ottla/record/y.hpp>\n")
        self.in_header(tidy.layers, "#include <ottla/log/log.hpp>", "does not stand on log")
        self.in_header(tidy.layers, "#include <ottla/ottla.hpp>", "does not stand on ottla.hpp")
        self.in_header(tidy.layers, '#include "y.hpp"', "include as")
        self.in_header(tidy.layers, "#include <ottla/base/impl/x.ipp>", "is for base alone")
        self.in_header(tidy.layers, "#include <ottla/record/impl/x.ipp>\n")
        self.in_header(tidy.layers, "", "missing in", path="include/ottla/attic/x.hpp")
        self.expect(tidy.layers, "tests/x.cpp", "#include <ottla/base/impl/x.ipp>", "alone")
        self.expect(tidy.layers, "cmake/layers.cmake", LAYERS.replace("base:", "base: env"),
                    "base stands on env")

    def test_wall(self):
        files = {"include/ottla/group/x.hpp": "#include <ottla/protocol/y.hpp>",
                 "include/ottla/protocol/y.hpp": "", "include/ottla/env/clock.hpp": ""}
        self.assertEqual(complaints(tidy.wall, files), [])
        files["include/ottla/protocol/y.hpp"] = "#include <ottla/env/clock.hpp>"
        self.assertIn("protocol/y.hpp -> include/ottla/env", complaints(tidy.wall, files)[0])

    def test_names(self):
        self.in_header(tidy.names, "class Segment {};\n")
        self.in_header(tidy.names, "class SegmentManager {};\n", "drawer")
        self.in_header(tidy.names, "struct StringUtils;\n", "drawer")
        self.expect(tidy.names, "include/ottla/record/byte_utils.hpp", "", "drawer")
        self.expect(tidy.names, "tests/helpers/x.cpp", "", "drawer")
        self.expect(tidy.names, "tests/record/RecordTest.cpp", "", "snake_case")

    def test_sizes(self):
        self.in_header(tidy.sizes, "\n" * 296)
        self.in_header(tidy.sizes, "\n" * 297, "301 lines")
        self.expect(tidy.sizes, "tests/x_test.cpp", "\n" * 501, "501 lines")
        self.expect(tidy.sizes, "tests/support/x.hpp", "\n" * 201, "201 lines")
        self.in_header(tidy.sizes, "// " + "x" * 97)
        self.in_header(tidy.sizes, "// " + "x" * 98, "101 columns")
        self.in_header(tidy.sizes, "void f() {" + "\n" * 59 + "}\n")
        self.in_header(tidy.sizes, "void f() {" + "\n" * 60 + "}\n", "a function of 61 lines")

    def test_function_lengths(self):
        def lengths(text):
            return list(function_lengths(text))
        self.assertEqual(lengths("namespace a {\nclass B : C {\n int f() {\n }\n};\n}"), [(3, 2)])
        self.assertEqual(lengths("B::B(int x)\n : x_{x} {\n\n}\n"), [(2, 1), (2, 3)])
        self.assertEqual(lengths("const int table[] = {\n1,\n2};\n"), [])
        self.assertEqual(lengths("class LOCK(x) Mutex {\n void f() { if (x) {\n} }\n};"), [(2, 2)])
        self.assertEqual(lengths("#if A\nint f() {\n#else\nint g() {\n#endif\n}\n"), [(2, 5)])
        self.assertEqual(lengths("#define X \\\n { \\\n }}\nint f() { return '{'; }\n"), [(4, 1)])

    def test_head(self):
        self.in_header(tidy.head, "")
        header = "include/ottla/record/x.hpp"
        self.expect(tidy.head, header, GOOD.replace("A thing.", ""), "purpose")
        self.expect(tidy.head, header, GOOD.replace("once", "twice"), "once")
        self.expect(tidy.head, "tests/x.cpp", "// nothing\n", "SPDX")
        self.expect(tidy.head, ".ci/run", "#!/bin/sh\n# nothing\n", "SPDX")

    def test_readmes(self):
        files = {"include/ottla/record/x.hpp": ""}
        self.assertIn("missing", complaints(tidy.readmes, files)[0])
        files["include/ottla/record/README.md"] = "\n" * 91
        self.assertIn("91 lines", complaints(tidy.readmes, files)[0])
        files["include/ottla/record/README.md"] = "# record\n"
        self.assertEqual(complaints(tidy.readmes, files), [])

    def test_seams(self):
        self.in_header(tidy.seams, "// std::thread\nf(\"throw\", Log::open(x));\n")
        for code in ("t = std::chrono::steady_clock::now();", "std::thread t;", "std::mutex m;",
                     "std::condition_variable c;", "std::random_device r;", "sleep_for(1ms);",
                     "auto fd = ::open(p, 0);", "::pread(fd, p, n, 0);", "::pwrite(fd, p, n, 0);",
                     "::fsync(fd);", "::rename(a, b);", "::unlink(a);", "p = ::mmap(a, b);",
                     "std::abort();", "abort();", "exit(1);", "std::terminate();", "raise(9);",
                     "signal(9, f);", "throw 1;", "getenv(x);", "namespace {", "assert(x);",
                     "#include <mutex>", "#include <unistd.h>", "#include <sys/uio.h>",
                     "#include <thread>", "#include <iostream>", "#include <fstream>"):
            self.in_header(tidy.seams, code + "\n", "is not for here")
        self.in_header(tidy.seams, "std::thread t; ::fsync(fd);", path="include/ottla/env/x.hpp")
        self.in_header(tidy.seams, "#include <mutex>\nstd::mutex m;\n",
                       path="include/ottla/base/mutex.hpp")

    def test_tests(self):
        test = "tests/x_test.cpp"
        self.expect(tidy.tests, test, 'TEST_CASE("a [b] c", "[base]") { f(); }\n')
        self.expect(tidy.tests, test, "std::this_thread::sleep_for(1s);\n", "sleep_for")
        self.expect(tidy.tests, test, 'TEST_CASE("it works", "[.slow]") {\n', "hidden")

    def test_top_level(self):
        self.expect(tidy.top_level, "src/x.cpp", "", "top level")
        self.expect(tidy.top_level, ".ci/run", "")

    def test_machine_paths(self):
        self.expect(tidy.machine_paths, "README.md", "see https://x.org/" + "work/a\n")
        self.expect(tidy.machine_paths, "README.md", "see /" + "work/main/x\n", "somebody's")

    def test_mutants(self):
        files = {"tests/mutants/mutants.json": '[{"file": "log/x.hpp", "old": "a < b"}]',
                 "include/ottla/log/x.hpp": "if (a < b) {"}
        self.assertEqual(complaints(tidy.mutants, files), [])
        files["include/ottla/log/x.hpp"] = "if (a <= b) {"
        self.assertIn("mutant 1: what it replaces is 0 times",
                      complaints(tidy.mutants, files)[0])

    def test_clang_format(self):
        if tidy.clang_format_program():
            self.in_header(tidy.clang_format, "int f();\n")
            self.in_header(tidy.clang_format, "int   f();\n", "not formatted")

    def test_bare_keeps_lines(self):
        self.assertEqual(bare('a // b\nc "d{" /* e\nf */ g 1\'000').count("\n"), 2)
        self.assertNotIn("{", bare('x = R"(a { "b)" + "\\"{" + \'{\';'))


if __name__ == "__main__":
    unittest.main()
