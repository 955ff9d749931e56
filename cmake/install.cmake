# SPDX-License-Identifier: Apache-2.0
#
# The installed package: headers with their bodies, libottla.a, and the CMake files that
# ottla-config.cmake reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ottla")

install(DIRECTORY include/ottla DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
install(TARGETS ottla_compiled EXPORT ottla_compiled
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT ottla_compiled NAMESPACE ottla:: FILE ottla_compiled.cmake
  DESTINATION "${package_dir}")

configure_package_config_file(cmake/ottla-config.cmake.in ottla-config.cmake
  INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(ottla-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/ottla-config.cmake" "${PROJECT_BINARY_DIR}/ottla-config-version.cmake"
  cmake/layers.cmake cmake/dependencies.cmake cmake/folder_targets.cmake
  DESTINATION "${package_dir}")
