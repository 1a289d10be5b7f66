-- PSNR against what the decoder costs.
SELECT kind, setting, gflops_decoder_per_image, value, bar_low, bar_high FROM marks
WHERE metric = 'psnr_masked' AND gflops_decoder_per_image > 0
ORDER BY kind, gflops_decoder_per_image, setting, value;
