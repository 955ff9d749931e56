# SPDX-License-Identifier: Apache-2.0
#
# Warnings for our own targets. Users get none of these flags; the headers are clean under them all
# the same.
function(ottla_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow
    $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
    # g++ 12, optimizing, finds std::optional uninitialized where it is not.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
    $<$<BOOL:${OTTLA_WARNINGS_AS_ERRORS}>:-Werror>)
endfunction()
