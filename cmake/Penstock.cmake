# One library a folder. A library sees the headers of the folders that it names after USES and no others:
# each folder's headers are reached through a directory of its own (build/include/<folder>), so that an
# include which the layering does not allow does not compile.
#
#   penstock_library(kube USES base http db LIBS SQLite::SQLite3)
#
# Sources are every *.cpp of the folder; *_test.cpp become the executable <folder>_tests, run by ctest, and each
# <subject>_fuzz.cpp the libFuzzer executable <subject>_fuzz, of which ctest makes a short run (see below).

add_library(penstock_flags INTERFACE)
target_compile_options(penstock_flags INTERFACE -Wall -Wextra -Wshadow -Wno-missing-field-initializers
  # False alarms of g++ 12 in std::string's inlined concatenation.
  -Wno-stringop-overflow -Wno-restrict -Wno-array-bounds -Wno-maybe-uninitialized -Wno-stringop-overread
  -fno-omit-frame-pointer)
target_compile_definitions(penstock_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_DISABLE_VISIBILITY SPDLOG_FMT_EXTERNAL
  DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
target_link_libraries(penstock_flags INTERFACE Threads::Threads fmt::fmt)
if(PENSTOCK_SANITIZE)
  target_compile_options(penstock_flags INTERFACE -fsanitize=${PENSTOCK_SANITIZE})
  target_link_options(penstock_flags INTERFACE -fsanitize=${PENSTOCK_SANITIZE})
endif()
# For ./dev fuzz: libFuzzer is told which code an input reaches, in the way that g++ knows.
if(PENSTOCK_FUZZ)
  target_compile_options(penstock_flags INTERFACE -fsanitize-coverage=trace-pc,trace-cmp)
  add_library(penstock_fuzz_coverage OBJECT ${CMAKE_CURRENT_LIST_DIR}/fuzz_coverage.cpp)
endif()
if(PENSTOCK_TESTS)
  file(GLOB fuzzer_folders /usr/lib/llvm-*/lib/clang/*/lib/linux)
  find_library(FUZZER_LIBRARY NAMES libclang_rt.fuzzer-x86_64.a libclang_rt.fuzzer-aarch64.a
    HINTS ${fuzzer_folders} REQUIRED)
endif()
find_program(MOLD mold)
if(MOLD)
  target_link_options(penstock_flags INTERFACE -fuse-ld=mold)
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

function(penstock_include_dir folder out)
  set(dir ${PROJECT_BINARY_DIR}/include/${folder})
  if(NOT EXISTS ${dir}/${folder})
    file(MAKE_DIRECTORY ${dir})
    file(CREATE_LINK ${PROJECT_SOURCE_DIR}/src/${folder} ${dir}/${folder} SYMBOLIC)
  endif()
  set(${out} ${dir} PARENT_SCOPE)
endfunction()

function(penstock_settings target folder uses)
  penstock_include_dir(${folder} dir)
  target_include_directories(${target} PRIVATE ${dir})
  foreach(use IN LISTS uses)
    penstock_include_dir(${use} dir)
    target_include_directories(${target} PRIVATE ${dir})
    target_link_libraries(${target} PUBLIC penstock_${use})
  endforeach()
  target_link_libraries(${target} PUBLIC penstock_flags)
endfunction()

# One fuzz target. Its kept inputs lie in tests/fuzz/<subject>. The run in the tests plays these and as many random
# changes of them as take a moment, the same ones each time; `./dev fuzz <subject>` goes on for as long as you like.
function(penstock_fuzz_target folder source uses)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" subject ${name})
  add_executable(${name} ${source})
  penstock_settings(${name} ${folder} "${uses}")
  target_link_libraries(${name} PRIVATE penstock_${folder} ${FUZZER_LIBRARY})
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_precompile_headers(${name} REUSE_FROM penstock_base)
  if(PENSTOCK_FUZZ)
    target_link_libraries(${name} PRIVATE penstock_fuzz_coverage)
    target_link_options(${name} PRIVATE -Wl,-z,muldefs)
  endif()
  set(scratch ${PROJECT_BINARY_DIR}/fuzz/${subject})
  file(MAKE_DIRECTORY ${scratch})
  set(kept ${PROJECT_SOURCE_DIR}/tests/fuzz/${subject})
  if(NOT EXISTS ${kept})
    set(kept "")
  endif()
  add_test(NAME fuzz_${subject} COMMAND ${name} -runs=3000 -seed=1 -keep_seed=1 -max_len=4096 -timeout=10
    -rss_limit_mb=2048 -artifact_prefix=${scratch}/ ${kept})
  set_tests_properties(fuzz_${subject} PROPERTIES WORKING_DIRECTORY ${scratch})
endfunction()

function(penstock_library folder)
  cmake_parse_arguments(arg "" "" "USES;LIBS;TEST_LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz)\\.cpp$")
  if(NOT sources)
    add_library(penstock_${folder} INTERFACE)
    return()
  endif()
  add_library(penstock_${folder} STATIC ${sources})
  penstock_settings(penstock_${folder} ${folder} "${arg_USES}")
  target_link_libraries(penstock_${folder} PUBLIC ${arg_LIBS})
  if(folder STREQUAL base)
    target_precompile_headers(penstock_base PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/pch.h)
  else()
    target_precompile_headers(penstock_${folder} REUSE_FROM penstock_base)
  endif()
  if(PENSTOCK_TESTS AND tests)
    add_executable(${folder}_tests ${tests} ${PROJECT_SOURCE_DIR}/cmake/test_main.cpp)
    penstock_settings(${folder}_tests ${folder} "${arg_USES}")
    target_link_libraries(${folder}_tests PRIVATE penstock_${folder} ${arg_TEST_LIBS})
    # Tests run for a moment and are compiled often.
    target_compile_options(${folder}_tests PRIVATE $<$<CONFIG:Release>:-O1>)
    target_precompile_headers(${folder}_tests REUSE_FROM penstock_base)
    target_compile_definitions(${folder}_tests PRIVATE PENSTOCK_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_test(NAME ${folder} COMMAND ${folder}_tests)
  endif()
  if(PENSTOCK_TESTS)
    file(GLOB_RECURSE fuzzers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_fuzz.cpp)
    foreach(source IN LISTS fuzzers)
      penstock_fuzz_target(${folder} ${source} "${arg_USES}")
    endforeach()
  endif()
endfunction()
