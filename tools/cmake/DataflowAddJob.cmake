# What a user's CMakeLists calls, in this tree and after find_package(dataflow).

set(DATAFLOW_JOB_MAIN ${CMAKE_CURRENT_LIST_DIR}/job_main.cpp)

# dataflow_add_job(NAME SOURCES...): from sources with one DATAFLOW_JOB, the library NAME.so for `dfnode run NAME.so`
# and the program NAME, which runs the job here. The library holds none of the engine: it finds it in the program that
# loads it, which must be of the same version.
function(dataflow_add_job name)
  add_library(${name}_objects OBJECT ${ARGN})
  set_target_properties(${name}_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(${name}_objects PUBLIC dataflow::headers)
  dataflow_job_options(${name}_objects)

  dataflow_add_library(${name}_library $<TARGET_OBJECTS:${name}_objects>)
  set_target_properties(${name}_library PROPERTIES OUTPUT_NAME ${name} LINKER_LANGUAGE CXX)
  add_executable(${name} ${DATAFLOW_JOB_MAIN} $<TARGET_OBJECTS:${name}_objects>)
  target_link_libraries(${name} PRIVATE dataflow::headers dataflow::cli)
endfunction()

# dataflow_add_library(NAME SOURCES...): NAME.so with a job or with process functions (DATAFLOW_FUNCTION) for topologies.
function(dataflow_add_library name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so")
  if(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
  endif()
  target_link_libraries(${name} PRIVATE dataflow::headers)
  dataflow_job_options(${name})
endfunction()

# dataflow_add_program(NAME SOURCES...): a program with a main of its own that ends in Environment::execute.
function(dataflow_add_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE dataflow::headers dataflow::cli)
endfunction()

# Statics of inline functions must not be shared between the libraries that one process has loaded.
function(dataflow_job_options target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fno-gnu-unique)
  endif()
endfunction()
