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

# CUDA only where its compiler is. A sanitized build is for the CPU: AUTO leaves CUDA out of it.
set(MAEBENCH_CUDA_FOUND OFF)
if(MAEBENCH_CUDA STREQUAL "ON" OR (MAEBENCH_CUDA STREQUAL "AUTO" AND NOT MAEBENCH_SANITIZE))
  if(NOT CMAKE_CUDA_COMPILER)
    find_program(MAEBENCH_NVCC nvcc HINTS ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(MAEBENCH_NVCC)
      set(CMAKE_CUDA_COMPILER ${MAEBENCH_NVCC})
    endif()
  endif()
  if(CMAKE_CUDA_COMPILER)
    # Only checks the compiler: each target names its architectures.
    set(CMAKE_CUDA_ARCHITECTURES ${MAEBENCH_CUDA_ARCHITECTURES})
    enable_language(CUDA)
    # CMake 3.25 expects this target; CUDA 13 has no such library, and nothing here uses it.
    if(NOT TARGET CUDA::nvToolsExt)
      add_library(CUDA::nvToolsExt INTERFACE IMPORTED)
    endif()
    find_package(CUDAToolkit REQUIRED)
    set(MAEBENCH_CUDA_FOUND ON)
    # Values of a kernel that are kept in memory for want of registers cost more than they look.
    set(MAEBENCH_CUDA_WARNINGS -Xptxas=--warn-on-spills,--warn-on-local-memory-usage)
    if(MAEBENCH_WERROR)
      list(APPEND MAEBENCH_CUDA_WARNINGS -Werror=all-warnings)
    endif()
    message(STATUS "Built with CUDA, by ${CMAKE_CUDA_COMPILER} (-DMAEBENCH_CUDA=OFF builds without)")
  elseif(MAEBENCH_CUDA STREQUAL "ON")
    message(FATAL_ERROR "MAEBENCH_CUDA=ON: there is no nvcc on the PATH, in CUDA_PATH/bin or in "
      "/usr/local/cuda/bin; -DCMAKE_CUDA_COMPILER=FILE names another")
  endif()
endif()
if(NOT MAEBENCH_CUDA_FOUND)
  message(STATUS "Built without CUDA (MAEBENCH_CUDA=${MAEBENCH_CUDA})")
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
