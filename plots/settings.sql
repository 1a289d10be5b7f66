-- PSNR and SSIM of every setting, the plan's first at the top.
SELECT kind, setting, metric, 1 - dense_rank() OVER (ORDER BY position) AS place, value, bar_low,
  bar_high, keys
FROM marks WHERE metric IN ('psnr_masked', 'ssim_composite')
ORDER BY kind, metric, position, value;
