# A thin front over CMake and the two programs: each target is a command someone types.
BUILD ?= build
JOBS ?= $(shell nproc)
DB ?= results/results.db
# The one that sees Debian's python3-torch.
PYTHON ?= /usr/bin/python3

.PHONY: all deps build install package demo test bench plots paper parity fuzz gpu-first gpu-check \
  gpu-bench gpu-article clean

all: build

# Packages that are missing, by apt; `sh tests/deps.sh oracle` adds those of `make parity`.
deps:
	@sh tests/deps.sh

# AUTO: for GPUs too where nvcc is there; ON, OFF.
CUDA ?= AUTO

# Everything, or TARGETS.
build:
	@mkdir -p $(BUILD)
	@cmake --preset release -B $(BUILD) -DMAEBENCH_CUDA=$(CUDA) > $(BUILD)/configure.log 2>&1 || \
	  { cat $(BUILD)/configure.log; exit 1; }
	@sed -n 's/^-- \(Built with.*\|Check not found.*\)/\1/p' $(BUILD)/configure.log
	@cmake --build $(BUILD) -j $(JOBS) $(if $(TARGETS),--target $(TARGETS))

# Below PREFIX, which is /usr/local unless given; with DESTDIR before it.
install:
	@$(MAKE) --no-print-directory build TARGETS="mae harness manual"
	cmake --install $(BUILD) $(if $(PREFIX),--prefix $(PREFIX))

# A .deb and a tarball in build-package/, for any x86-64 processor with AVX2 and FMA, or any of another
# kind.
PORTABLE = $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v3)
package:
	cmake --preset release -B build-package -DMAEBENCH_CUDA=$(CUDA) -DMAEBENCH_NATIVE=OFF \
	  -DCMAKE_C_FLAGS="$(PORTABLE)" -DCMAKE_INSTALL_PREFIX=/usr
	cmake --build build-package -j $(JOBS) --target mae harness manual
	cd build-package && cpack

# The whole way on this machine: sweep the mask ratio, two trials side by side on a CPU, and draw
# the figures. The tests are not built, and without an NVIDIA driver nothing for GPUs. The scale is
# named: with a GPU the harness would choose one that needs a data set.
demo: deps
	@$(MAKE) --no-print-directory build TARGETS="mae harness" \
	  CUDA=$$(test -e /proc/driver/nvidia/version && echo AUTO || echo OFF)
	$(BUILD)/bin/harness run ablations/mask_ratio.ini --scale cpu --db $(DB) --jobs 2
	@$(MAKE) --no-print-directory plots

# Every figure and table, from the database alone.
plots:
	@sh plots/draw.sh $(DB)

# The report: the figures and tables, with what they say.
paper: plots
	@sh paper/build.sh $(DB)

# Several at a time; threads that wait for each other then give their core to another test.
test: build
	OMP_WAIT_POLICY=passive ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

# Whole training steps of the small model and ViT-Base beside the matrix library's ceiling.
bench: build
	$(BUILD)/bin/mae bench --suite

# Losses, gradients and optimiser steps against PyTorch.
parity: build
	$(PYTHON) tests/oracle/parity.py --tool $(BUILD)/tests/parity_tool

# libFuzzer on the readers of tests/fuzz, FUZZ_SECONDS each, two at a time; needs clang.
FUZZ_SECONDS ?= 600
fuzz:
	tests/fuzz/run.sh $(FUZZ_SECONDS)

# On a machine with a GPU: what tells most, in the first minutes; every check that needs one; the
# benchmark beside PyTorch. Settings: GPU_MINUTES, DEPS (a folder of libraries), PYTHON, OUT (where
# results go), REST=1 (only what an earlier command did not come to); see tests/gpu/check.sh.
GPU_OPTIONS = $(if $(OUT),--out $(OUT))
gpu-first:
	@sh tests/gpu/check.sh --first $(GPU_OPTIONS) $(if $(REST),--rest)
gpu-check:
	@sh tests/gpu/check.sh $(GPU_OPTIONS) $(if $(REST),--rest)
gpu-bench:
	@sh tests/gpu/check.sh --bench $(GPU_OPTIONS)
# The article's own training there, in as many commands as it takes: DATA is TinyImageNet's folder.
gpu-article:
	@sh tests/gpu/article.sh $(GPU_OPTIONS) $(if $(DATA),--data $(DATA))

clean:
	rm -rf build build-debug build-asan build-tsan build-fuzz build-gpu build-package
