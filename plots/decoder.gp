# Masked PSNR against the decoder's share of the work, each decoder by name.
width = 7.2
height = 3.9
load 'style.gp'

is(kind) = strcol('kind') eq kind

stats data using 'gflops_decoder_per_image' name 'work' nooutput
@TEXTS
set tmargin at screen top
set bmargin at screen bottom
set lmargin at screen 0.7 / width
set rmargin at screen 1 - 0.25 / width
set logscale x
set xrange [work_min / 1.6:work_max * 1.6]
set xtics ()
do for [decade = -4:4] { do for [digit in '1 2 5'] {
  set xtics add (sprintf('%g', digit * 10.0**decade) digit * 10.0**decade)
} }
set xlabel 'the decoder''s work (GFLOP per image and training step, log scale)'
set ylabel 'psnr_masked (dB)' offset 1,0
set offsets 0, 0, graph 0.12, graph 0.05
plot data using 'gflops_decoder_per_image':(only(is('mean'), 'value')):\
    (only(is('mean'), 'bar_low')):(only(is('mean'), 'bar_high')) with yerrorbars linetype 1 dashtype solid pointtype 1 pointsize 1.2, \
  data using 'gflops_decoder_per_image':(only(is('seed'), 'value')) with points linetype 1 \
    pointtype 6 pointsize 0.8, \
  data using 'gflops_decoder_per_image':(only(is('mean'), 'value')):'setting' with labels \
    left offset 1.5, 0
