// SPDX-License-Identifier: Apache-2.0
//
// Clang's thread-safety attributes, checked with -Wthread-safety; nothing on other compilers.
#pragma once

#if defined(__clang__)
#define OTTLA_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define OTTLA_THREAD_ATTRIBUTE(x)
#endif

#define OTTLA_CAPABILITY(x) OTTLA_THREAD_ATTRIBUTE(capability(x))
#define OTTLA_SCOPED_CAPABILITY OTTLA_THREAD_ATTRIBUTE(scoped_lockable)
#define OTTLA_GUARDED_BY(x) OTTLA_THREAD_ATTRIBUTE(guarded_by(x))
#define OTTLA_REQUIRES(...) OTTLA_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define OTTLA_EXCLUDES(...) OTTLA_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define OTTLA_ACQUIRE(...) OTTLA_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define OTTLA_RELEASE(...) OTTLA_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define OTTLA_TRY_ACQUIRE(...) OTTLA_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define OTTLA_NO_THREAD_SAFETY_ANALYSIS OTTLA_THREAD_ATTRIBUTE(no_thread_safety_analysis)
