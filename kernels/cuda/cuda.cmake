# cuda.cmake - finds CUDA and NCCL for the whole build, from the project's CMakeLists.txt: options
# MAEBENCH_CUDA, MAEBENCH_NCCL and MAEBENCH_CUDA_ARCHITECTURES in, MAEBENCH_CUDA_FOUND,
# MAEBENCH_CUDA_WARNINGS, MAEBENCH_NCCL_FOUND, NCCL_INCLUDE_DIR and NCCL_LIBRARY out.
set(MAEBENCH_CUDA AUTO CACHE STRING
  "GPUs: ON, OFF, or AUTO: where nvcc is found: CMAKE_CUDA_COMPILER, on the PATH, CUDA_PATH/bin, /usr/local/cuda/bin")
set_property(CACHE MAEBENCH_CUDA PROPERTY STRINGS AUTO ON OFF)
set(MAEBENCH_NCCL AUTO CACHE STRING "Several GPUs: ON, OFF, or AUTO: where NCCL is found with CUDA")
set_property(CACHE MAEBENCH_NCCL PROPERTY STRINGS AUTO ON OFF)
# Code for the T4 (75), A100 (80) and H100/H200 (90); the last also as PTX, for what comes after.
set(MAEBENCH_CUDA_ARCHITECTURES "75-real;80-real;90" CACHE STRING "GPU architectures to build for")

# Sets PROBLEM to why this nvcc cannot build the project, empty when it can: its version, and
# whether it makes a program of a kernel, for each architecture, and cuBLASLt. Here and not in
# enable_language(), whose errors end the configuration, for a build on the CPU too.
function(maebench_try_nvcc nvcc problem)
  execute_process(COMMAND ${nvcc} --version RESULT_VARIABLE failed OUTPUT_VARIABLE says
    ERROR_VARIABLE says)
  if(NOT failed EQUAL 0 OR NOT says MATCHES "release ([0-9.]+)")
    set(${problem} "${nvcc} does not run, or is no nvcc" PARENT_SCOPE)
    return()
  endif()
  if(CMAKE_MATCH_1 VERSION_LESS MAEBENCH_CUDA_OLDEST)
    set(${problem} "${nvcc} is of CUDA ${CMAKE_MATCH_1}, ${MAEBENCH_CUDA_OLDEST} or later is needed"
      PARENT_SCOPE)
    return()
  endif()
  separate_arguments(flags NATIVE_COMMAND "$ENV{CUDAFLAGS} ${CMAKE_CUDA_FLAGS}")
  foreach(host "$ENV{CUDAHOSTCXX}" "${CMAKE_CUDA_HOST_COMPILER}")
    if(host)
      list(APPEND flags -ccbin ${host})
      break()
    endif()
  endforeach()
  foreach(architecture ${MAEBENCH_CUDA_ARCHITECTURES})
    if(architecture MATCHES "^([0-9]+[a-z]?)")
      list(APPEND flags -gencode arch=compute_${CMAKE_MATCH_1},code=sm_${CMAKE_MATCH_1})
    endif()
  endforeach()
  string(SHA256 tried "${nvcc};${says};${flags}")
  if(tried STREQUAL MAEBENCH_CUDA_TRIED) # and it could
    set(${problem} "" PARENT_SCOPE)
    return()
  endif()
  set(trial ${CMAKE_BINARY_DIR}/CMakeFiles/cuda_trial)
  file(WRITE ${trial}.cu "#include <cublasLt.h>\n#include <cuda_runtime.h>\n"
    "__global__ void nothing() {}\n"
    "int main() { nothing<<<1, 1>>>(); return cublasLtGetVersion() == 0; }\n")
  execute_process(COMMAND ${nvcc} -std=c++17 ${flags} ${trial}.cu -o ${trial} -lcublasLt
    RESULT_VARIABLE failed OUTPUT_VARIABLE printed ERROR_VARIABLE printed)
  if(NOT failed EQUAL 0)
    string(REGEX MATCH "[^\n]*([Ee]rror|fatal|cannot find)[^\n]*" line "${printed}")
    set(${problem} "${nvcc} does not build a program: ${line}" PARENT_SCOPE)
    return()
  endif()
  set(MAEBENCH_CUDA_TRIED ${tried} CACHE INTERNAL "The compiler that built a CUDA program")
  set(${problem} "" PARENT_SCOPE)
endfunction()

# CUDA only where its compiler is, and works. A sanitized build is for the CPU: AUTO leaves CUDA out
# of it.
set(MAEBENCH_CUDA_OLDEST 11.8)
set(MAEBENCH_CUDA_FOUND OFF)
set(MAEBENCH_CUDA_PROBLEM "MAEBENCH_CUDA=${MAEBENCH_CUDA}")
if(MAEBENCH_SANITIZE)
  string(APPEND MAEBENCH_CUDA_PROBLEM ", MAEBENCH_SANITIZE=${MAEBENCH_SANITIZE}")
endif()
if(MAEBENCH_CUDA STREQUAL "ON" OR (MAEBENCH_CUDA STREQUAL "AUTO" AND NOT MAEBENCH_SANITIZE))
  find_program(MAEBENCH_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
  set(nvcc ${MAEBENCH_NVCC})
  if(CMAKE_CUDA_COMPILER)
    set(nvcc ${CMAKE_CUDA_COMPILER})
  endif()
  if(nvcc)
    maebench_try_nvcc(${nvcc} MAEBENCH_CUDA_PROBLEM)
  else()
    set(MAEBENCH_CUDA_PROBLEM "there is no nvcc on the PATH, in CUDA_PATH/bin or in \
/usr/local/cuda/bin; -DCMAKE_CUDA_COMPILER=FILE names another")
  endif()
  if(NOT MAEBENCH_CUDA_PROBLEM)
    set(CMAKE_CUDA_COMPILER ${nvcc})
    # Only checks the compiler: each target names its architectures.
    set(CMAKE_CUDA_ARCHITECTURES ${MAEBENCH_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    # CMake 3.25 expects this target; CUDA 13 has no such library, and nothing here uses it.
    if(NOT TARGET CUDA::nvToolsExt)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
    endif()
    find_package(CUDAToolkit REQUIRED)
    # CMake takes the toolkit's folder for one that the loader knows, as nvcc links with it unasked.
    # The loader need not: what is built here finds cuBLASLt by this.
    get_target_property(cublaslt CUDA::cublasLt IMPORTED_LOCATION)
    get_filename_component(cublaslt ${cublaslt} DIRECTORY)
    list(APPEND CMAKE_BUILD_RPATH ${cublaslt})
    set(MAEBENCH_CUDA_FOUND ON)
    # Values of a kernel that are kept in memory for want of registers cost more than they look.
    set(MAEBENCH_CUDA_WARNINGS -Xptxas=--warn-on-spills,--warn-on-local-memory-usage)
    if(MAEBENCH_WERROR)
      list(APPEND MAEBENCH_CUDA_WARNINGS -Werror=all-warnings)
    endif()
    message(STATUS "Built with CUDA, by ${CMAKE_CUDA_COMPILER} (-DMAEBENCH_CUDA=OFF builds without)")
  elseif(MAEBENCH_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MAEBENCH_CUDA=ON: ${MAEBENCH_CUDA_PROBLEM}")
  endif()
endif()
if(NOT MAEBENCH_CUDA_FOUND)
  message(STATUS "Built without CUDA: ${MAEBENCH_CUDA_PROBLEM}")
endif()

set(MAEBENCH_NCCL_FOUND OFF)
if(MAEBENCH_CUDA_FOUND AND NOT MAEBENCH_NCCL STREQUAL "OFF")
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ENV NCCL_HOME
    PATH_SUFFIXES include)
  find_library(NCCL_LIBRARY nccl HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT}/lib
    ENV NCCL_HOME PATH_SUFFIXES lib lib64)
  if(NCCL_INCLUDE_DIR AND NCCL_LIBRARY)
    set(MAEBENCH_NCCL_FOUND ON)
  endif()
endif()
if(MAEBENCH_NCCL STREQUAL "ON" AND NOT MAEBENCH_NCCL_FOUND)
  message(FATAL_ERROR "MAEBENCH_NCCL=ON: it needs CUDA, nccl.h and libnccl (NCCL_HOME names a folder)")
elseif(MAEBENCH_CUDA_FOUND AND NOT MAEBENCH_NCCL_FOUND)
  message(STATUS "Built without NCCL (MAEBENCH_NCCL=${MAEBENCH_NCCL}): GPUs exchange gradients "
    "through the host's memory")
endif()
