# mae_simt: the whole mae program with kernels/cuda/ compiled by g++ and run on the CPU behind a CUDA
# runtime of our own (runtime.h): `mae_simt train --set run.device=cuda:0 ...`.
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  message(STATUS "tests/simt needs g++ on x86-64: the CUDA backend is not run on the CPU")
  return()
endif()

# An object library comes before whatever `kernels` offers for "cuda:N", so that its cuda_open is the
# one that counts. The .cu files are compiled through a generated .cc: the language of a .cu file is
# CUDA's in a build that has it.
file(GLOB SIMT_CUDA CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/kernels/cuda/*.cu)
set(SIMT_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(SIMT_SOURCES ${SIMT_FOLDER}/simt.cc ${SIMT_FOLDER}/runtime.cc ${SIMT_FOLDER}/cublaslt.cc
  ${SIMT_FOLDER}/nccl.cc)
foreach(source ${SIMT_CUDA})
  get_filename_component(name ${source} NAME_WE)
  set(wrapped ${CMAKE_CURRENT_BINARY_DIR}/simt/${name}_cu.cc)
  file(CONFIGURE OUTPUT ${wrapped} CONTENT "#include \"${source}\"\n" @ONLY)
  list(APPEND SIMT_SOURCES ${wrapped})
endforeach()
add_library(kernels_simt OBJECT ${SIMT_SOURCES})
target_include_directories(kernels_simt BEFORE PUBLIC simt/include)
target_link_libraries(kernels_simt PUBLIC maebench_options)
set(SIMT_OPTIONS -O2 -g -fno-math-errno -Wall -Wextra -Wno-unknown-pragmas)
if(MAEBENCH_NATIVE)
  list(APPEND SIMT_OPTIONS -march=native)
endif()
if(MAEBENCH_WERROR)
  list(APPEND SIMT_OPTIONS -Werror)
endif()
if(MAEBENCH_SANITIZE)
  list(APPEND SIMT_OPTIONS -fsanitize=${MAEBENCH_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -fsanitize-sections=simt_shared)
endif()
target_compile_options(kernels_simt PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${SIMT_OPTIONS}>)

get_target_property(MAE_PROGRAM_SOURCES mae SOURCES)
# The ranks' exchange through NCCL, in front of whatever maelib has.
add_library(ranks_simt OBJECT ${CMAKE_SOURCE_DIR}/mae/ranks/nccl.c)
target_include_directories(ranks_simt BEFORE PRIVATE simt/nccl)
target_link_libraries(ranks_simt PUBLIC maebench_options)
add_executable(mae_simt ${MAE_PROGRAM_SOURCES})
set_target_properties(mae_simt PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(mae_simt PRIVATE kernels_simt ranks_simt maelib PkgConfig::JANSSON)

# Check programs: `device` holds both backends, `program` runs mae_simt. Streams that run late, at once
# and at random moments must make no difference.
function(add_simt_check name source)
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${name} PRIVATE -Wno-pedantic -Wno-conversion -Wno-missing-prototypes)
  target_compile_definitions(${name} PRIVATE SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    PROGRAM_DIR="${CMAKE_BINARY_DIR}/bin" MAE_PROGRAM="${CMAKE_BINARY_DIR}/tests/mae_simt")
  target_link_libraries(${name} PRIVATE ${ARGN} maelib PkgConfig::CHECK PkgConfig::JANSSON m)
endfunction()
add_simt_check(simt_device simt/test_device.c kernels_simt)
foreach(order lazy eager random)
  add_test(NAME simt_device_${order} COMMAND simt_device)
  set(environment "SIMT_STREAMS=${order}$<$<STREQUAL:${order},random>::1>")
  if(NOT order STREQUAL "lazy")
    list(APPEND environment CK_RUN_CASE=queues)
  endif()
  set_tests_properties(simt_device_${order} PROPERTIES TIMEOUT 600 ENVIRONMENT "${environment}")
endforeach()
add_simt_check(simt_program simt/test_program.c)
add_dependencies(simt_program mae_simt harness)
add_test(NAME simt_program COMMAND simt_program)
set_tests_properties(simt_program PROPERTIES TIMEOUT 900)
add_simt_check(simt_ranks simt/test_ranks.c)
add_dependencies(simt_ranks mae_simt)
add_test(NAME simt_ranks COMMAND simt_ranks)
set_tests_properties(simt_ranks PROPERTIES TIMEOUT 600)
