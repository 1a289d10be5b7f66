# maebench in a container, on a CPU or, with an image of NVIDIA's as the base, on GPUs:
#
#   docker build -t maebench .
#   docker build -t maebench:cuda --build-arg BASE=nvidia/cuda:12.8.1-devel-ubuntu24.04 .
#   docker run --rm -v "$PWD/results:/maebench/results" maebench harness run ablations/mask_ratio.ini
#   docker run --rm --gpus all -v "$PWD/results:/maebench/results" maebench:cuda harness run ...
ARG BASE=debian:12-slim

# The package that `make package` makes names what it needs, so that the image has no compiler.
# hadolint ignore=DL3006
FROM ${BASE} AS build
ENV DEBIAN_FRONTEND=noninteractive
WORKDIR /src
COPY . .
# What to install is written down once, in tests/deps.sh. A build that came along is of another system.
RUN apt-get update \
    && sh tests/deps.sh \
    && make clean package \
    && rm -rf /var/lib/apt/lists/*

# What the package recommends draws the figures.
# hadolint ignore=DL3006
FROM ${BASE}
ENV DEBIAN_FRONTEND=noninteractive
COPY --from=build /src/build-package/*.deb /tmp/
# hadolint ignore=DL3015
RUN apt-get update \
    && apt-get install -y /tmp/*.deb \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
WORKDIR /maebench
CMD ["harness", "--help"]
