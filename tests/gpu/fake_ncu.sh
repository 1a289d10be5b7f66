#!/bin/sh
# Stands for the profiler ncu where there is no GPU: runs the program, and prints of two kernels
# what ncu prints in this form, so that check.sh's reading of it can be tried.
if [ "$1" = --query-metrics ]; then
  echo "sm__pipe_tensor_cycles_active          Counter   cycle   # of cycles of the tensor pipe"
  exit 0
fi
while :; do
  case $1 in --*) shift 2 ;; *) break ;; esac
done
"$@" || exit $?
cat << 'END'
==PROF== Disconnected from process 1
  void attention_backward_queries<__nv_bfloat16, 64>(T1 *, const T1 *) (3072, 1, 1)x(224, 1, 1), Context 1, Stream 7, Device 0, CC 9.0
    Section: GPU Speed Of Light Throughput
    ----------------------- ----------- ------------
    Metric Name             Metric Unit Metric Value
    ----------------------- ----------- ------------
    Duration                         us       123.45
    DRAM Throughput                   %        45.60
    ----------------------- ----------- ------------
    Section: Command line profiler metrics
    sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_active            %        12.30
    Section: Occupancy
    Theoretical Occupancy                     %        21.88
    Achieved Occupancy                        %        20.10
  void map_elements<__nv_bfloat16, GeluSlope<__nv_bfloat16>>(T1 *, const T1 *, unsigned long) (38400, 1, 1)x(256, 1, 1), Context 1, Stream 7, Device 0, CC 9.0
    Section: GPU Speed Of Light Throughput
    Duration                         ms         1.20
    DRAM Throughput                   %        91.00
END
