# SPDX-License-Identifier: Apache-2.0
"""The programs producer and consumer, run as a user runs them, each test in a directory of its own.

programs_test.py FOLDER SEED [TEST...]: where the two programs lie, and the one that writes records
with headers.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import unittest

FOLDER, SEED = map(os.path.abspath, sys.argv[1:3])
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


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

    def test_lines_come_back_keyed_as_kafka_partitions_them(self):
        self.produce(b"ada:one:lamp\nbob:two\ncyd:\n", "--partitions", "3", "--key-separator", ":")
        self.assertEqual(self.consume("--from-beginning"),
                         [b"t 0 0 bob two", b"t 1 0 cyd ", b"t 2 0 ada one:lamp"])

    def test_a_line_without_the_separator_has_no_key(self):
        self.produce(b"none\n::both empty\n", "--key-separator", "::")
        self.assertEqual(self.consume("--from-beginning", "--format", "%K|%V\\n"),
                         [b"null|6e6f6e65", b"|" + b"both empty".hex().encode()])

    def test_lines_are_any_bytes_and_echoed_verbatim(self):
        given = b"\n  \0\xff\xc3\n\r\ncarriage\r\nlast without a line feed"
        self.assertEqual(self.produce(given, "--echo"), given + b"\n")
        self.assertEqual(self.values(), given.split(b"\n"))

    def test_the_echo_has_key_and_separator(self):
        given = b"a=1\nb=2\n"
        self.assertEqual(self.produce(given, "--echo", "--key-separator", "="), given)

    def test_files_are_read_in_order_and_a_dash_is_standard_input(self):
        for name in ("one", "-two"):
            with open(os.path.join(self.place.name, name), "wb") as file:
                file.write(b"%s 1\n%s 2" % (name.encode(), name.encode()))
        self.produce(b"in\n", "one", "-", "--", "-two")
        self.assertEqual(self.values(), [b"one 1", b"one 2", b"in", b"-two 1", b"-two 2"])

    def test_topics_lie_in_ottla_data_unless_told_otherwise(self):
        self.produce(b"here\n")
        self.assertTrue(os.path.isdir(os.path.join(self.place.name, "ottla-data", "t-0")))
        self.produce(b"there\n", "--dir", "elsewhere")
        self.assertEqual(self.values(), [b"here"])
        self.assertEqual(self.values("--dir", "elsewhere"), [b"there"])

    def test_an_options_value_is_literal_though_it_begins_with_a_dash(self):
        code, out, err = self.run_to_end("producer", "--topic", "--echo", "--key-separator",
                                         "--help", "--dir", "-d", given=b"k--helpv\n")
        self.assertEqual((code, out, err), (0, b"", ""))
        self.assertEqual(self.consume("--from-beginning", "--format", "--%k=%v\\n", "--dir=-d",
                                      topic="--echo"), [b"--k=v"])

    def test_an_existing_topic_keeps_its_partitions(self):
        self.produce(b"a\n", "--partitions", "3")
        code, _, err = self.run_to_end("producer", "--topic", "t", "--partitions", "5",
                                       given=b"b\n")
        self.assertEqual(code, 0)
        self.assertIn("keeps its 3 partitions", err)
        self.assertTrue(os.path.isdir(os.path.join(self.place.name, "ottla-data", "t-2")))
        self.assertFalse(os.path.isdir(os.path.join(self.place.name, "ottla-data", "t-3")))

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

    def test_every_codec_and_level_of_acknowledgement_keeps_all_lines(self):
        lines = [b"line %d of many" % i for i in range(2000)]
        given = b"\n".join(lines) + b"\n"
        for i, codec in enumerate(CODECS):
            words = [["--acks", "0"], ["--acks", "1"], ["--acks", "all"], ["--durable"],
                     ["--linger", "0"]][i]
            echoed = self.produce(given, "--echo", "--dir", codec, "--compression", codec, *words)
            self.assertEqual((codec, echoed), (codec, given))
            self.assertEqual(self.values("--dir", codec), lines)

    def test_records_of_a_partition_come_in_order(self):
        lines = [b"k%d:%d" % (i % 7, i) for i in range(100_000)]
        self.produce(b"\n".join(lines), "--partitions", "3", "--key-separator", ":")
        seen = {}
        for line in self.consume("--from-beginning", "--format", "%p %o %k %v\\n"):
            partition, offset, key, value = line.split()
            seen.setdefault(partition, []).append((int(offset), key, int(value)))
        self.assertEqual(sum(map(len, seen.values())), len(lines))
        for records in seen.values():
            self.assertEqual([offset for offset, _, _ in records], list(range(len(records))))
            self.assertEqual([value for _, _, value in records], sorted(v for _, _, v in records))

    def test_a_format_shows_headers_nulls_and_times(self):
        subprocess.run([SEED, "ottla-data"], cwd=self.place.name, check=True, timeout=60)
        shown = self.consume("--from-beginning", "--format", "%t|%p|%o|%d|%K|%V|%h\\n",
                             topic="seeded")
        self.assertEqual(shown, [b"seeded|0|0|1600000000123|6b00ff|76|trace=01fe,none=null,empty=",
                                 b"seeded|0|1|0|null|null|", b"seeded|0|2|7|||"])
        raw = self.consume("--from-beginning", "--format", "[%k][%v]\\t%%\\\\\\n", topic="seeded")
        self.assertEqual(raw, [b"[k\0\xff][v]\t%\\", b"[][]\t%\\", b"[][]\t%\\"])

    def test_a_group_goes_on_behind_what_was_printed(self):
        self.produce(b"a\nb\n", "--partitions", "2")
        group = ["--group", "g"]
        self.assertEqual(sorted(self.values(*group)), [b"a", b"b"])
        self.assertEqual(self.values(*group), [])
        self.produce(b"c\n")
        self.assertEqual(self.consume(*group, "--format", "%v\\n"), [b"c"])
        self.assertEqual(sorted(self.values("--group", "other")), [b"a", b"b", b"c"])
        self.assertEqual(sorted(self.values()), [b"a", b"b", b"c"])

    def test_without_from_beginning_a_new_group_begins_at_the_end_and_misses_nothing_later(self):
        self.produce(b"before\n", "--partitions", "2")
        group = ["--group", "g", "--format", "%v\\n"]
        self.assertEqual(self.consume(*group), [])
        self.produce(b"after\n")
        self.assertEqual(self.consume(*group), [b"after"])
        self.assertEqual(self.consume("--format", "%v\\n"), [])

    def test_a_ctrl_c_flushes_what_the_producer_read(self):
        with self.start("producer", "--topic", "t", "--echo") as program:
            program.stdin.write(b"one\ntwo\n")
            program.stdin.flush()
            self.assertEqual([program.stdout.readline() for _ in range(2)], [b"one\n", b"two\n"])
            program.stdin.write(b"three\n")
            program.stdin.flush()
            out, err = self.interrupt(program)
        self.assertIn("lines were acknowledged", err)
        acknowledged = [b"one", b"two", *out.split(b"\n")[:-1]]
        self.assertEqual(self.values(), acknowledged)

    def test_a_ctrl_c_commits_what_the_consumer_printed(self):
        self.produce(b"".join(b"%d\n" % i for i in range(50_000)))
        words = ["--topic", "t", "--group", "g", "--from-beginning", "--format", "%v\\n"]
        with self.start("consumer", *words) as program:
            first = program.stdout.readline()
            out, err = self.interrupt(program)
        self.assertIn("records were printed", err)
        printed = (first + out).split(b"\n")[:-1]
        self.assertEqual(printed + self.values("--group", "g"), [b"%d" % i for i in range(50_000)])

    def test_echoed_lines_survive_a_kill(self):
        with self.start("producer", "--topic", "t", "--echo") as program:
            for i in range(200):
                program.stdin.write(b"%d\n" % i)
                program.stdin.flush()
                self.assertEqual(program.stdout.readline(), b"%d\n" % i)
            program.kill()
        code, out, _ = self.run_to_end("consumer", "--topic", "t", "--from-beginning",
                                       "--exit-at-end", "--format", "%v\\n")
        self.assertEqual((code, out), (0, b"".join(b"%d\n" % i for i in range(200))))

    def test_a_group_whose_consumer_was_killed_goes_on_at_once(self):
        self.produce(b"a\nb\n")
        words = ["--topic", "t", "--group", "g", "--from-beginning", "--format", "%v\\n"]
        with self.start("consumer", *words) as program:
            self.assertEqual(program.stdout.readline(), b"a\n")
            program.kill()
        code, out, _ = self.run_to_end("consumer", *words, "--exit-at-end")
        self.assertEqual((code, out), (0, b"a\nb\n"))  # what was not committed comes again

    def test_a_closed_pipe_ends_the_consumer_quietly_and_loses_nothing(self):
        lines = [b"%d" % i for i in range(200_000)]
        self.produce(b"\n".join(lines))
        with self.start("consumer", "--topic", "t", "--group", "g", "--from-beginning", "--format",
                        "%v\\n") as program:
            self.assertEqual(program.stdout.readline(), b"0\n")
            program.stdout.close()
            self.assertEqual((program.stderr.read(), program.wait(timeout=60)), (b"", 0))
        rest = self.values("--group", "g")
        self.assertTrue(rest)
        self.assertEqual(rest, lines[-len(rest):])

    def test_a_closed_pipe_ends_the_consumer_also_when_nothing_more_comes(self):
        self.produce(b"a\n")
        words = ["--topic", "t", "--group", "g", "--from-beginning", "--format", "%v\\n"]
        with self.start("consumer", *words) as program:
            self.assertEqual(program.stdout.readline(), b"a\n")
            program.stdout.close()
            self.assertEqual((program.stderr.read(), program.wait(timeout=60)), (b"", 0))
        self.assertEqual(self.values("--group", "g"), [])

    def test_the_producer_sends_on_when_its_echo_has_no_reader(self):
        lines = [b"%d" % i for i in range(100_000)]
        with self.start("producer", "--topic", "t", "--echo") as program:
            program.stdout.close()
            program.stdin.write(b"\n".join(lines))
            program.stdin.close()
            self.assertEqual((program.stderr.read(), program.wait(timeout=60)), (b"", 0))
        self.assertEqual(self.values(), lines)

    def test_what_could_not_be_printed_is_an_error_and_is_not_committed(self):
        self.produce(b"a\n")
        words = ["--topic", "t", "--group", "g", "--from-beginning", "--exit-at-end"]
        with open("/dev/full", "wb") as full:
            code, _, err = self.run_to_end("consumer", *words, stdout=full)
        self.assertEqual(code, 1)
        self.assertIn("No space left on device", err)
        self.assertEqual(self.values("--group", "g"), [b"a"])

    def test_standard_streams_that_are_closed_harm_no_file(self):
        self.produce(b"".join(b"%d\n" % i for i in range(1000)))
        for program, words, closed in (("consumer", ["--from-beginning", "--exit-at-end"], 1),
                                       ("consumer", ["--from-beginning", "--exit-at-end"], 2),
                                       ("producer", [], 0)):
            code, _, _ = self.run_to_end(
                "/bin/sh", "-c", 'exec "$@" %d>&-' % closed, "sh",
                os.path.join(FOLDER, program), "--topic", "t", *words)
            self.assertEqual((program, closed, code), (program, closed, 0))
        self.assertEqual(self.values(), [b"%d" % i for i in range(1000)])

    def test_progress_is_shown_on_a_terminal_alone(self):
        try:
            terminals = [pty.openpty(), pty.openpty()]
        except OSError as problem:
            self.skipTest(f"this machine has no terminals: {problem}")
        self.produce(b"".join(b"%d\n" % i for i in range(100_000)))
        for program, words in (("producer", []), ("consumer", ["--from-beginning"])):
            terminal, their_end = terminals.pop()
            with self.start(program, "--topic", "t", *words, stderr=their_end,
                            env={**os.environ, "TERM": "xterm"}) as ran:
                os.close(their_end)
                shown = b""
                while b" a second" not in shown:
                    if program == "producer":
                        ran.stdin.write(b"a line\n")
                        ran.stdin.flush()
                    else:
                        self.assertTrue(os.read(ran.stdout.fileno(), 4096))
                    if select.select([terminal], [], [], 0.02)[0]:
                        shown += os.read(terminal, 4096)
                ran.kill()
            os.close(terminal)
            self.assertIn(b"\r", shown)

    def test_an_overlong_line_fails_and_the_others_are_sent(self):
        given = b"before\n" + b"x" * 2_000_000 + b"\n" + b"y" * 20_000_000 + b"\nafter\n"
        code, out, err = self.run_to_end("producer", "--topic", "t", "--echo", given=given)
        self.assertEqual((code, out), (1, b"before\nafter\n"))
        self.assertRegex(err, "standard input:2: .*(2000000|max.request.size)")
        self.assertRegex(err, "standard input:3: .*bytes\n  split it")
        self.assertEqual(self.values(), [b"before", b"after"])

    def expect_error(self, code, program, words, *texts, **options):
        got, out, err = self.run_to_end(program, *words, **options)
        self.assertEqual((words, got, out), (words, code, b""))
        self.assertRegex(err, "^error: .+\n  .+\n")  # the cause, then a remedy
        for text in texts:
            self.assertIn(text, err)

    def test_wrong_usage_is_2_and_says_what_is_right(self):
        for words, text in (([], "--topic T"), (["--topic"], "needs a value"),
                            (["--topik", "t"], "did you mean --topic?"),
                            (["--topic", ""], "empty"), (["--topic", "t", "--no"], "unknown")):
            for program in ("producer", "consumer"):
                self.expect_error(2, program, words, text, program + " --help")
        for words, text in ((["--acks", "2"], "all"), (["--linger", "-5"], "at least 0"),
                            (["--linger", "5ms"], "linger"), (["--compression", "lzo"], "zstd"),
                            (["--partitions", "0"], "above 0"), (["--partitions", "3x"], "above 0"),
                            (["--echo=yes"], "no value"), (["--key-separator", ""], "empty")):
            self.expect_error(2, "producer", ["--topic", "t", *words], text)
        for words, text in ((["--format", "%z"], "%V"), (["--format", "%"], "%V"),
                            (["--format", "\\r"], "\\t"), (["--format", "x\\"], "\\t"),
                            (["t2"], "t2")):
            self.expect_error(2, "consumer", ["--topic", "t", *words], text)
        self.assertEqual(os.listdir(self.place.name), [])

    def test_what_fails_is_1_with_cause_and_remedy(self):
        self.expect_error(1, "consumer", ["--topic", "t"], "ottla-data", "--dir")
        self.produce(b"a\n")
        self.expect_error(1, "consumer", ["--topic", "u"], "'u'", "there are: t")
        self.expect_error(1, "producer", ["--topic", "a/b"], "a/b", "A-Z")
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

    def test_typed_orders_come_back_as_orders_and_what_is_none_says_so(self):
        code, out, err = self.run_to_end("03_typed_orders")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(out.decode().splitlines(), [
            "3 orders acknowledged",
            "1 bob: 4 x chair (source shop)",
            "2 cyd: 1 x table (source shop)",
            "3 dan: bytes that are not an order: they are too few or too many"])
        self.assertEqual(os.listdir(self.place.name), [])

    def test_help_has_examples_and_goes_to_standard_output(self):
        for program in ("producer", "consumer"):
            code, out, err = self.run_to_end(program, "--help")
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out.decode(), "(?s)usage: %s .*\n  %s --topic" % (program, program))
            code, out, err = self.run_to_end(program, "--version")
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out.decode(), r"Ottla\) \d+\.\d+\.\d+\n")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
