# A thin front over CMake: each target is a command someone types.
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: all deps build install demo test bench plots fuzz clean

all: build

deps:
	sh tests/deps.sh

build:
	@cmake --preset release -B $(BUILD) > $(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@cmake --build $(BUILD) -j $(JOBS)

install: build
	cmake --install $(BUILD)

test: build
	ctest --test-dir $(BUILD) --output-on-failure

bench: build
	$(BUILD)/bin/mae bench --suite

# libFuzzer on every reader, FUZZ_SECONDS each, two at a time; needs clang.
FUZZ_SECONDS ?= 600
fuzz:
	tests/fuzz/run.sh $(FUZZ_SECONDS)

clean:
	rm -rf build build-debug build-asan build-tsan build-fuzz
