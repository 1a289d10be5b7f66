# cuda_choice.cmake - what kernels/cuda/cuda.cmake makes of an nvcc that is old, broken or none: a
# build without CUDA that says why, and an error only where CUDA was asked for.
# cmake -DSOURCE=PROJECT -DFOLDER=EMPTY -P cuda_choice.cmake
file(REMOVE_RECURSE ${FOLDER})
file(WRITE ${FOLDER}/CMakeLists.txt "cmake_minimum_required(VERSION 3.22)
project(choice LANGUAGES NONE)
include(${SOURCE}/kernels/cuda/cuda.cmake)
message(STATUS \"CUDA \${MAEBENCH_CUDA_FOUND}\")
")

# An nvcc of this version that builds nothing, but says `error`.
function(write_nvcc version error)
  file(WRITE ${FOLDER}/nvcc "#!/bin/sh
[ \"$1\" = --version ] && echo 'Cuda compilation tools, release ${version}, V${version}.1' && exit 0
echo 'one line'; echo '${error}' >&2; exit 1
")
  file(CHMOD ${FOLDER}/nvcc PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
endfunction()

# Configures with FOLDER/nvcc and MAEBENCH_CUDA=wanted: it must fail only for ON, and say why.
function(expect wanted why)
  file(REMOVE_RECURSE ${FOLDER}/build)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${FOLDER} -B ${FOLDER}/build
    -DMAEBENCH_CUDA=${wanted} -DCMAKE_CUDA_COMPILER=${FOLDER}/nvcc
    RESULT_VARIABLE failed OUTPUT_VARIABLE said ERROR_VARIABLE said)
  string(REGEX REPLACE "[ \n]+" " " said "${said}") # an error's lines are broken at 80 columns
  if(wanted STREQUAL "AUTO")
    set(expected "Built without CUDA: ${FOLDER}/nvcc ${why}.*CUDA OFF")
  else()
    set(expected "MAEBENCH_CUDA=ON: ${FOLDER}/nvcc ${why}")
  endif()
  if(NOT said MATCHES "${expected}" OR (wanted STREQUAL "AUTO" AND failed) OR
      (wanted STREQUAL "ON" AND NOT failed))
    message(FATAL_ERROR "MAEBENCH_CUDA=${wanted}, expected '${expected}', code ${failed}: ${said}")
  endif()
endfunction()

foreach(wanted AUTO ON)
  expect(${wanted} "does not run")
  write_nvcc(11.7 "")
  expect(${wanted} "is of CUDA 11.7, 11.8 or later is needed")
  write_nvcc(11.8 "cc1plus: fatal error: cuda_runtime.h: No such file")
  expect(${wanted} "does not build a program: cc1plus: fatal error: cuda_runtime.h: No such file")
  file(REMOVE ${FOLDER}/nvcc)
endforeach()
