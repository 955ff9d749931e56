// SPDX-License-Identifier: Apache-2.0
//
// Version, platform and the name of the inline namespace. Whatever changes the body of an inline
// function (exceptions, invariants that stop, each codec) is part of that name, so units built
// differently can be linked together: each calls the functions of its own kind. `ottla::compiled`
// has such bodies inside, compiled once, and a name of its own.
#pragma once

#define OTTLA_VERSION_MAJOR 0
#define OTTLA_VERSION_MINOR 1
#define OTTLA_VERSION_PATCH 0
#define OTTLA_VERSION "0.1.0"

#if !defined(__linux__) || !(defined(__x86_64__) || defined(__aarch64__))
#error "Ottla supports Linux on x86-64 and aarch64; elsewhere ottla/env needs a model first."
#endif
#if defined(_MSVC_LANG) || __cplusplus < 202002L
#error "Ottla needs C++20: compile with -std=c++20 or newer."
#endif

#ifdef __cpp_exceptions
#define OTTLA_EXCEPTIONS 1
#else
#define OTTLA_EXCEPTIONS 0
#endif

// Invariants stop the process when OTTLA_CHECKED is 1 (our own tests); else they turn into an
// internal error.
#ifndef OTTLA_CHECKED
#define OTTLA_CHECKED 0
#endif

#define OTTLA_JOIN_2(a, b, c) a##b##c
#define OTTLA_JOIN(a, b, c) OTTLA_JOIN_2(a, b, c)

#ifdef OTTLA_COMPILED
#define OTTLA_INLINE
#if OTTLA_CHECKED
#define OTTLA_ABI v1_checked
#else
#define OTTLA_ABI v1
#endif
#else
#define OTTLA_INLINE inline
#if OTTLA_EXCEPTIONS
#define OTTLA_ABI_EXCEPTIONS e
#else
#define OTTLA_ABI_EXCEPTIONS n
#endif
#if OTTLA_CHECKED
#define OTTLA_ABI_CHECKED c
#else
#define OTTLA_ABI_CHECKED r
#endif
#ifdef OTTLA_WITH_ZLIB
#define OTTLA_ABI_ZLIB g
#else
#define OTTLA_ABI_ZLIB 0
#endif
#ifdef OTTLA_WITH_SNAPPY
#define OTTLA_ABI_SNAPPY s
#else
#define OTTLA_ABI_SNAPPY 0
#endif
#ifdef OTTLA_WITH_LZ4
#define OTTLA_ABI_LZ4 l
#else
#define OTTLA_ABI_LZ4 0
#endif
#ifdef OTTLA_WITH_ZSTD
#define OTTLA_ABI_ZSTD z
#else
#define OTTLA_ABI_ZSTD 0
#endif
#define OTTLA_ABI_CODECS \
  OTTLA_JOIN(OTTLA_JOIN(OTTLA_ABI_ZLIB, OTTLA_ABI_SNAPPY, OTTLA_ABI_LZ4), OTTLA_ABI_ZSTD, )
#define OTTLA_ABI \
  OTTLA_JOIN(v1_, OTTLA_JOIN(OTTLA_ABI_EXCEPTIONS, OTTLA_ABI_CHECKED, _), OTTLA_ABI_CODECS)
#endif
