# Puts the dashboard's built files (web/dist) into a library; see pack_web.py. `./dev build` makes them where there is
# npm. They are packed again when one of them changes.

function(penstock_embed_web target)
  file(GLOB_RECURSE files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/web/dist/*)
  set(fallback ${CMAKE_CURRENT_SOURCE_DIR}/no_dashboard.html)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/web_files.cpp)
  set(binary ${CMAKE_CURRENT_BINARY_DIR}/web_files.bin)
  set(script ${PROJECT_SOURCE_DIR}/cmake/pack_web.py)
  add_custom_command(OUTPUT ${source} ${binary}
    COMMAND python3 ${script} ${fallback} ${PROJECT_SOURCE_DIR}/web/dist ${source} ${binary}
    DEPENDS ${files} ${fallback} ${script} COMMENT "Packing the dashboard" VERBATIM)
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${binary})
  target_sources(${target} PRIVATE ${source})
endfunction()
