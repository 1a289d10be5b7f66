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
  ${CMAKE_SOURCE_DIR}/kernels/cuda/table.c)
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
    -fno-sanitize-recover=all)
endif()
target_compile_options(kernels_simt PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${SIMT_OPTIONS}>)

get_target_property(MAE_PROGRAM_SOURCES mae SOURCES)
add_executable(mae_simt ${MAE_PROGRAM_SOURCES})
set_target_properties(mae_simt PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_link_libraries(mae_simt PRIVATE kernels_simt maelib PkgConfig::JANSSON)
