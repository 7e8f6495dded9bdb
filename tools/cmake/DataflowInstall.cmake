# What `cmake --install` gives: headers, static libraries, dfnode and a CMake package. Included last by the top
# CMakeLists.txt.
include(CMakePackageConfigHelpers)

# A compiled job carries the version of the headers it saw.
file(STRINGS ${PROJECT_SOURCE_DIR}/libdataflow/include/dataflow/version.hpp version_line REGEX "define DATAFLOW_VERSION")
if(NOT version_line MATCHES "\"${PROJECT_VERSION}\"")
  message(FATAL_ERROR "dataflow/version.hpp says ${version_line}, the project is ${PROJECT_VERSION}")
endif()

# What a job's source is compiled against.
add_library(dataflow_headers INTERFACE)
add_library(dataflow::headers ALIAS dataflow_headers)
set_target_properties(dataflow_headers PROPERTIES EXPORT_NAME headers)
target_compile_features(dataflow_headers INTERFACE cxx_std_20)
target_include_directories(dataflow_headers INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/libdataflow/include>
  $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/dataflow>)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/dataflow)
install(TARGETS dataflow_headers dataflow_serialization dataflow_dataflow dataflow_actors dataflow_cli
  EXPORT dataflowTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT dataflowTargets NAMESPACE dataflow:: DESTINATION ${package_folder})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/libdataflow/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# Operators of one's own are written with the engine's headers.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/serialization ${PROJECT_SOURCE_DIR}/libdataflow
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/dataflow
  FILES_MATCHING PATTERN "*.hpp" PATTERN "include" EXCLUDE)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dataflowConfig.cmake.in
  ${PROJECT_BINARY_DIR}/dataflowConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dataflowConfigVersion.cmake COMPATIBILITY ExactVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/dataflowConfig.cmake ${PROJECT_BINARY_DIR}/dataflowConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/DataflowAddJob.cmake ${CMAKE_CURRENT_LIST_DIR}/job_main.cpp
  DESTINATION ${package_folder})
