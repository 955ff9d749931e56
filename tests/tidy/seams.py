# SPDX-License-Identifier: Apache-2.0
"""What only some files of the library may use: where, what the others use instead, and what."""

WORLD = r"include/ottla/env/"
LOCK = r"include/ottla/base/mutex\.hpp|include/ottla/base/impl/mutex\.ipp"
STOP = r"include/ottla/base/impl/invariant\.ipp|" + LOCK
NOWHERE = r"(?!)"

WORDS = [
    (WORLD, "the world's clock",
     r"_clock::now|\babsl::Now\b|\b(clock_)?gettime(ofday)?\(|(?<![\w.>:])time\("),
    (WORLD, "the world's executor",
     r"\bstd::(jthread|thread|this_thread|async|future|promise|packaged_task|stop_token|latch"
     r"|barrier|counting_semaphore|binary_semaphore)\b|\bpthread_\w+"
     r"|\b(sleep_for|sleep_until|u?sleep|nanosleep|sched_yield)\("),
    (WORLD, "the world's random numbers",
     r"\bstd::(random_device|mt19937\w*|default_random_engine)\b|\babsl::\w*BitGen\w*|\bs?rand\("),
    (WORLD, "the world's file system",
     r"(?<![\w>])::(open(at)?|creat|close|p?(read|write)v?2?|f(data)?sync|sync_file_range|rename\w*"
     r"|unlink\w*|remove|mkdir\w*|rmdir|f?truncate|fallocate|posix_\w+|flock|fcntl|ioctl"
     r"|[lf]?stat\w*|opendir|readdir|poll|epoll_\w+|eventfd|m(un)?map|msync|madvise|sendfile"
     r"|socket)\("
     r"|\bstd::(filesystem|[io]?fstream|fopen)\b|\bfopen\("),
    (LOCK, "base/mutex.hpp",
     r"\bstd::(\w*mutex|condition_variable\w*|lock_guard|unique_lock|scoped_lock|shared_lock"
     r"|call_once|once_flag|atomic\w*_wait\w*)\b"
     r"|\babsl::(Mutex\w*|CondVar|Notification|call_once)\b"),
    (WORLD + "|" + LOCK, "env or base/mutex.hpp", r"\bsyscall\(|\bfutex\b"),
    (STOP, "an invariant (base/invariant.hpp)",
     r"\bstd::(abort|exit|_Exit|quick_exit|terminate|raise|signal)\b|\bassert\(|\b__builtin_trap\b"
     r"|(?<![\w.>:])(abort|exit|_exit|raise|signal|sigaction|kill)\("),
    (NOWHERE, "a Status", r"\bthrow\b"),
    (NOWHERE, "what the caller gives: a library is silent and reads no environment",
     r"\bstd::(cout|cerr|clog|printf|puts)\b|\bf?printf\(|\b(secure_)?getenv\("),
    (NOWHERE, "a name: no anonymous namespace and no using-directive in what others include",
     r"\bnamespace\s*\{|^using namespace\b"),
]

HEADERS = [
    (WORLD + "|" + LOCK, r"<unistd\.h>|<(sys|linux)/(?!auxv).*>"),
    (WORLD, r"<(fcntl|dirent|poll|stdio|time|signal|pthread)\.h>"
            r"|<absl/(time|random)/.*>|<c(stdio|time|signal)>|<(fstream|filesystem|thread|future"
            r"|semaphore|latch|barrier|stop_token|random)>"),
    (LOCK, r"<(mutex|shared_mutex|condition_variable)>|<absl/synchronization/.*>"),
    (NOWHERE, r"<iostream>"),
]
