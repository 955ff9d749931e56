# SPDX-License-Identifier: Apache-2.0
#
# Finds what the library is built on, in the source tree and again where the installed package is
# used. Some of these packages have a CMake file and some a pkg-config file, and Debian's releases
# differ in it: header and library are looked for instead, which holds everywhere. Nothing is
# downloaded.
#
# Gives absl::*, Threads::Threads, ottla::xxhash (headers only) and, for each optional library
# found, ottla::with_<name>: whoever links it gets the library and OTTLA_WITH_<NAME>. OTTLA_MISSING
# lists what is required and was not found.
set(OTTLA_OPTIONAL_LIBRARIES
    "lz4 lz4frame.h lz4"
    "snappy snappy.h snappy"
    "zlib zlib.h z"
    "zstd zstd.h zstd"
)
set(OTTLA_MISSING "")

if(NOT TARGET Threads::Threads)
  find_package(Threads QUIET GLOBAL)
endif()
if(NOT TARGET Threads::Threads)
  list(APPEND OTTLA_MISSING "threads")
endif()

if(NOT TARGET absl::statusor)
  find_package(absl QUIET CONFIG GLOBAL)
endif()
if(NOT TARGET absl::statusor)
  list(APPEND OTTLA_MISSING "Abseil (libabsl-dev)")
endif()

find_path(OTTLA_XXHASH_INCLUDE xxhash.h)
mark_as_advanced(OTTLA_XXHASH_INCLUDE)
if(NOT OTTLA_XXHASH_INCLUDE)
  list(APPEND OTTLA_MISSING "xxHash (libxxhash-dev)")
elseif(NOT TARGET ottla::xxhash)
  add_library(ottla::xxhash INTERFACE IMPORTED GLOBAL)
  target_include_directories(ottla::xxhash INTERFACE "${OTTLA_XXHASH_INCLUDE}")
endif()

foreach(line IN LISTS OTTLA_OPTIONAL_LIBRARIES)
  string(REPLACE " " ";" line "${line}")
  list(GET line 0 name)
  list(GET line 1 header)
  list(GET line 2 library)
  string(TOUPPER ${name} upper)
  option(OTTLA_WITH_${upper} "Use ${name} where it is found" ON)
  find_path(OTTLA_${upper}_INCLUDE ${header})
  find_library(OTTLA_${upper}_LIBRARY ${library})
  mark_as_advanced(OTTLA_WITH_${upper} OTTLA_${upper}_INCLUDE OTTLA_${upper}_LIBRARY)
  if(OTTLA_WITH_${upper} AND OTTLA_${upper}_INCLUDE AND OTTLA_${upper}_LIBRARY
     AND NOT TARGET ottla::with_${name})
    add_library(ottla::with_${name} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(ottla::with_${name} PROPERTIES
      IMPORTED_LOCATION "${OTTLA_${upper}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${OTTLA_${upper}_INCLUDE}"
      INTERFACE_COMPILE_DEFINITIONS OTTLA_WITH_${upper})
  endif()
endforeach()
