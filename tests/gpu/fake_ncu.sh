#!/bin/sh
# Stands for the profiler ncu where there is no GPU: runs the program, and prints of two kernels
# what ncu prints in this form, so that check.sh's reading of it can be tried. Of each only when it
# is asked for and there is such a kernel.
sources=$(cd "$(dirname "$0")/../../kernels/cuda" && pwd)
if [ "$1" = --query-metrics ]; then
  echo "sm__pipe_tensor_cycles_active          Counter   cycle   # of cycles of the tensor pipe"
  exit 0
fi
while :; do
  case $1 in
  --kernel-name) asked=${2#regex:} && shift 2 ;;
  --*) shift 2 ;;
  *) break ;;
  esac
done
"$@" || exit $?

# kernel NAME: what stands on the input, if it is to be shown.
kernel() {
  if echo "$1" | grep -qE "$asked" && grep -q "\<$1(" "$sources"/*.cu; then
    cat
  else
    cat > /dev/null
  fi
}
echo "==PROF== Disconnected from process 1"
kernel attention_backward_queries << 'END'
  void attention_backward_queries<__nv_bfloat16, 64>(T1 *, const T1 *) (12, 256, 1)x(224, 1, 1), Context 1, Stream 7, Device 0, CC 9.0
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
END
kernel gelu_backward_rows << 'END'
  void gelu_backward_rows<__nv_bfloat16, 1>(float *, T1 *, const T1 *, const T1 *, unsigned long, int) (100, 24, 1)x(256, 1, 1), Context 1, Stream 7, Device 0, CC 9.0
    Section: GPU Speed Of Light Throughput
    Duration                         ms         1.20
    DRAM Throughput                   %        91.00
END
