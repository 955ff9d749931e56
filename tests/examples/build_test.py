# SPDX-License-Identifier: Apache-2.0
"""cmake/build.sh, which shows how far a build is, with a cmake that builds nothing.

build_test.py BUILD_SH
"""

import os
import pty
import subprocess
import sys
import tempfile
import unittest

BUILD_SH = os.path.abspath(sys.argv[1])


class Building(unittest.TestCase):
    def build(self, printed, *words, status=0, stderr=subprocess.PIPE):
        """Exit code, standard output, standard error."""
        with tempfile.TemporaryDirectory(prefix="ottla-test-") as place:
            with open(os.path.join(place, "cmake"), "w", encoding="utf-8") as cmake:
                cmake.write(f"#!/bin/sh\ncat <<'END'\n{printed}END\nexit {status}\n")
            os.chmod(cmake.name, 0o755)
            path = place + os.pathsep + os.environ["PATH"]
            ran = subprocess.run(["sh", BUILD_SH, *words], cwd=place, timeout=60, check=False,
                                 env={**os.environ, "PATH": path}, stdout=subprocess.PIPE,
                                 stderr=stderr, text=True)
        return ran.returncode, ran.stdout, ran.stderr

    def test_without_a_terminal_each_tenth_is_told_and_a_quiet_output_stays_empty(self):
        lines = [f"[{i}/200] Building {i}.o\n" for i in range(1, 201)]
        code, out, err = self.build("".join(lines), "--quiet")
        self.assertEqual((code, out), (0, ""))
        told = [1, *range(20, 201, 20)]
        self.assertEqual(err, "".join(lines[i - 1] for i in told))

    def test_what_ninja_prints_stays_on_standard_output(self):
        text = "[1/2] a\nwarning: of a\n[2/2] b\n"
        self.assertEqual(self.build(text)[:2], (0, text))

    def test_a_quiet_failure_is_shown_with_its_exit_code(self):
        failure = "FAILED: a.o\nc++ a.cpp\n  a.cpp:1: error: \\n it\nninja: build stopped.\n"
        code, out, _ = self.build("[1/9] a\n" + failure, "--quiet", status=3)
        self.assertEqual((code, out), (3, failure))
        self.assertEqual(self.build("ninja: no work to do.\n", "--quiet"), (0, "", ""))

    def test_on_a_terminal_one_line_is_written_over(self):
        try:
            terminal, their_end = pty.openpty()
        except OSError as problem:
            self.skipTest(f"this machine has no terminals: {problem}")
        text = "[1/2] a\n[2/2] " + "b" * 200 + "\n"
        self.assertEqual(self.build(text, "--quiet", stderr=their_end)[:2], (0, ""))
        os.close(their_end)
        shown = os.read(terminal, 4096)
        os.close(terminal)
        self.assertTrue(shown.startswith(b"\r[1/2] a\x1b[K\r[2/2] bbb"), shown)
        self.assertTrue(shown.endswith(b"\r\x1b[K"), shown)
        self.assertNotIn(b"\n", shown)
        self.assertNotIn(b"b" * 79, shown)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
