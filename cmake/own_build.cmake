# SPDX-License-Identifier: Apache-2.0
#
# What holds only where this project is the top level: never for those who use it.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(OTTLA_CCACHE ccache)
mark_as_advanced(OTTLA_CCACHE)
if(OTTLA_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${OTTLA_CCACHE}")
endif()

if(OTTLA_SANITIZE)
  add_compile_options(-fsanitize=${OTTLA_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${OTTLA_SANITIZE})
endif()
