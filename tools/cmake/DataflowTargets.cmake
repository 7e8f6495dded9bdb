# How every target of this project is compiled: one place for language, warnings, sanitizers and caching.
include(GNUInstallDirs)

find_program(DATAFLOW_CCACHE ccache)
if(DATAFLOW_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are made relative, so that every checkout on a machine shares the cache.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime
      ${DATAFLOW_CCACHE})
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(DATAFLOW_MOLD mold)

# dataflow_configure(TARGET): C++20, our warnings as errors, sanitizers, the root as include directory.
function(dataflow_configure target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  # missing-field-initializers fights designated initialisers whose other members have defaults.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror -Wno-missing-field-initializers)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc looks for memory to reuse from 128 MiB on, again and again; from 512 MiB on saves a tenth of its time.
    target_compile_options(${target} PRIVATE --param=ggc-min-heapsize=524288)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # gcc 12 sees overlaps and overruns in std::string and std::variant that are not there (its bugs 105329, 105562,
    # 105651), depending on what it inlines. The address sanitizer looks for the real ones.
    target_compile_options(${target} PRIVATE
      -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -Wno-maybe-uninitialized)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Hot loops join conditions with & on purpose: no branch.
    target_compile_options(${target} PRIVATE -Wno-bitwise-instead-of-logical)
  endif()
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR})
  if(DATAFLOW_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${DATAFLOW_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${DATAFLOW_SANITIZE})
  endif()
  if(DATAFLOW_MOLD)
    target_link_options(${target} PRIVATE -fuse-ld=mold)
  endif()
endfunction()

# dataflow_compile_together(TARGET): up to eight of the target's sources that are in one folder are compiled as one file,
# since half of the time goes into headers: names that are a file's own have to be the folder's own. Not for tools that
# want a command for each file, nor where a source says no (SKIP_UNITY_BUILD_INCLUSION).
option(DATAFLOW_COMPILE_TOGETHER "Compile several sources of a folder as one" ON)
function(dataflow_compile_together target)
  if(NOT DATAFLOW_COMPILE_TOGETHER)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  set(folder "")
  foreach(source IN LISTS sources)
    get_filename_component(source ${source} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
    cmake_path(GET source PARENT_PATH its_folder)
    if(NOT its_folder STREQUAL folder)
      set(folder ${its_folder})
      set(count 0)
    endif()
    math(EXPR number "${count} / 8")
    math(EXPR count "${count} + 1")
    cmake_path(RELATIVE_PATH its_folder BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE group)
    string(MAKE_C_IDENTIFIER "${group}" group)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group}_${number})
  endforeach()
endfunction()

# dataflow_add_layer(NAME): the static library dataflow::NAME from every .cpp below the current folder.
function(dataflow_add_layer name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cpp)
  if(NOT sources)  # a layer of headers only, so far
    set(sources ${PROJECT_BINARY_DIR}/${name}_without_sources.cpp)
    file(WRITE ${sources} "")
  endif()
  add_library(dataflow_${name} STATIC ${sources})
  add_library(dataflow::${name} ALIAS dataflow_${name})
  set_target_properties(dataflow_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  dataflow_configure(dataflow_${name})
  dataflow_compile_together(dataflow_${name})
  target_include_directories(dataflow_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/dataflow>)
endfunction()
