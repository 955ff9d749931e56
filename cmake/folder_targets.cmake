# SPDX-License-Identifier: Apache-2.0
#
# A header-only target ottla::<folder> for each folder of cmake/layers.cmake that exists, and
# ottla::ottla for all of them. The source tree and the installed package call the same function.

# Those of `libraries` that this machine has: an optional one may be missing.
function(ottla_found out libraries)
  set(found "")
  foreach(library IN LISTS libraries)
    if(TARGET ${library} OR NOT library MATCHES "^ottla::with_")
      list(APPEND found ${library})
    endif()
  endforeach()
  set(${out} "${found}" PARENT_SCOPE)
endfunction()

# Sets OTTLA_FOLDERS in the caller. With IMPORTED as third argument the targets are imported ones,
# else they are made here, as ottla_<folder>, with ottla::<folder> as alias.
function(ottla_add_folder_targets include_dir include_interface)
  set(folders "")
  foreach(line IN LISTS OTTLA_LAYERS ITEMS "ottla:")
    string(REGEX MATCHALL "[a-z]+" stands_on "${line}")
    list(POP_FRONT stands_on folder)
    if(folder STREQUAL "ottla")
      set(stands_on ${folders})
    elseif(NOT IS_DIRECTORY "${include_dir}/ottla/${folder}")
      continue()
    else()
      list(APPEND folders ${folder})
    endif()
    if("${ARGN}" STREQUAL "IMPORTED")
      set(target ottla::${folder})
      add_library(${target} INTERFACE IMPORTED GLOBAL)
    else()
      set(target ottla_${folder})
      add_library(${target} INTERFACE)
      add_library(ottla::${folder} ALIAS ${target})
    endif()
    ottla_found(libraries "${OTTLA_LIBRARIES_${folder}}")
    foreach(need IN LISTS stands_on)  # those that do not exist yet are skipped here too
      if(NOT need IN_LIST folders)
        list(REMOVE_ITEM stands_on ${need})
      endif()
    endforeach()
    list(TRANSFORM stands_on PREPEND ottla::)
    target_include_directories(${target} INTERFACE "${include_interface}")
    target_compile_features(${target} INTERFACE cxx_std_20)
    target_link_libraries(${target} INTERFACE ${stands_on} ${libraries})
  endforeach()
  set(OTTLA_FOLDERS ${folders} PARENT_SCOPE)
endfunction()
