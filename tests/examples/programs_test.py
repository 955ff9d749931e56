# SPDX-License-Identifier: Apache-2.0
"""What producer and consumer do."""

import os
import pty
import re
import select
import subprocess

from programs import FOLDER, SEED, Programs, main

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Doing(Programs):
    def test_lines_come_back_keyed_as_kafka_partitions_them(self):
        self.produce(b"ada:one:lamp\nbob:two\ncyd:\n", "--partitions", "3", "--key-separator", ":")
        self.assertEqual(self.consume("--from-beginning"),
                         [b"t 0 0 bob two", b"t 1 0 cyd ", b"t 2 0 ada one:lamp"])

    def test_a_separator_has_the_escapes_of_a_format(self):
        self.produce(b"a\tb\n", "--key-separator", "\\t")
        self.produce(b"c\\d\n", "--key-separator", "\\\\")
        self.assertEqual(self.consume("--from-beginning", "--format", "%k=%v\\n"), [b"a=b", b"c=d"])

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
        code, out, err = self.run_to_end("consumer", "--topic", "t", "--exit-at-end", *group)
        self.assertEqual((code, out), (0, b""))
        self.assertRegex(err, r"\Anote: group g begins at the end; .*\n.*--from-beginning\n\Z")
        self.produce(b"after\n")
        self.assertEqual(self.consume(*group), [b"after"])
        self.assertEqual(self.consume("--format", "%v\\n"), [])

    def test_a_group_that_passes_over_nothing_is_told_nothing(self):
        self.produce(b"", "--partitions", "2")
        self.assertEqual(self.consume("--group", "early"), [])  # asserts that nothing is told
        self.produce(b"a\n")
        self.assertEqual(self.consume("--group", "early", "--format", "%v\\n"), [b"a"])

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

    def test_one_is_one_line(self):
        with self.start("producer", "--topic", "t", "--echo") as program:
            program.stdin.write(b"one\n")
            self.assertEqual(program.stdout.readline(), b"one\n")
            _, err = self.interrupt(program)
        self.assertIn("interrupted: 1 line was acknowledged\n", err)
        with self.start("consumer", "--topic", "t", "--from-beginning") as program:
            self.assertTrue(program.stdout.readline())
            _, err = self.interrupt(program)
        self.assertIn("interrupted: 1 record was printed\n", err)

    def test_who_types_is_asked_once_for_each_line(self):
        try:
            terminal, their_end = pty.openpty()
        except OSError as problem:
            self.skipTest(f"this machine has no terminals: {problem}")
        shown = b""
        with self.start("producer", "--topic", "t", stdin=their_end, stderr=their_end,
                        env={**os.environ, "TERM": "xterm"}) as program:
            os.close(their_end)
            for typed in (b"one\n", b"two\n", b"\x04"):
                asked = shown.count(b"> ")
                while shown.count(b"> ") == asked:
                    shown += os.read(terminal, 4096)
                os.write(terminal, typed)
            self.assertEqual(program.wait(timeout=60), 0)
        while select.select([terminal], [], [], 0)[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # nobody has its other end any more
                break
        os.close(terminal)
        plain = re.sub(rb"\r?[^\r\n]*\r\x1b\[K", b"", shown)  # what was written over
        self.assertEqual(plain, b"> one\r\n> two\r\n> \r\n")

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
            self.assertRegex(out.decode(),
                             {"producer": r"1048476 bytes(?s:.*)\\t is a tab",
                              "consumer": "a new group, .* begins at the end"}[program])
            code, out, err = self.run_to_end(program, "--version")
            self.assertEqual((code, err), (0, ""))
            self.assertRegex(out.decode(), r"Ottla\) \d+\.\d+\.\d+\n")


if __name__ == "__main__":
    main()
