# SPDX-License-Identifier: Apache-2.0
#
# ottla::compiled, a static library: one source per folder, written here, that includes the
# folder's bodies.
set(sources "")
set(libraries "")
foreach(folder IN LISTS OTTLA_FOLDERS)
  file(GLOB bodies CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include"
    "${PROJECT_SOURCE_DIR}/include/ottla/${folder}/impl/*.ipp")
  list(APPEND libraries ${OTTLA_LIBRARIES_${folder}})
  if(bodies)
    list(TRANSFORM bodies REPLACE "(.+)" "#include <\\1>")
    list(JOIN bodies "\n" text)
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/compiled/${folder}.cpp" CONTENT "${text}\n" @ONLY)
    list(APPEND sources "${PROJECT_BINARY_DIR}/compiled/${folder}.cpp")
  endif()
endforeach()
list(REMOVE_DUPLICATES libraries)
set(optional_libraries ${libraries})
list(FILTER optional_libraries INCLUDE REGEX "^ottla::with_")
list(FILTER libraries EXCLUDE REGEX "^ottla::with_")
ottla_found(optional_libraries "${optional_libraries}")

add_library(ottla_compiled STATIC ${sources})
add_library(ottla::compiled ALIAS ottla_compiled)
set_target_properties(ottla_compiled PROPERTIES
  OUTPUT_NAME ottla EXPORT_NAME compiled POSITION_INDEPENDENT_CODE ON)
if(NOT OTTLA_INSTALL)
  set_target_properties(ottla_compiled PROPERTIES EXCLUDE_FROM_ALL ON)  # until somebody links it
endif()
target_compile_features(ottla_compiled PUBLIC cxx_std_20)
target_include_directories(ottla_compiled PUBLIC
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:include>")
target_compile_definitions(ottla_compiled
  PUBLIC OTTLA_COMPILED $<$<BOOL:${OTTLA_CHECKED}>:OTTLA_CHECKED=1>
  PRIVATE OTTLA_COMPILED_SOURCE)
target_link_libraries(ottla_compiled PUBLIC ${libraries} PRIVATE ${optional_libraries})
include(cmake/warnings.cmake)
ottla_warnings(ottla_compiled)
