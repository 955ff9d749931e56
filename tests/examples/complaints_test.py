# SPDX-License-Identifier: Apache-2.0
"""What producer and consumer say when something is wrong."""

import os
import re
import resource

from programs import Programs, main


class Complaining(Programs):
    def test_records_that_cannot_be_read_are_told_by_the_exit_code(self):
        self.produce(b"".join(b"line %d\n" % i for i in range(1000)), "--linger", "0")
        log = os.path.join(self.place.name, "ottla-data", "t-0", "0" * 20 + ".log")
        with open(log, "rb") as file:
            data = file.read()
        with open(log, "wb") as file:
            file.write(data[:len(data) // 2])
        for words in ([], ["--group", "g"]):
            code, out, err = self.run_to_end("consumer", "--topic", "t", "--exit-at-end",
                                             "--from-beginning", "--format", "%v\n", *words)
            self.assertEqual(code, 1)
            self.assertTrue(out.startswith(b"line 0\nline 1\n"))
            self.assertIn("not all records of the topic can be read", err)
            self.assertIn("restore", err)

    def test_what_could_not_be_printed_is_an_error_and_is_not_committed(self):
        self.produce(b"a\n")
        words = ["--topic", "t", "--group", "g", "--from-beginning", "--exit-at-end"]
        with open("/dev/full", "wb") as full:
            code, _, err = self.run_to_end("consumer", *words, stdout=full)
        self.assertEqual(code, 1)
        self.assertIn("No space left on device", err)
        self.assertEqual(self.values("--group", "g"), [b"a"])

    def test_an_overlong_line_fails_and_the_others_are_sent(self):
        given = b"before\n" + b"x" * 2_000_000 + b"\n" + b"y" * 20_000_000 + b"\nafter\n"
        code, out, err = self.run_to_end("producer", "--topic", "t", "--echo", given=given)
        self.assertEqual((code, out), (1, b"before\nafter\n"))
        for line in (2, 3):
            self.assertRegex(err, "standard input:%d: .* at most 1048476 bytes\n  split it" % line)
        self.assertEqual(self.values(), [b"before", b"after"])

    def test_the_longest_line_is_taken(self):
        lines = [b"x" * 1_048_476, b"k:" + b"y" * 1_048_474]
        self.produce(b"\n".join(lines), "--key-separator", ":")
        self.assertEqual(self.values(), [lines[0], lines[1][2:]])

    def test_overlong_lines_are_all_told(self):
        given = b"".join(b"x" * (0 if i % 5 == 0 else 1_048_477) + b"\n" for i in range(20))
        code, _, err = self.run_to_end("producer", "--topic", "t", given=given)
        self.assertEqual(code, 1)
        told = sorted(int(line) for line in re.findall(r"standard input:(\d+): ", err))
        for first, last in re.findall(r"standard input: lines (\d+)-(\d+) failed", err):
            told += range(int(first), int(last) + 1)
        self.assertEqual(told, [i + 1 for i in range(20) if i % 5 != 0])

    def test_many_ranges_are_summed_up(self):
        given = (b"x" * 1_048_477 + b"\nfine\n") * 30
        code, _, err = self.run_to_end("producer", "--topic", "t", given=given)
        self.assertEqual(code, 1)
        told = re.findall(r"error: standard input: (.*)\n", err)
        self.assertEqual(told, ["line %d failed" % (2 * i + 1) for i in range(10, 20)] +
                         ["10 of the lines 41-59 failed"])

    def test_on_a_full_disk_it_is_told_which_lines_are_there(self):
        """A file that may not grow stands for the disk."""
        def may_not_grow():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
        lines = [b"%d %s" % (i, b"x" * 90) for i in range(1, 100_001)]
        for partitions in ("1", "3"):
            place = ["--dir", partitions]
            code, _, err = self.run_to_end(
                "producer", "--topic", "t", "--partitions", partitions, *place,
                given=b"\n".join(lines), preexec_fn=may_not_grow, restore_signals=False)
            self.assertEqual(code, 1)
            self.assertEqual(len(re.findall("(?m)^error: .*File too large", err)), 1)
            taken, read = map(int, re.search(
                r"error: the last line taken is line (\d+) of standard input, the last one read "
                r"line (\d+) of standard input\n  mend the cause, then send again", err).groups())
            failed = []
            for first, last in re.findall(
                    r"error: standard input: lines? (\d+)(?:-(\d+))? failed\n", err):
                failed += range(int(first), int(last or first) + 1)
            self.assertTrue(failed)
            there = sorted(int(line.split()[0]) for line in self.values(*place))
            for count, first, last in re.findall(r"(\d+) of the lines (\d+)-(\d+) failed\n", err):
                rest = set(range(int(first), int(last) + 1)).difference(there)
                self.assertEqual(len(rest), int(count))
                failed += rest
            self.assertEqual(sorted(there + failed), list(range(1, read + 1)))
            self.assertEqual(taken, there[-1])

    def test_a_damaged_batch_is_told_with_what_can_be_done(self):
        self.produce(b"".join(b"line %d\n" % i for i in range(100)))
        log = os.path.join(self.place.name, "ottla-data", "t-0", "0" * 20 + ".log")
        with open(log, "rb") as file:
            data = file.read().replace(b"line 50", b"lime 50")
        with open(log, "wb") as file:
            file.write(data)
        code, _, err = self.run_to_end("consumer", "--topic", "t", "--exit-at-end",
                                       "--from-beginning")
        self.assertEqual(code, 1)
        self.assertRegex(err, r"error: t-0: .*checksum.*seek to 100 .*\n"
                              r"  restore the file from a copy, .*\n\Z")

    def test_wrong_usage_is_2_and_says_what_is_right(self):
        for words, text in (([], "--topic T"), (["--topic"], "needs a value"),
                            (["--topik", "t"], "did you mean --topic?"),
                            (["--topic", ""], "empty"), (["--topic", "t", "--no"], "unknown"),
                            (["--topic", "a b"], "A-Z"), (["--topic", "a/b"], "A-Z"),
                            (["--topic", "t", "--topic=u"], "--topic is given twice")):
            for program in ("producer", "consumer"):
                self.expect_error(2, program, words, text, program + " --help")
        for words, text in ((["--acks", "2"], "all"), (["--linger", "-5"], "at least 0"),
                            (["--linger", "5ms"], "linger"), (["--compression", "lzo"], "zstd"),
                            (["--partitions", "0"], "above 0"), (["--partitions", "3x"], "above 0"),
                            (["--echo=yes"], "no value"), (["--key-separator", ""], "empty"),
                            (["--key-separator", "\\x"], "\\t"), (["--echo", "--echo"], "twice"),
                            (["--key-separator", "\\n"], "\\t")):
            self.expect_error(2, "producer", ["--topic", "t", *words], text)
        for words, text in ((["--format", "%z"], "%V"), (["--format", "%"], "%V"),
                            (["--format", "\\r"], "\\t"), (["--format", "x\\"], "\\t"),
                            (["--format", ""], "empty"), (["--group", ""], "empty"),
                            (["t2"], "t2")):
            self.expect_error(2, "consumer", ["--topic", "t", *words], text)
        self.assertEqual(os.listdir(self.place.name), [])

    def test_what_fails_is_1_with_cause_and_remedy(self):
        self.expect_error(1, "consumer", ["--topic", "t"], "ottla-data", "--dir")
        self.produce(b"a\n")
        self.expect_error(1, "consumer", ["--topic", "u"], "'u'", "there are: t")
        self.expect_error(1, "producer", ["--topic", "t", "nofile"], "nofile")
        self.expect_error(1, "producer", ["--topic", "new", "-", "."],
                          "cannot read .: Is a directory", "name files", given=b"a line\n")
        self.assertFalse(os.path.exists(os.path.join(self.place.name, "ottla-data", "new-0")))
        self.expect_error(1, "producer", ["--topic", "t", "--dir", "/proc/nowhere"],
                          "/proc/nowhere")

    def test_a_directory_in_use_names_the_process(self):
        with self.start("producer", "--topic", "t", "--echo") as program:
            program.stdin.write(b"a\n")
            program.stdin.flush()
            self.assertEqual(program.stdout.readline(), b"a\n")
            for other in ("producer", "consumer"):
                self.expect_error(1, other, ["--topic", "t"], "ottla-data",
                                  "process " + str(program.pid))
            program.stdin.close()
            self.assertEqual(program.wait(timeout=60), 0)

    def test_a_directory_that_cannot_be_written_is_an_error(self):
        self.produce(b"a\n")
        data = os.path.join(self.place.name, "ottla-data")
        if os.geteuid() == 0:
            self.skipTest("root writes everywhere")
        os.chmod(data, 0o500)
        self.addCleanup(os.chmod, data, 0o700)
        self.expect_error(1, "producer", ["--topic", "t"], "ottla-data")

    def test_a_directory_that_cannot_be_looked_into_says_why(self):
        self.produce(b"a\n")
        data = os.path.join(self.place.name, "ottla-data")
        os.chmod(data, 0)
        self.addCleanup(os.chmod, data, 0o700)
        somebody = {}
        if os.geteuid() == 0:
            os.chmod(self.place.name, 0o755)
            somebody = {"user": 65534}
            try:
                self.run_to_end("consumer", "--version", **somebody)
            except PermissionError:
                self.skipTest("nobody else may run the programs where they lie")
        self.expect_error(1, "consumer", ["--topic", "t"], "ottla-data: Permission denied",
                          **somebody)

    def test_topics_are_found_without_the_directorys_id(self):
        self.produce(b"a\n")
        os.remove(os.path.join(self.place.name, "ottla-data", "meta.properties"))
        self.assertEqual(self.values(), [b"a"])

    def test_the_main_job_says_what_is_wrong_with_its_options(self):
        for words, text in ((["--dirr", "x"], "unknown option --dirr"), (["--dir"], "missing")):
            code, out, err = self.run_to_end("01_main_job", *words)
            self.assertEqual((code, out), (2, b""))
            self.assertRegex(err, r"\Aerror: .*" + text + r"(?s:.*)usage: 01_main_job ")


if __name__ == "__main__":
    main()
