# Puts the dashboard's built files (web/dist) into a library; see pack_web.py. `./dev build` makes them where there is
# npm. They are packed again when one of them changes.

function(penstock_embed_web target)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/web/dist/*)
  set(fallback ${CMAKE_CURRENT_SOURCE_DIR}/no_dashboard.html)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/web_files.cpp)
  set(binary ${CMAKE_CURRENT_BINARY_DIR}/web_files.bin)
  set(script ${PROJECT_SOURCE_DIR}/cmake/pack_web.py)
  add_custom_command(OUTPUT ${source} ${binary}
    COMMAND /usr/bin/python3 ${script} ${fallback} ${PROJECT_SOURCE_DIR}/web/dist ${source} ${binary}
    DEPENDS ${files} ${fallback} ${script} COMMENT "Packing the dashboard" VERBATIM)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${binary})
  target_sources(${target} PRIVATE ${source})
endfunction()

# Puts the compiled examples into a library, for the dashboard's quick starts; see pack_examples.py. They are compiled
# again when one of them or the kfp package changes.
function(penstock_embed_examples target)
  set(examples ${PROJECT_SOURCE_DIR}/examples)
  set(sdk ${PROJECT_SOURCE_DIR}/sdk/python)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${sdk}/kfp/*.py)
  list(FILTER files EXCLUDE REGEX "(^|/)tests?/|_test\\.py$|__pycache__")
  set(scripts "")
  foreach(name IN LISTS ARGN)
    list(APPEND scripts ${examples}/${name}.py)
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/bundled_examples.cpp)
  set(binary ${CMAKE_CURRENT_BINARY_DIR}/bundled_examples.bin)
  set(script ${PROJECT_SOURCE_DIR}/cmake/pack_examples.py)
  add_custom_command(OUTPUT ${source} ${binary}
    COMMAND /usr/bin/python3 ${script} ${sdk} ${examples} ${source} ${binary} ${ARGN}
    DEPENDS ${files} ${scripts} ${script} COMMENT "Compiling the examples" VERBATIM)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${binary})
  target_sources(${target} PRIVATE ${source})
endfunction()
