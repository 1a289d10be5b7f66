-- PSNR and SSIM against the mask ratio, and the trivial fills'.
SELECT kind, series, metric, mask_ratio, value, bar_low, bar_high FROM marks
WHERE metric IN ('psnr_masked', 'psnr_composite', 'ssim_composite')
UNION ALL
SELECT 'fill', fill, name, mask_ratio,
  CASE name WHEN 'psnr_masked' THEN psnr_masked WHEN 'psnr_composite' THEN psnr_composite
    ELSE ssim_composite END, NULL, NULL
FROM fills, (SELECT column1 AS name FROM (VALUES ('psnr_masked'), ('psnr_composite'),
  ('ssim_composite')))
ORDER BY kind, series, metric, mask_ratio, value;
