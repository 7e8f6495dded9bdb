# Fails when `dfnode docs --markdown` and the page that is checked in differ.
execute_process(COMMAND ${DFNODE} docs --markdown OUTPUT_VARIABLE generated RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "dfnode docs --markdown ended with ${status}")
endif()
file(READ ${PAGE} page)
if(NOT generated STREQUAL page)
  message(FATAL_ERROR "${PAGE} is out of date: build/release/bin/dfnode docs --markdown > docs/topology.md")
endif()
