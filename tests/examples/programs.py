# SPDX-License-Identifier: Apache-2.0
"""Runs the programs producer and consumer as a user does, each test in a directory of its own.

x_test.py FOLDER SEED [TEST...]: where the two programs lie, and the one that writes records with
headers.
"""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

FOLDER, SEED = map(os.path.abspath, sys.argv[1:3])


class Programs(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory(prefix="ottla-test-")
        self.addCleanup(self.place.cleanup)

    def start(self, program, *words, **options):
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen([os.path.join(FOLDER, program), *words], cwd=self.place.name,
                                bufsize=0, **{**streams, **options})

    def run_to_end(self, program, *words, given=b"", **options):
        """Exit code, standard output, standard error."""
        ran = self.start(program, *words, **options)
        out, err = ran.communicate(given, timeout=120)
        return ran.returncode, out, err.decode() if err is not None else None

    def produce(self, given, *words):
        code, out, err = self.run_to_end("producer", "--topic", "t", *words, given=given)
        self.assertEqual((code, err), (0, ""))
        return out

    def consume(self, *words, topic="t"):
        """The lines that it prints, without their line feeds."""
        code, out, err = self.run_to_end("consumer", "--topic", topic, "--exit-at-end", *words)
        self.assertEqual((code, err), (0, ""))
        self.assertTrue(out == b"" or out.endswith(b"\n"))
        return out.split(b"\n")[:-1]

    def values(self, *words):
        return self.consume("--from-beginning", "--format", "%v\\n", *words)

    def interrupt(self, program):
        """What comes after its Ctrl-C: the rest of standard output, and standard error."""
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=60)
        self.assertEqual(program.returncode, 130)
        return out, err.decode()

    def expect_error(self, code, program, words, *texts, **options):
        got, out, err = self.run_to_end(program, *words, **options)
        self.assertEqual((words, got, out), (words, code, b""))
        self.assertRegex(err, "^error: .+\n  .+\n")  # the cause, then a remedy
        for text in texts:
            self.assertIn(text, err)


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
