-- A row per setting; draw.sh explains the columns in index.md.
WITH wide AS (
  SELECT setting, position, mask_ratio, gflops_per_image, gflops_decoder_per_image,
    max(n) AS seeds,
    max(CASE metric WHEN 'psnr_masked' THEN mean END) AS psnr,
    max(CASE metric WHEN 'psnr_masked' THEN sd END) AS psnr_sd,
    max(CASE metric WHEN 'psnr_composite' THEN mean END) AS composite,
    max(CASE metric WHEN 'ssim_composite' THEN mean END) AS ssim,
    max(CASE metric WHEN 'ssim_composite' THEN sd END) AS ssim_sd,
    max(CASE metric WHEN 'images_per_second' THEN mean END) AS speed
  FROM means GROUP BY position),
filled AS (
  SELECT mask_ratio, max(CASE fill WHEN 'fill_mean' THEN psnr_masked END) AS flat,
    max(CASE fill WHEN 'fill_harmonic' THEN psnr_masked END) AS harmonic
  FROM fills GROUP BY mask_ratio)
SELECT setting, seeds, iif(psnr IS NULL, '-', printf('%.2f', psnr)) AS psnr_masked,
  iif(psnr_sd IS NULL, '-', printf('%.2f', psnr_sd)) AS psnr_sd,
  iif(psnr - flat IS NULL, '-', printf('%+.2f', psnr - flat)) AS gain_mean,
  iif(psnr - harmonic IS NULL, '-', printf('%+.2f', psnr - harmonic)) AS gain_harmonic,
  iif(composite IS NULL, '-', printf('%.2f', composite)) AS psnr_composite,
  iif(ssim IS NULL, '-', printf('%.4f', ssim)) AS ssim_composite,
  iif(ssim_sd IS NULL, '-', printf('%.4f', ssim_sd)) AS ssim_sd,
  iif(speed IS NULL, '-', printf('%.0f', speed)) AS images_per_second,
  printf('%.3g', gflops_per_image) AS gflops_per_image,
  printf('%.3g', gflops_decoder_per_image) AS gflops_decoder
FROM wide LEFT JOIN filled USING (mask_ratio) ORDER BY position;
